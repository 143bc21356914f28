// Instance types as operators make and end them. Types that are there without anybody's doing, and
// what a type is: ec2/instance-types.ts.

import type { RandomHex } from '../common/clock.ts'
import { MalleeError } from '../common/errors.ts'
import { instanceType, isDefaultType, typeInStore } from './ec2/instance-types.ts'
import { removeUnused } from './ec2/removal.ts'
import type { InstanceTypeRecord } from './store/compute-records.ts'
import type { InstanceRecord } from './store/records.ts'
import type { State, View } from './store/state.ts'

export interface NewInstanceType {
  readonly name: string
  readonly vcpus: number
  readonly memoryMib: number
  readonly diskGib: number
  readonly interfaces: number
  readonly addresses: number
}

/** As EC2 forms them: a family, a dot, a size. */
const NAME = /^[a-z0-9][a-z0-9-]{0,30}\.[a-z0-9][a-z0-9-]{0,30}$/
const MAX_TYPES = 1_000
/** What a guest of QEMU's q35 machine can have, and addresses as EC2 limits them. */
export const TYPE_RANGES = {
  vcpus: [1, 255, 'vCPUs'],
  memoryMib: [64, 16 << 20, 'MiB of memory'],
  diskGib: [1, 64 << 10, 'GiB of disk'],
  interfaces: [1, 15, 'network interfaces'],
  addresses: [1, 50, 'addresses of an interface'],
} as const

/** Throws BadArgument, NameTaken. */
export async function createInstanceType(
  { state, nowMs }: { state: State; nowMs: number },
  asked: NewInstanceType,
): Promise<InstanceTypeRecord> {
  checkNew(asked)
  return await state.update(async (tx) => {
    if ((await typeInStore(tx, asked.name)) !== null) {
      const hint = isDefaultType(asked.name) ? '; to give it other sizes, delete it first' : ''
      throw new MalleeError('NameTaken', `the instance type ${asked.name} is there already${hint}`)
    }
    const count = (await state.fresh()).all('instance-type').length
    if (count >= MAX_TYPES) {
      throw new MalleeError('Conflict', `there are ${count} instance types; at most ${MAX_TYPES}`)
    }
    const record = { ...asked, offered: true, createdAtMs: nowMs }
    await tx.put('instance-type', [asked.name], record)
    return record
  })
}

/** Throws NotFound, and Conflict for a type that instances have. */
export async function deleteInstanceType(
  parts: { state: State; randomHex: RandomHex; nowMs: number },
  name: string,
): Promise<void> {
  if (instanceType(await parts.state.fresh(), name) === null) throw unknown(name)
  await removeUnused(
    parts,
    {},
    {
      kind: 'instance-type',
      id: name,
      check: (view) => checkUnused(view, name),
      remove: async (tx) => {
        const spec = await typeInStore(tx, name)
        if (spec === null) throw unknown(name)
        // A default type is there again as soon as nothing says that it is not.
        const { current: _, ...sizes } = spec
        const gone = { ...sizes, offered: false, createdAtMs: parts.nowMs }
        if (isDefaultType(name)) await tx.put('instance-type', [name], gone)
        else await tx.delete('instance-type', name)
      },
    },
  )
}

/** The instances that need the type's sizes: all that are not terminated. */
export function instancesOfType(view: View, name: string): InstanceRecord[] {
  return view.all('instance').filter((one) => one.type === name && one.state !== 'terminated')
}

function checkUnused(view: View, name: string): void {
  const [first, ...others] = instancesOfType(view, name)
  if (first === undefined) return
  const more = others.length === 0 ? '' : ` and ${others.length} more`
  throw new MalleeError('Conflict', `the instance type ${name} is that of ${first.id}${more}`)
}

function checkNew(asked: NewInstanceType): void {
  if (!NAME.test(asked.name)) {
    const what = `instance type name ${JSON.stringify(asked.name)}`
    throw new MalleeError('BadArgument', `${what} is not a family, a dot and a size: t3.nano`)
  }
  for (const [field, [least, most, words]] of Object.entries(TYPE_RANGES)) {
    const value = asked[field as keyof typeof TYPE_RANGES]
    if (Number.isInteger(value) && value >= least && value <= most) continue
    const text = `${value} ${words} for ${asked.name}: expecting ${least} to ${most}`
    throw new MalleeError('BadArgument', text)
  }
}

function unknown(name: string): MalleeError {
  return new MalleeError('NotFound', `there is no instance type ${name}`)
}
