// The moment of an image of an instance: its guest is stopped for it in an orderly way, all volumes
// are taken at once, and it starts again when their SCs have the moment. What is to be done is in
// the records: whichever gateway is there next goes on with it.
//   stopping -> (its NC says that the guest stopped) -> taking -> (their SCs have it) -> pending

import type { Clock, RandomHex } from '../../common/clock.ts'
import { codeOf, messageOf } from '../../common/errors.ts'
import type { Log } from '../../common/log.ts'
import { ApiError } from '../aws/api-error.ts'
import { randomId } from '../ec2/ids.ts'
import { checkQuotaFor } from '../ec2/quotas.ts'
import type { Sealer } from '../secrets.ts'
import type { ImageRecord } from '../store/image-records.ts'
import type { InstanceRecord } from '../store/records.ts'
import type { State, Transaction, View } from '../store/state.ts'
import type { VolumeRecord } from '../store/volume-records.ts'
import { snapshotsOf } from './image-states.ts'
import { checkVolume, insertSnapshot } from './new-snapshot.ts'

export interface ImagingParts {
  readonly state: State
  readonly randomHex: RandomHex
  readonly sealer: Sealer
}

/** A guest has two minutes to stop; its host may be busy. */
export const STOP_MS = 5 * 60_000
/** SCs have a moment within a second; one that is away does not keep the guest stopped. */
const TAKE_MS = 60_000

/** Makes the snapshots that the image waits for, of one moment; says their ids. Throws ApiError. */
export async function takeImage(
  tx: Transaction,
  parts: ImagingParts,
  id: string,
  nowMs: number,
): Promise<string[]> {
  const image = await tx.get('image', id)
  if (image?.making === undefined) return []
  const { making, ...rest } = image
  const view = await parts.state.fresh()
  const volumes = new Map<string, VolumeRecord>()
  for (const { device, volume: volumeId } of making.volumes) {
    const volume = await tx.get('volume', volumeId)
    if (volume === null) {
      throw new ApiError('InvalidVolume.NotFound', `The volume '${volumeId}' does not exist`)
    }
    checkVolume(view, volume)
    volumes.set(device, volume)
  }
  const wanted = { made: 0, wanted: volumes.size }
  await checkQuotaFor(tx, parts.state, image.account, 'snapshots', wanted)
  const group = randomId(parts.randomHex, 'group')
  const tags = new Map(Object.entries(making.snapshotTags))
  const made = new Map<string, string>()
  for (const [device, volume] of volumes) {
    const groupSize = [...volumes.values()].filter((one) => one.host === volume.host).length
    const description = `Created by CreateImage(${making.instance}) for ${id}`
    const wish = { volume, description, tags, group, groupSize }
    made.set(device, (await insertSnapshot(tx, view, parts, wish, nowMs)).id)
  }
  const devices = (image.devices ?? []).map((one) => {
    const snapshot = made.get(one.device)
    return one.volume === null || snapshot === undefined
      ? one
      : { ...one, volume: { ...one.volume, snapshot } }
  })
  await tx.put('image', [id], { ...rest, devices })
  return [...made.values()]
}

/** Its guest stopped: nobody writes to its volumes. The same record when it was for no image. */
export function stoppedForImage(record: InstanceRecord): InstanceRecord {
  const { imaging } = record
  return imaging?.phase === 'stopping'
    ? { ...record, imaging: { ...imaging, phase: 'taking' } }
    : record
}

/** Is the guest kept from running for an image? */
export function isHeldForImage({ imaging }: Pick<InstanceRecord, 'imaging'>): boolean {
  return imaging !== undefined
}

/** Goes on with every image that an instance is stopped for. Any number of gateways may do so. */
export async function tendImaging(
  parts: ImagingParts & { readonly clock: Clock; readonly log: Log },
): Promise<void> {
  const { state, clock, log } = parts
  const held = state.view().all('instance').filter(isHeldForImage)
  for (const { id } of held) {
    const nowMs = clock.nowMs()
    try {
      await state.update((tx) => tendOne(tx, parts, id, nowMs))
    } catch (error) {
      if (!(error instanceof ApiError) && codeOf(error) === null) throw error
      log.warn('image of an instance failed', { instance: id, why: messageOf(error) })
      await state.update((tx) => giveUp(tx, id, messageOf(error), nowMs))
    }
  }
}

async function tendOne(
  tx: Transaction,
  parts: ImagingParts,
  id: string,
  nowMs: number,
): Promise<void> {
  const record = await tx.get('instance', id)
  if (record?.imaging === undefined) return
  const { image: imageId, phase, untilMs } = record.imaging
  const image = await tx.get('image', imageId)
  if (record.desired === 'terminated') return await giveUp(tx, id, `${id} was terminated`, nowMs)
  if (image === null || image.state !== 'available' || image.failure !== undefined) {
    return await putReleased(tx, record, nowMs)
  }
  const isStopped = phase === 'taking' || record.state === 'stopped'
  if (!isStopped) {
    if (nowMs >= untilMs) await giveUp(tx, id, `${id} did not stop in time`, nowMs)
    return
  }
  if (image.making !== undefined) {
    await takeImage(tx, parts, imageId, nowMs)
    const imaging = { image: imageId, phase: 'taking', untilMs: nowMs + TAKE_MS } as const
    await tx.put('instance', [id], { ...record, imaging })
    return
  }
  if (nowMs >= untilMs || (await isTaken(tx, image))) await putReleased(tx, record, nowMs)
}

/** Do the SCs have the moments of all its snapshots, or will they never? */
async function isTaken(tx: Transaction, image: ImageRecord): Promise<boolean> {
  for (const id of snapshotsOf(image)) {
    const snapshot = await tx.get('volume-snapshot', id)
    if (snapshot?.state === 'pending' && snapshot.takenAtMs === undefined) return false
  }
  return true
}

async function giveUp(tx: Transaction, id: string, why: string, nowMs: number): Promise<void> {
  const record = await tx.get('instance', id)
  if (record?.imaging === undefined) return
  const image = await tx.get('image', record.imaging.image)
  if (image?.making !== undefined) {
    const { making: _, ...rest } = image
    await tx.put('image', [image.id], { ...rest, failure: why })
  }
  await putReleased(tx, record, nowMs)
}

/** It starts again unless its user wants it stopped. An older word is about the past. */
async function putReleased(
  tx: Transaction,
  { imaging: _, ...record }: InstanceRecord,
  nowMs: number,
): Promise<void> {
  const next: InstanceRecord =
    record.state === 'running' && record.desired === 'running'
      ? {
          ...record,
          state: 'pending',
          startCount: (record.startCount ?? 0) + 1,
          startedAtMs: nowMs,
        }
      : record
  await tx.put('instance', [record.id], next)
}

/** Does a change let an image go on? */
export function wakesImaging(view: View, key: string): boolean {
  const [kind = '', id = ''] = key.split('/')
  if (kind === 'instance') return view.get('instance', id)?.imaging !== undefined
  if (kind !== 'volume-snapshot') return false
  const snapshot = view.get('volume-snapshot', id)
  if (snapshot === null || snapshot.group === '') return false
  return view.instancesOf('account', snapshot.account).some(isHeldForImage)
}
