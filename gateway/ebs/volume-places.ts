// Where a volume goes: the host of the rack whose store has the most room left when all volumes
// there are written full. Files are thin, so that more may be promised than there is, to a limit.

import { GIB, storedBytes } from '../../common/volume-sizes.ts'
import { ApiError } from '../aws/api-error.ts'
import { compareText } from '../ec2/paging.ts'
import { isRackConnected } from '../ec2/zones.ts'
import { sharedStore } from '../store/disk-records.ts'
import type { HostRecord } from '../store/records.ts'
import type { View } from '../store/state.ts'
import type { VolumeRecord } from '../store/volume-records.ts'

/** A host's store of volumes. */
export interface VolumePlace {
  readonly host: string
  readonly sizeBytes: number
  /** As its host said last. */
  readonly roomBytes: number
  /** What the volumes there may still be written to take. */
  readonly promisedBytes: number
  /** Why it takes none; empty when it does. */
  readonly why: string
  /** Can an encrypted volume there begin as a snapshot that is not encrypted? */
  readonly encrypts: boolean
}

/** As the setting volumeOvercommit is when nobody set it. */
const OVERCOMMIT = 10
/** A store with less room than this part of its size takes no new volume. */
const LEAST_ROOM = 1 / 20
/** Hosts whose reason a refused caller gets to read. */
const MAX_REASONS = 5

/**
 * The place for a volume of `bytes`, or why every one of them refuses it. `overcommit`: how many
 * times its size a store's volumes may take together when they are written full.
 */
export function chooseVolumePlace(
  places: readonly VolumePlace[],
  bytes: number,
  overcommit = OVERCOMMIT,
): { readonly host: string } | { readonly reasons: readonly string[] } {
  const reasons: string[] = []
  let best: VolumePlace | null = null
  for (const place of places) {
    const why = refusal(place, bytes, overcommit)
    if (why !== '') reasons.push(`${place.host} ${why}`)
    else if (best === null || isBetter(place, best)) best = place
  }
  return best === null ? { reasons } : { host: best.host }
}

/** The stores of a rack, `made` there beside what the view shows. */
export function volumePlaces(
  view: View,
  rack: string,
  made: readonly VolumeRecord[] = [],
): VolumePlace[] {
  const trouble = rackTrouble(view, rack)
  return view
    .withPrefix('host', `${rack}/`)
    .filter(({ roles }) => roles.includes('sc'))
    .map((host) => placeOf(view, host, trouble, made))
}

/** InsufficientVolumeCapacity (500), which says why. */
export function noPlace(sizeGib: number, reasons: readonly string[]): ApiError {
  const shown = reasons.slice(0, MAX_REASONS).join('; ') || 'no host of the zone serves volumes'
  const more = reasons.length - MAX_REASONS
  const text = `${shown}${more > 0 ? `; and ${more} more` : ''}`
  return new ApiError('InsufficientVolumeCapacity', `No room for ${sizeGib} GiB: ${text}`, 500)
}

function isBetter(a: VolumePlace, b: VolumePlace): boolean {
  const byRoom = leftOf(a) - leftOf(b)
  return byRoom === 0 ? compareText(a.host, b.host) < 0 : byRoom > 0
}

/** Less than nothing when more is promised than there is. */
function leftOf({ roomBytes, promisedBytes }: VolumePlace): number {
  return roomBytes - promisedBytes
}

function refusal(place: VolumePlace, bytes: number, overcommit: number): string {
  const { sizeBytes, roomBytes, why } = place
  if (why !== '') return why
  if (roomBytes < sizeBytes * LEAST_ROOM) {
    return `is full: ${gib(roomBytes)} of ${gib(sizeBytes)} GiB are free`
  }
  const left = leftOf(place) + (overcommit - 1) * sizeBytes
  if (bytes <= left) return ''
  return `has promised ${overcommit} times its ${gib(sizeBytes)} GiB but for ${gib(left)} GiB`
}

function gib(bytes: number): string {
  return (Math.max(0, bytes) / GIB).toFixed(1)
}

function placeOf(
  view: View,
  record: HostRecord,
  trouble: string,
  made: readonly VolumeRecord[],
): VolumePlace {
  const { rack, host, status } = record
  const store = status?.volumes
  const there = hostsOf(view, record).flatMap((name) =>
    [...view.by('volume', 'host', name), ...made]
      .filter((one) => one.rack === rack && one.host === name)
      .map(unwritten),
  )
  return {
    host,
    sizeBytes: store?.sizeBytes ?? 0,
    roomBytes: store?.roomBytes ?? 0,
    promisedBytes: there.reduce((sum, bytes) => sum + bytes, 0),
    why: trouble || hostTrouble(record),
    encrypts: store?.encrypts === true,
  }
}

/** Hosts of the rack that have the same store: what one has promised the others have, too. */
function hostsOf(view: View, { rack, host, status }: HostRecord): string[] {
  const store = status?.volumes === undefined ? null : sharedStore(status.volumes)
  if (store === null) return [host]
  return view
    .withPrefix('host', `${rack}/`)
    .filter(({ status: other }) => other?.volumes && sharedStore(other.volumes) === store)
    .map((one) => one.host)
}

/** What it may still take of its store. */
function unwritten({ sizeGib, encrypted, usedBytes = 0, state }: VolumeRecord): number {
  return state === 'deleting' ? 0 : Math.max(0, storedBytes(sizeGib, encrypted) - usedBytes)
}

function rackTrouble(view: View, rack: string): string {
  if (view.get('rack', rack)?.state === 'draining') return 'is in a rack that is being drained'
  return isRackConnected(view, rack) ? '' : 'is in a rack that is not connected'
}

function hostTrouble({ status, cordoned, drain, lostAtMs, storesNothing }: HostRecord): string {
  if (lostAtMs !== undefined) return 'is lost'
  if (drain !== undefined || storesNothing === true) return 'is being taken out'
  if (cordoned === true) return 'is cordoned'
  if (status?.connected !== true) return 'is not connected'
  if (status.draining) return 'is being taken out'
  // One that served some and serves none now says that it has no size.
  return (status.volumes?.sizeBytes ?? 0) === 0 ? 'serves no volumes' : ''
}
