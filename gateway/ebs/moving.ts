// An instance that boots from a volume, on its way to another host of its rack: what it takes along
// gets the new host, and a new right to write. The old one is worthless from then on, so that the
// host that had it, should it come back, has nothing.

import type { RandomHex } from '../../common/clock.ts'
import { ApiError } from '../aws/api-error.ts'
import type { Sealer } from '../secrets.ts'
import type { InstanceRecord } from '../store/records.ts'
import type { State, Transaction, View } from '../store/state.ts'
import type { VolumeAttachmentRecord, VolumeRecord } from '../store/volume-records.ts'
import { withReplaced, writersOf } from './attachment-life.ts'
import { newAttachmentNames } from './names.ts'

export interface MoveParts {
  readonly state: State
  readonly randomHex: RandomHex
  readonly sealer: Pick<Sealer, 'seal'>
}

/** Is nothing of it on its host that a start needs? */
export function isMovable({ rootDevice }: Pick<InstanceRecord, 'rootDevice'>): boolean {
  return rootDevice !== undefined
}

/** Does an instance that is stopped need its host no more? */
export function isHostFree(instance: Pick<InstanceRecord, 'rootDevice' | 'state'>): boolean {
  return isMovable(instance) && instance.state === 'stopped'
}

/** Has the host a right to write what the instance has? */
export function hasRights(view: View, { id, host }: InstanceRecord): boolean {
  return view
    .by('volume', 'instances', id)
    .some((volume) => ownOf(volume, id).some((one) => one.host === host))
}

/** Is what it boots from on a host that stays in the cloud? */
export async function isRootKept(
  tx: Transaction,
  { state }: Pick<MoveParts, 'state'>,
  { id, rootDevice }: InstanceRecord,
): Promise<boolean> {
  if (rootDevice === undefined) return false
  const root = (await volumesIn(tx, state, id)).find((one) =>
    ownOf(one, id).some(({ device }) => device === rootDevice),
  )
  if (root === undefined || root.state === 'error') return false
  const host = await tx.get('host', root.rack, root.host)
  return host !== null && host.lostAtMs === undefined
}

/**
 * Throws IncorrectInstanceState for one that boots from a volume and has none there. What is
 * attached to a stopped instance meanwhile is a change of its record: the transaction runs again.
 */
export async function checkRootThere(
  tx: Transaction,
  { state }: Pick<MoveParts, 'state'>,
  instance: InstanceRecord,
): Promise<void> {
  const { id, rootDevice } = instance
  if (rootDevice === undefined) return
  const volumes = await volumesIn(tx, state, id)
  if (volumes.some((one) => ownOf(one, id).some(({ device }) => device === rootDevice))) return
  const text = `Invalid value '${id}' for instanceId. Instance does not have a volume attached at root (${rootDevice})`
  throw new ApiError('IncorrectInstanceState', text)
}

/** On `host` from now on, if it was not; the caller writes the record. */
export async function broughtTo(
  tx: Transaction,
  parts: MoveParts,
  instance: InstanceRecord,
  host: string,
): Promise<InstanceRecord> {
  if (!isMovable(instance)) return instance
  const volumes = await volumesIn(tx, parts.state, instance.id)
  const isThere = volumes.every((one) => ownOf(one, instance.id).every((at) => at.host === host))
  if (!isThere) await renewAttachments(tx, parts, instance, host)
  if (instance.host === host) return instance
  for (const id of instance.interfaces) {
    const one = await tx.get('interface', id)
    if (one !== null) await tx.put('interface', [id], { ...one, host })
  }
  return { ...instance, host }
}

/** All that the instance has is attached anew, for the guest that `host` will have; '' nobody. */
export async function renewAttachments(
  tx: Transaction,
  { state, randomHex, sealer }: MoveParts,
  { id }: Pick<InstanceRecord, 'id'>,
  host: string,
): Promise<void> {
  for (const volume of await volumesIn(tx, state, id)) {
    const next = ownOf(volume, id).reduce(
      (one, old) => withReplaced(one, old.id, { ...newAttachmentNames(sealer, randomHex), host }),
      volume,
    )
    if (next !== volume) await tx.put('volume', [volume.id], next)
  }
}

/** What the instance has of a volume, and may write by. */
export function ownOf(volume: VolumeRecord, id: string): VolumeAttachmentRecord[] {
  return writersOf(volume).filter(({ instance }) => instance === id)
}

/** An instance's volumes. Each is read again: what it says is a condition of the transaction. */
export async function volumesIn(
  tx: Transaction,
  state: State,
  id: string,
): Promise<VolumeRecord[]> {
  const found: VolumeRecord[] = []
  for (const { id: volume } of (await state.fresh()).by('volume', 'instances', id)) {
    const record = await tx.get('volume', volume)
    if (record !== null) found.push(record)
  }
  return found
}
