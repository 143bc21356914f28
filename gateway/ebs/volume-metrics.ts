// Volumes, their attachments and the hosts that serve them in Prometheus' terms.

import { Gauge, type Registry } from 'prom-client'
import type { View } from '../store/state.ts'
import type { VolumeAttachmentRecord } from '../store/volume-records.ts'
import { type ShownVolumeState, shownState } from './volume-shape.ts'

export interface VolumeMetrics {
  readonly setVolumes: (volumes: VolumesMetric) => void
}

export interface VolumesMetric {
  readonly byState: Readonly<Record<ShownVolumeState, number>>
  readonly gib: number
  readonly attachments: Readonly<Record<VolumeAttachmentRecord['state'], number>>
  /** Attachments of which a host says that something is in their way. */
  readonly inTrouble: number
  /** Hosts with the role sc that serve volumes, and those that do not (now). */
  readonly hosts: { readonly yes: number; readonly no: number }
  /** Of what holds volumes, together. */
  readonly sizeBytes: number
  readonly roomBytes: number
}

export function volumesIn(view: View): VolumesMetric {
  const byState = { creating: 0, available: 0, 'in-use': 0, deleting: 0, error: 0 }
  const attachments = { attaching: 0, attached: 0, detaching: 0, released: 0 }
  let [gib, inTrouble] = [0, 0]
  for (const volume of view.all('volume')) {
    byState[shownState(volume)] += 1
    gib += volume.sizeGib
    for (const { state, trouble } of volume.attachments) {
      attachments[state] += 1
      if (trouble !== undefined) inTrouble += 1
    }
  }
  return { byState, gib, attachments, inTrouble, ...storesIn(view) }
}

function storesIn(view: View): Pick<VolumesMetric, 'hosts' | 'sizeBytes' | 'roomBytes'> {
  const all = view.all('host').filter(({ roles }) => roles.includes('sc'))
  const serving = all
    .flatMap(({ status }) => status?.volumes ?? [])
    .filter(({ sizeBytes }) => sizeBytes > 0)
  return {
    hosts: { yes: serving.length, no: all.length - serving.length },
    sizeBytes: serving.reduce((sum, one) => sum + one.sizeBytes, 0),
    roomBytes: serving.reduce((sum, one) => sum + one.roomBytes, 0),
  }
}

export function volumeMetrics(registers: Registry[]): VolumeMetrics {
  const gauge = (name: string, help: string): Gauge => new Gauge({ name, help, registers })
  const byState = (name: string, help: string): Gauge<'state'> =>
    new Gauge({ name, help, labelNames: ['state'], registers })
  const volumes = byState('mallee_volumes', 'Volumes by state')
  const size = gauge('mallee_volumes_gib', 'Sizes of all volumes together, in GiB')
  const attached = byState(
    'mallee_volume_attachments',
    'Attachments of volumes by state; a released one waits for its SC alone',
  )
  const troubled = gauge(
    'mallee_volume_attachments_in_trouble',
    'Attachments of volumes that something is in the way of',
  )
  const label = <L extends string>(name: string, help: string, of: L): Gauge<L> =>
    new Gauge({ name, help, labelNames: [of], registers })
  const hosts = label('mallee_volume_hosts', 'Hosts with the role sc that serve volumes', 'serves')
  const bytes = label('mallee_volume_store_bytes', 'Of what holds volumes: size and room', 'what')
  const setAll = (one: Gauge<'state'>, counts: Readonly<Record<string, number>>): void => {
    for (const [state, count] of Object.entries(counts)) one.set({ state }, count)
  }
  return {
    setVolumes: ({ byState: counts, gib, attachments, inTrouble, ...stores }) => {
      setAll(volumes, counts)
      size.set(gib)
      setAll(attached, attachments)
      troubled.set(inTrouble)
      for (const serves of ['yes', 'no'] as const) hosts.set({ serves }, stores.hosts[serves])
      bytes.set({ what: 'size' }, stores.sizeBytes)
      bytes.set({ what: 'room' }, stores.roomBytes)
    },
  }
}
