// ModifyInstanceAttribute and ResetInstanceAttribute: one attribute a request. Groups and the
// source and destination check are those of the instance's only interface.

import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers, Ec2Inputs } from '../aws/handlers.ts'
import { setDevices } from '../ebs/modify-devices.ts'
import type { InstanceRecord, InstanceSettings, InterfaceRecord } from '../store/records.ts'
import type { State, Transaction } from '../store/state.ts'
import { checkAddressCount, checkInterfaceCount } from './attaching.ts'
import { rootGibOf } from './capacity.ts'
import { namedInStore, notFound } from './ids.ts'
import { badValue, endDryRun, refuseUnknown, required, unsupported } from './input.ts'
import { parseShutdownBehavior, parseUserData } from './instance-settings.ts'
import { typeInStore } from './instance-types.ts'
import { tellInstance, withGroups } from './interface-attributes.ts'
import { type KernelsAsked, kernelsFor } from './kernels.ts'
import { keepFromRemoval } from './removal.ts'

type ModifyHandlers = Required<
  Pick<Ec2Handlers, 'ModifyInstanceAttribute' | 'ResetInstanceAttribute'>
>
type Input = Ec2Inputs['ModifyInstanceAttribute']

interface Turn {
  readonly tx: Transaction
  readonly state: State
  readonly record: InstanceRecord
}

type Apply = (turn: Turn) => Promise<void>

/** Where each attribute's new value is in the request, and what it does. */
const CHANGES: Readonly<Record<string, (input: Input) => Apply | null>> = {
  instanceType: ({ InstanceType }) => apply(InstanceType?.Value, setType),
  userData: ({ UserData }) => apply(UserData?.Value, setUserData),
  disableApiTermination: ({ DisableApiTermination: one }) =>
    apply(one?.Value, (turn, disableApiTermination) => set(turn, { disableApiTermination })),
  disableApiStop: ({ DisableApiStop: one }) =>
    apply(one?.Value, (turn, disableApiStop) => set(turn, { disableApiStop })),
  instanceInitiatedShutdownBehavior: ({ InstanceInitiatedShutdownBehavior: one }) =>
    apply(one?.Value, (turn, value) =>
      set(turn, { shutdownBehavior: parseShutdownBehavior(value) }),
    ),
  blockDeviceMapping: ({ BlockDeviceMappings: devices }) =>
    apply(devices?.length === 0 ? undefined : devices, setDevices),
  kernel: ({ Kernel }) => apply(Kernel?.Value, (turn, kernel) => setKernels(turn, { kernel })),
  ramdisk: ({ Ramdisk }) => apply(Ramdisk?.Value, (turn, ramdisk) => setKernels(turn, { ramdisk })),
  sourceDestCheck: ({ SourceDestCheck }) => apply(SourceDestCheck?.Value, setCheck),
  groupSet: ({ Groups }) => apply(Groups?.length === 0 ? undefined : Groups, setGroups),
  ebsOptimized: ({ EbsOptimized: one }) => apply(one?.Value, never('ebsOptimized')),
  enaSupport: ({ EnaSupport: one }) => apply(one?.Value, never('enaSupport')),
}
const KNOWN = new Set([
  'InstanceId',
  'Attribute',
  'Value',
  'InstanceType',
  'UserData',
  'BlockDeviceMappings',
  'Kernel',
  'Ramdisk',
  'DisableApiTermination',
  'DisableApiStop',
  'InstanceInitiatedShutdownBehavior',
  'SourceDestCheck',
  'Groups',
  'EbsOptimized',
  'EnaSupport',
  'DryRun',
])

const RESETS: Readonly<Record<string, Apply>> = {
  kernel: (turn) => resetKernel(turn, 'kernel'),
  ramdisk: (turn) => resetKernel(turn, 'ramdisk'),
  sourceDestCheck: (turn) => setCheck(turn, true),
}

export function modifyInstanceHandlers({ state }: { state: State }): ModifyHandlers {
  return {
    ModifyInstanceAttribute: async ({ caller }, input) => {
      const id = required('InstanceId', input.InstanceId)
      refuseUnknown(input, KNOWN, new Map())
      const asked = { ...input, ...named(input) }
      const changes = Object.values(CHANGES).flatMap((of) => of(asked) ?? [])
      const [change] = changes
      if (change === undefined) {
        throw new ApiError('InvalidParameterCombination', 'No attributes specified.')
      }
      if (changes.length > 1) {
        const text = `The request changes ${changes.length} attributes; expecting exactly one.`
        throw new ApiError('InvalidParameterCombination', text)
      }
      await state.update(async (tx) => {
        await change({ tx, state, record: await alive(tx, id, caller.account) })
        endDryRun(input)
      })
      return {}
    },

    ResetInstanceAttribute: async ({ caller }, input) => {
      const id = required('InstanceId', input.InstanceId)
      const attribute: string = required('Attribute', input.Attribute)
      const reset = RESETS[attribute]
      if (reset === undefined) {
        const why = `Expecting one of ${Object.keys(RESETS).join(', ')}.`
        throw badValue('attribute', attribute, why)
      }
      await state.update(async (tx) => {
        await reset({ tx, state, record: await alive(tx, id, caller.account) })
        endDryRun(input)
      })
      return {}
    },
  }
}

