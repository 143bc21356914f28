// Hosts that keep bytes of objects do not leave the cloud with them: who takes one out hears what
// to do first. What the index knows of them is in another store than hosts are, so a host is
// marked, what was on its way there gets its time, and then it is looked.

import type { Clock } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import { rackStore } from '../s3/racks/store.ts'
import type { HostRecord } from '../store/records.ts'
import type { State, View } from '../store/state.ts'

/** For a write that has looked at the host's record just before it was marked, to be committed. */
const SETTLE_MS = 1_000

export interface ObjectHostParts {
  readonly state: State
  readonly clock: Clock
  /** The id of a bucket with bytes on a disk of a rack; null when there are none. */
  readonly bucketOn: (rack: string, disk: string) => Promise<string | null>
}

/**
 * Takes hosts of a rack out by `remove` when no bytes of objects are there, and none come any more.
 * Throws Conflict that says which bucket is in the way, and what `remove` throws.
 */
export async function withoutObjects(
  parts: ObjectHostParts,
  rack: string,
  hosts: readonly string[],
  remove: () => Promise<void>,
): Promise<void> {
  const view = await parts.state.fresh()
  const storing = hosts.filter((host) => disksOf(view.get('host', rack, host)).length > 0)
  if (storing.length === 0) return remove()
  checkPlaces(view, rack, hosts)
  await checkDisks(parts, view, rack, storing)
  await mark(parts, rack, storing, true)
  try {
    await parts.clock.sleep(SETTLE_MS)
    await checkDisks(parts, await parts.state.fresh(), rack, storing)
    await remove()
  } catch (error) {
    await mark(parts, rack, storing, false)
    throw error
  }
}

/** The racks' last disks stay as long as buckets are to be there. */
function checkPlaces(view: View, rack: string, hosts: readonly string[]): void {
  const others = view.withPrefix('host', `${rack}/`).filter(({ host }) => !hosts.includes(host))
  if (others.some((one) => disksOf(one).length > 0)) return
  checkNoBuckets(view, rack)
}

/** Throws Conflict while buckets are to be in the rack. */
export function checkNoBuckets(view: View, rack: string): void {
  const there = view.all('bucket').filter(({ store }) => store === rackStore(rack))
  const [first] = there
  if (first === undefined) return
  const sentence = `rack ${rack} has the bytes of ${there.length} buckets`
  throw new MalleeError('Conflict', `${sentence}: ${adviceFor(first.name)}`)
}

async function checkDisks(
  { bucketOn }: ObjectHostParts,
  view: View,
  rack: string,
  hosts: readonly string[],
): Promise<void> {
  for (const host of hosts) {
    for (const { id } of disksOf(view.get('host', rack, host))) {
      const bucket = id === '' ? null : await bucketOn(rack, id)
      if (bucket === null) continue
      const name = view.all('bucket').find((one) => one.id === bucket)?.name
      const whose = name === undefined ? 'a bucket that was deleted' : `bucket ${name}`
      const advice = name === undefined ? 'they go within an hour' : adviceFor(name)
      throw new MalleeError('Conflict', `host ${host} keeps bytes of ${whose}: ${advice}`)
    }
  }
}

function adviceFor(bucket: string): string {
  return `mallee bucket move ${bucket} --to local, and an hour later nobody reads them there`
}

async function mark(
  { state }: ObjectHostParts,
  rack: string,
  hosts: readonly string[],
  isLeaving: boolean,
): Promise<void> {
  await state.update(async (tx) => {
    for (const host of hosts) {
      const record = await tx.get('host', rack, host)
      if (record === null) continue
      const { storesNothing: _, ...rest } = record
      await tx.put('host', [rack, host], isLeaving ? { ...rest, storesNothing: true } : rest)
    }
  })
}

function disksOf(record: HostRecord | null) {
  return record?.status?.disks ?? []
}
