// Attachments that no report ends: of instances that ended without a word of their host, and of
// volumes whose SC left for good.

import type { Log } from '../../common/log.ts'
import { afterGrants, afterInstance, withReleased, writersOf } from '../ebs/attachment-life.ts'
import { putVolume } from '../ebs/volume-writes.ts'
import type { InstanceRecord } from '../store/records.ts'
import type { State, Transaction, View } from '../store/state.ts'
import type { VolumeRecord } from '../store/volume-records.ts'

interface Parts {
  readonly state: State
  readonly log: Log
}

/** What hangs on other records than the volume's own. */
interface Around {
  readonly instances: ReadonlyMap<string, InstanceRecord | null>
  /** Hosts of this rack that are in the cloud. */
  readonly isHost: (host: string) => boolean
}

/** Volumes of one transaction: each needs some records. */
const BATCH = 100

/** Any number of gateways may do so at once. */
export async function tendAttachments({ state, log }: Parts): Promise<void> {
  const view = state.view()
  const due = view.all('volume').filter((one) => tended(one, aroundIn(view, one)) !== one)
  for (let at = 0; at < due.length; at += BATCH) {
    await state.update(async (tx) => {
      for (const { id } of due.slice(at, at + BATCH)) {
        const volume = await tx.get('volume', id)
        if (volume === null) continue
        await putVolume(tx, volume, tended(volume, await aroundInStore(tx, volume)), log)
      }
    })
  }
}

/**
 * An instance is lost with its host: nobody can write by what it had as soon as the SC hears of it.
 * Its volumes stay, also those that were to go with it: nobody asked for its end.
 */
export async function releaseLost(
  { tx, view, log }: { readonly tx: Transaction; readonly view: View; readonly log: Log },
  instance: string,
): Promise<void> {
  for (const { id } of view.by('volume', 'instances', instance)) {
    const volume = await tx.get('volume', id)
    if (volume === null) continue
    await putVolume(tx, volume, withReleased(volume, instance, { kept: true }), log)
  }
}

function tended(volume: VolumeRecord, { instances, isHost }: Around): VolumeRecord {
  let next = volume
  for (const { instance: id, host } of writersOf(volume)) {
    const instance = instances.get(id) ?? null
    if (instance === null || instance.state === 'terminated') next = withReleased(next, id)
    else if (instance.state === 'stopped' && !mayRun(instance, isHost)) {
      next = afterInstance(next, { instance: id, host, guest: 'stopped', plugged: [] })
    }
  }
  // Nobody serves it any more: there is nothing to wait for.
  return isHost(volume.host) ? next : afterGrants(next, [], () => true)
}

/** Given up by us, it may still be there. */
function mayRun({ host, observed }: InstanceRecord, isHost: (host: string) => boolean): boolean {
  return isHost(host) && observed !== null && observed.state !== 'stopped'
}

function aroundIn(view: View, { rack, instances }: VolumeRecord): Around {
  return {
    instances: new Map(instances.map((id) => [id, view.get('instance', id)])),
    isHost: (host) => host !== '' && view.get('host', rack, host) !== null,
  }
}

async function aroundInStore(tx: Transaction, volume: VolumeRecord): Promise<Around> {
  const instances = new Map<string, InstanceRecord | null>()
  const hosts = new Set([volume.host])
  for (const id of volume.instances) {
    const instance = await tx.get('instance', id)
    instances.set(id, instance)
    if (instance !== null) hosts.add(instance.host)
  }
  const there = new Set<string>()
  for (const host of hosts) {
    if (host !== '' && (await tx.get('host', volume.rack, host)) !== null) there.add(host)
  }
  return { instances, isHost: (host) => there.has(host) }
}