/** The record of an instance that is not about to be gone. */
export async function alive(tx: Transaction, id: string, account: string): Promise<InstanceRecord> {
  const [record] = await namedInStore(tx, 'instance', [id], account)
  if (record === undefined) throw notFound('instance', [id])
  if (record.desired !== 'terminated' && record.state !== 'terminated') return record
  const text = `The instance '${id}' is ${record.state} and cannot be modified.`
  throw new ApiError('IncorrectInstanceState', text)
}

/** Throws IncorrectInstanceState unless the instance is stopped. */
export function mustBeStopped({ id, state }: InstanceRecord): void {
  if (state === 'stopped') return
  const text = `The instance '${id}' is not in the 'stopped' state; it is ${state}.`
  throw new ApiError('IncorrectInstanceState', text)
}

function apply<T>(
  value: T | undefined,
  change: (turn: Turn, value: T) => Promise<void>,
): Apply | null {
  return value === undefined ? null : (turn) => change(turn, value)
}

/** The older form of a request: `Attribute` and `Value`. */
function named({ Attribute: attribute, Value: value }: Input): Partial<Input> {
  if (attribute === undefined && value === undefined) return {}
  const name: string = required('Attribute', attribute)
  const Value = required('Value', value)
  switch (name) {
    case 'instanceType':
      return { InstanceType: { Value } }
    case 'userData':
      return { UserData: { Value: Buffer.from(parseUserData(Value), 'base64') } }
    case 'disableApiTermination':
      return { DisableApiTermination: { Value: flag(name, Value) } }
    case 'disableApiStop':
      return { DisableApiStop: { Value: flag(name, Value) } }
    case 'instanceInitiatedShutdownBehavior':
      return { InstanceInitiatedShutdownBehavior: { Value } }
    case 'sourceDestCheck':
      return { SourceDestCheck: { Value: flag(name, Value) } }
    case 'kernel':
      return { Kernel: { Value } }
    case 'ramdisk':
      return { Ramdisk: { Value } }
    case 'ebsOptimized':
      return { EbsOptimized: { Value: flag(name, Value) } }
    case 'enaSupport':
      return { EnaSupport: { Value: flag(name, Value) } }
    default:
      throw unsupported(`Changing the attribute ${name}`)
  }
}

function flag(name: string, value: string): boolean {
  if (value === 'true' || value === 'false') return value === 'true'
  throw badValue(name, value, 'Expecting true or false.')
}

async function set({ tx, record }: Turn, change: Partial<InstanceSettings>): Promise<void> {
  const settings = { ...record.settings, ...change }
  await tx.put('instance', [record.id], { ...record, settings })
}

/** Of one that is stopped. Without its kernel it has no ramdisk either. */
async function setKernels({ tx, record }: Turn, change: KernelsAsked): Promise<void> {
  mustBeStopped(record)
  const { kernel: _, ramdisk: __, ...rest } = record
  const ids = await kernelsFor(tx, record.account, { ...record, ...change })
  await tx.put('instance', [record.id], { ...rest, ...ids })
}

/** To its image's. */
async function resetKernel(turn: Turn, which: 'kernel' | 'ramdisk'): Promise<void> {
  const image = await turn.tx.get('image', turn.record.image)
  await setKernels(turn, { [which]: image?.[which] ?? '' })
}

/** Processors and memory of another type; the disk stays as large as it is. */
async function setType({ tx, state, record }: Turn, name: string): Promise<void> {
  const type = await typeInStore(tx, name)
  if (type === null) {
    const text = `The instance type '${name}' does not exist.`
    throw new ApiError('InvalidInstanceAttributeValue', text)
  }
  await keepFromRemoval(tx, 'instance-type', [name])
  mustBeStopped(record)
  checkInterfaceCount(type, record.interfaces.length)
  for (const id of record.interfaces) {
    const one = await tx.get('interface', id)
    if (one !== null) checkAddressCount(one, type)
  }
  const next = { ...record, type: name, diskGib: rootGibOf(await state.fresh(), record) }
  await tx.put('instance', [record.id], next)
}

async function setUserData({ tx, record }: Turn, bytes: Uint8Array): Promise<void> {
  const userData = parseUserData(Buffer.from(bytes).toString('base64'))
  mustBeStopped(record)
  await tx.put('instance', [record.id], { ...record, userData })
}

async function setCheck({ tx, record }: Turn, sourceDestCheck: boolean): Promise<void> {
  const one = await onlyInterface(tx, record)
  await tx.put('interface', [one.id], { ...one, sourceDestCheck })
}

async function setGroups({ tx, state, record }: Turn, groups: readonly string[]): Promise<void> {
  const next = await withGroups(tx, state, await onlyInterface(tx, record), groups)
  await tx.put('interface', [next.id], next)
  await tellInstance(tx, next)
}

/** What no instance here has: only taking it away is possible. */
function never(attribute: string): (turn: Turn, value: boolean) => Promise<void> {
  return async (_turn, value) => {
    if (value) throw unsupported(`The attribute ${attribute}`)
  }
}

async function onlyInterface(tx: Transaction, record: InstanceRecord): Promise<InterfaceRecord> {
  const [first, ...others] = record.interfaces
  if (others.length > 0) {
    const text =
      `There are multiple interfaces attached to instance '${record.id}'. ` +
      'Please specify an interface ID for the operation instead.'
    throw new ApiError('InvalidInstanceID', text)
  }
  const one = first === undefined ? null : await tx.get('interface', first)
  if (one !== null) return one
  const text = `The instance ${record.id} is ${record.state} and has no network interface`
  throw new ApiError('IncorrectInstanceState', text)
}
