// Auto Scaling groups as they are kept: by account and name, with a turn that every change of the
// group or its members takes, so that none of them is made without having seen the others.

import { createHash } from 'node:crypto'
import type { RandomHex } from '../../common/clock.ts'
import type { Sealer } from '../secrets.ts'
import type { ScalingGroupRecord, ScalingMemberRecord } from '../store/scaling-records.ts'
import type { State, Transaction, View } from '../store/state.ts'
import { invalid, noGroup } from './errors.ts'

export interface ScalingParts {
  readonly state: State
  readonly randomHex: RandomHex
  readonly sealer: Sealer
  readonly region: string
  /** As chooseVolumePlace has it. */
  readonly overcommit?: number | undefined
}

/** A name may have a slash: its digest is the key. */
export function groupKey(account: string, name: string): [string, string] {
  return [account, createHash('sha256').update(name).digest('hex')]
}

/** Also one that is being deleted. Throws ValidationError when there is none. */
export function groupInView(view: View, account: string, name: string): ScalingGroupRecord {
  const group = view.get('scaling-group', ...groupKey(account, name))
  if (group === null) throw noGroup()
  return group
}

/** Of an account: the group of that name, or all. */
export function groupsCalled(
  view: View,
  account: string,
  name: string | undefined,
): readonly ScalingGroupRecord[] {
  const all = view.by('scaling-group', 'account', account)
  return name === undefined ? all : all.filter((group) => group.name === name)
}

/** What a transaction goes by: a group, and its members as they are when it has this turn. */
export interface Held {
  readonly group: ScalingGroupRecord
  readonly members: readonly ScalingMemberRecord[]
  readonly view: View
}

/**
 * The group as a condition of the transaction. A view that is newer than what was read has another
 * turn: then the transaction runs again. Throws ValidationError when there is none.
 */
export async function holdGroup(
  tx: Transaction,
  state: State,
  account: string,
  name: string,
): Promise<Held> {
  const group = await tx.get('scaling-group', ...groupKey(account, name))
  if (group === null) throw noGroup()
  const view = await state.fresh()
  return { group, members: view.by('scaling-member', 'group', group.id), view }
}

/** Writes the group, in its next turn; what a user changed is tried at once. */
export async function putGroup(
  tx: Transaction,
  group: ScalingGroupRecord,
  change: Partial<ScalingGroupRecord> = {},
): Promise<ScalingGroupRecord> {
  const next = { ...group, ...change, turn: group.turn + 1 }
  await tx.put('scaling-group', groupKey(group.account, group.name), next)
  return next
}

export async function putMember(tx: Transaction, member: ScalingMemberRecord): Promise<void> {
  await tx.put('scaling-member', [member.instance], member)
}

/** A group on its way out takes no wishes. */
export function refuseDeleted({ name, deletedAtMs }: ScalingGroupRecord): void {
  if (deletedAtMs === null) return
  throw invalid(`AutoScalingGroup '${name}' is pending delete and cannot be changed.`)
}

/** Those that the desired capacity is of. */
export function isActive({ state }: Pick<ScalingMemberRecord, 'state'>): boolean {
  return state === 'Pending' || state === 'InService'
}

export function groupArn(region: string, group: ScalingGroupRecord): string {
  const { account, id, name } = group
  return `arn:aws:autoscaling:${region}:${account}:autoScalingGroup:${id}:autoScalingGroupName/${name}`
}

/** A random UUID of version 4. */
export function newUuid(randomHex: RandomHex): string {
  const hex = randomHex(16)
  const parts = [hex.slice(0, 8), hex.slice(8, 12), `4${hex.slice(13, 16)}`]
  return [...parts, `8${hex.slice(17, 20)}`, hex.slice(20)].join('-')
}

/** As causes of activities say it: to the second. */
export function atTime(ms: number): string {
  return `At ${new Date(ms).toISOString().slice(0, 19)}Z`
}
