// Hosts that have volumes' bytes do not leave the cloud with them; with a host that is lost for
// good its volumes are in error, and deleting one of them takes the record away.

import { MalleeError } from '../../common/errors.ts'
import type { Log } from '../../common/log.ts'
import type { State, Transaction, View } from '../store/state.ts'
import type { VolumeRecord } from '../store/volume-records.ts'
import { afterLostHost } from './volume-life.ts'

/** Volumes of one transaction. */
const BATCH = 200
/** Volumes that a refusal names. */
const MAX_NAMED = 5

interface HostName {
  readonly rack: string
  readonly host: string
}

export function volumesOn(view: View, { rack, host }: HostName): VolumeRecord[] {
  return view.by('volume', 'host', host).filter((one) => one.rack === rack)
}

/** Throws Conflict for a host that has bytes of volumes. See holdVolumes. */
export function checkNoVolumes(view: View, place: HostName): void {
  const there = volumesOn(view, place)
  if (there.length === 0) return
  const ids = there.slice(0, MAX_NAMED).map(({ id }) => id)
  const more = there.length - ids.length
  const names = `${ids.join(', ')}${more > 0 ? ` and ${more} more` : ''}`
  const sentence = `host ${place.host} has ${there.length} volumes: ${names}`
  throw new MalleeError('Conflict', `${sentence}; snapshot and delete them first`)
}

/** A mirror that is asked after this shows all volumes that are there when `tx` commits. */
export async function holdVolumes(tx: Transaction, { rack, host }: HostName): Promise<void> {
  await tx.get('volume-placed', rack, host)
}

/** Puts volumes of a host that never comes back into error. Any number of gateways may. */
export async function loseVolumes(
  { state, log }: { readonly state: State; readonly log: Log },
  place: HostName,
): Promise<void> {
  for (;;) {
    const left = volumesOn(await state.fresh(), place).slice(0, BATCH)
    if (left.length === 0) return
    const isLost = await state.update(async (tx) => {
      if ((await tx.get('host', place.rack, place.host))?.lostAtMs === undefined) return false
      for (const { id } of left) await lose(tx, place, id)
      return true
    })
    if (!isLost) return
    for (const { id } of left) log.warn('volume lost with its host', { volume: id, ...place })
  }
}

async function lose(tx: Transaction, { rack, host }: HostName, id: string): Promise<void> {
  const volume = await tx.get('volume', id)
  if (volume === null || volume.rack !== rack || volume.host !== host) return
  const next = afterLostHost(volume, tx.nowMs())
  if (next !== null) await tx.put('volume', [id], next)
  else await forgetVolume(tx, id)
}

/** Takes the record away, and what goes with it. */
export async function forgetVolume(tx: Transaction, id: string): Promise<void> {
  await tx.delete('tags', id)
  await tx.delete('volume', id)
}
