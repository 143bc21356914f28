// Volumes, their attachments, the hosts that serve them and the snapshots that these bring, in
// Prometheus' terms. Only operators make racks, so each has series of its own.

import { Gauge, type Registry } from 'prom-client'
import { sharedStore } from '../store/disk-records.ts'
import type { View } from '../store/state.ts'
import type { SnapshotRecord } from '../store/volume-records.ts'
import { presentShape } from './modification-life.ts'
import { shownState } from './volume-shape.ts'

export interface VolumeMetrics {
  readonly setVolumes: (view: View) => void
}

const STATES = ['creating', 'available', 'in-use', 'deleting', 'error'] as const
const UPLOAD_STATES = ['waiting', 'sending', 'completed', 'failed'] as const
const ATTACHMENT_STATES = ['attaching', 'attached', 'detaching', 'released'] as const

export function volumeMetrics(registers: Registry[]): VolumeMetrics {
  const gauge = <L extends string>(name: string, help: string, labelNames: L[]): Gauge<L> =>
    new Gauge({ name, help, labelNames, registers })
  const volumes = gauge('mallee_volumes', 'Volumes by rack and state', ['rack', 'state'])
  const gib = gauge('mallee_volumes_gib', 'Their sizes together, in GiB', ['rack', 'state'])
  const used = gauge('mallee_volume_used_bytes', 'What volumes take on their hosts', ['rack'])
  const missing = gauge('mallee_volume_missing_bytes', 'Of their snapshots, to come', ['rack'])
  const stores = gauge('mallee_volume_store_bytes', "Racks' stores of volumes, and their room", [
    ...(['rack', 'what'] as const),
  ])
  const hosts = gauge('mallee_volume_hosts', 'Hosts with the role sc that serve volumes, or not', [
    ...(['rack', 'serves'] as const),
  ])
  const attached = gauge(
    'mallee_volume_attachments',
    'Attachments of volumes by state; a released one waits for its SC alone',
    ['state'],
  )
  const troubled = gauge(
    'mallee_volume_attachments_in_trouble',
    'Attachments of volumes that something is in the way of',
    [],
  )
  const restores = gauge(
    'mallee_volume_restores',
    'Volumes of snapshots of which something is still to come',
    ['rack'],
  )
  const uploads = gauge(
    'mallee_snapshot_uploads',
    "Snapshots that racks' hosts take and send: not taken yet, being sent, done, or failed",
    ['rack', 'state'],
  )
  const bytes = gauge(
    'mallee_snapshot_upload_bytes',
    'Of those that are done: what was read of volumes, what of it was sent, and all their blocks',
    ['rack', 'what'],
  )
  const all = [
    restores,
    uploads,
    bytes,
    volumes,
    gib,
    used,
    missing,
    stores,
    hosts,
    attached,
    troubled,
  ]

  const setUploads = (view: View): void => {
    for (const one of view.all('volume-snapshot')) {
      const { rack, host, deletedAtMs } = one
      // Copies, imports and those of direct APIs come from no host.
      if (host === '' || deletedAtMs !== null) continue
      const state = uploadState(one)
      uploads.inc({ rack, state })
      if (state !== 'completed') continue
      bytes.inc({ rack, what: 'read' }, one.readBytes)
      bytes.inc({ rack, what: 'sent' }, one.sentBytes)
      bytes.inc({ rack, what: 'data' }, one.dataBytes)
    }
  }
  const setStores = (view: View): void => {
    for (const { name: rack } of view.all('rack')) {
      for (const state of STATES) volumes.set({ rack, state }, 0)
      for (const state of UPLOAD_STATES) uploads.set({ rack, state }, 0)
    }
    const counted = new Set<string>()
    for (const { rack, roles, status } of view.all('host')) {
      if (!roles.includes('sc')) continue
      const { sizeBytes = 0, roomBytes = 0 } = status?.volumes ?? {}
      hosts.inc({ rack, serves: sizeBytes > 0 ? 'yes' : 'no' })
      // Several hosts may have one store.
      const store = status?.volumes === undefined ? null : sharedStore(status.volumes)
      if (store !== null && counted.has(`${rack} ${store}`)) continue
      if (store !== null && sizeBytes > 0) counted.add(`${rack} ${store}`)
      stores.inc({ rack, what: 'size' }, sizeBytes)
      stores.inc({ rack, what: 'room' }, roomBytes)
    }
  }
  return {
    setVolumes: (view) => {
      for (const one of all) one.reset()
      for (const state of ATTACHMENT_STATES) attached.set({ state }, 0)
      setStores(view)
      setUploads(view)
      for (const volume of view.all('volume')) {
        const { rack, usedBytes = 0, missingBytes = 0, attachments } = volume
        const labels = { rack, state: shownState(volume) }
        volumes.inc(labels)
        gib.inc(labels, presentShape(volume).sizeGib)
        used.inc({ rack }, usedBytes)
        missing.inc({ rack }, missingBytes)
        if (missingBytes > 0) restores.inc({ rack })
        for (const { state, trouble } of attachments) {
          attached.inc({ state })
          if (trouble !== undefined) troubled.inc()
        }
      }
    },
  }
}

function uploadState({ state, takenAtMs }: SnapshotRecord): (typeof UPLOAD_STATES)[number] {
  if (state === 'completed') return 'completed'
  if (state === 'error') return 'failed'
  return takenAtMs === undefined ? 'waiting' : 'sending'
}
