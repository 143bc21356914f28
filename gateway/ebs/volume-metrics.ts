// Volumes and their attachments in Prometheus' terms.

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
  return { byState, gib, attachments, inTrouble }
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
  const setAll = (one: Gauge<'state'>, counts: Readonly<Record<string, number>>): void => {
    for (const [state, count] of Object.entries(counts)) one.set({ state }, count)
  }
  return {
    setVolumes: ({ byState: counts, gib, attachments, inTrouble }) => {
      setAll(volumes, counts)
      size.set(gib)
      setAll(attached, attachments)
      troubled.set(inTrouble)
    },
  }
}
