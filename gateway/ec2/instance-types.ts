// The instance types of this cloud: EC2's names with EC2's processors and memory, and those that
// the operator made. The disk is the instance's root, on its host (instance store); AWS's own types
// of these names have none.

import type { InstanceTypeRecord } from '../store/compute-records.ts'
import type { Transaction, View } from '../store/state.ts'
import { compareText } from './paging.ts'

export interface InstanceTypeSpec {
  readonly name: string
  readonly vcpus: number
  readonly memoryMib: number
  readonly diskGib: number
  /** Network interfaces that an instance can have, and addresses of each family of each. */
  readonly interfaces: number
  readonly addresses: number
  /** Is it of a family that AWS still offers to new users? */
  readonly current: boolean
}

// Sizes from https://aws.amazon.com/ec2/instance-types/ and, for m1, /ec2/previous-generation/.
const CURRENT = [
  ['t3.nano', 2, 512, 4],
  ['t3.micro', 2, 1_024, 8],
  ['t3.small', 2, 2_048, 8],
  ['t3.medium', 2, 4_096, 16],
  ['t3.large', 2, 8_192, 16],
  ['t3.xlarge', 4, 16_384, 32],
  ['t3.2xlarge', 8, 32_768, 64],
  ['m5.large', 2, 8_192, 32],
  ['m5.xlarge', 4, 16_384, 64],
  ['m5.2xlarge', 8, 32_768, 128],
  ['m5.4xlarge', 16, 65_536, 256],
  ['m5.8xlarge', 32, 131_072, 512],
  ['m5.12xlarge', 48, 196_608, 768],
  ['m5.16xlarge', 64, 262_144, 1_024],
  ['m5.24xlarge', 96, 393_216, 1_536],
  ['c5.large', 2, 4_096, 32],
  ['c5.xlarge', 4, 8_192, 64],
  ['c5.2xlarge', 8, 16_384, 128],
  ['c5.4xlarge', 16, 32_768, 256],
  ['c5.9xlarge', 36, 73_728, 512],
  ['c5.12xlarge', 48, 98_304, 768],
  ['c5.18xlarge', 72, 147_456, 1_024],
  ['c5.24xlarge', 96, 196_608, 1_536],
  ['r5.large', 2, 16_384, 32],
  ['r5.xlarge', 4, 32_768, 64],
  ['r5.2xlarge', 8, 65_536, 128],
  ['r5.4xlarge', 16, 131_072, 256],
] as const
const PREVIOUS = [
  ['m1.small', 1, 1_740, 8],
  ['m1.medium', 1, 3_840, 16],
  ['m1.large', 2, 7_680, 32],
] as const

/** What RunInstances takes when no type is named (EC2 API reference, RunInstances). */
export const DEFAULT_INSTANCE_TYPE = 'm1.small'

/** Of any type: what an interface that is attached to nothing can have. */
export const MAX_ADDRESSES = 50

// AWS, "Maximum IP addresses per network interface".
const LIMITS = {
  't3.nano': [2, 2],
  't3.micro': [2, 2],
  't3.small': [3, 4],
  't3.medium': [3, 6],
  't3.large': [3, 12],
  'm1.small': [2, 4],
  'm1.medium': [2, 6],
  'm1.large': [3, 10],
} as const
/** The same for all families that have the size. */
const LIMITS_OF_SIZE = {
  large: [3, 10],
  xlarge: [4, 15],
  '2xlarge': [4, 15],
  '4xlarge': [8, 30],
  '8xlarge': [8, 30],
  '9xlarge': [8, 30],
  '12xlarge': [8, 30],
  '16xlarge': [15, 50],
  '18xlarge': [15, 50],
  '24xlarge': [15, MAX_ADDRESSES],
} as const

const SPECS: ReadonlyMap<string, InstanceTypeSpec> = new Map([
  ...CURRENT.map((row) => specOf(row, true)),
  ...PREVIOUS.map((row) => specOf(row, false)),
])

/** null when there is no type of that name. */
export function instanceType(view: View, name: string): InstanceTypeSpec | null {
  return specFrom(name, isKeyPart(name) ? view.get('instance-type', name) : null)
}

/** The same as a condition of the transaction: the type stays while something begins to use it. */
export async function typeInStore(tx: Transaction, name: string): Promise<InstanceTypeSpec | null> {
  return specFrom(name, isKeyPart(name) ? await tx.get('instance-type', name) : null)
}

/** All of them by name. */
export function instanceTypes(view: View): InstanceTypeSpec[] {
  const made = new Map(view.all('instance-type').map((record) => [record.name, record]))
  const names = new Set([...SPECS.keys(), ...made.keys()])
  return [...names]
    .sort(compareText)
    .map((name) => specFrom(name, made.get(name) ?? null))
    .filter((spec) => spec !== null)
}

/** Is it a type that a cloud has without its operator's doing? */
export function isDefaultType(name: string): boolean {
  return SPECS.has(name)
}

function specFrom(name: string, record: InstanceTypeRecord | null): InstanceTypeSpec | null {
  if (record === null) return SPECS.get(name) ?? null
  if (!record.offered) return null
  const { vcpus, memoryMib, diskGib, interfaces, addresses } = record
  const current = SPECS.get(name)?.current ?? true
  return { name, vcpus, memoryMib, diskGib, interfaces, addresses, current }
}

/** A request may name anything. */
function isKeyPart(name: string): boolean {
  return /^[\w.-]{1,64}$/.test(name)
}

type Row = (typeof CURRENT | typeof PREVIOUS)[number]

function specOf(
  [name, vcpus, memoryMib, diskGib]: Row,
  current: boolean,
): [string, InstanceTypeSpec] {
  const [interfaces, addresses] = limitsOf(name)
  return [name, { name, vcpus, memoryMib, diskGib, interfaces, addresses, current }]
}

function limitsOf(name: Row[0]): readonly [number, number] {
  if (name in LIMITS) return LIMITS[name as keyof typeof LIMITS]
  const size = name.slice(name.indexOf('.') + 1)
  return LIMITS_OF_SIZE[size as keyof typeof LIMITS_OF_SIZE]
}
