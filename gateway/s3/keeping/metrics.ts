// What is counted of the storage of objects, in Prometheus' terms.

import { Counter, Gauge, type Registry } from 'prom-client'
import type { ObjectMetrics } from './keeper.ts'
import { NOTHING } from './lifecycle-walk.ts'

const DISK_STATES = ['ok', 'full', 'failing', 'away']

export function objectMetrics(registers: Registry[]): ObjectMetrics {
  const gauge = (name: string, help: string, labelNames: string[] = []): Gauge =>
    new Gauge({ name, help, labelNames, registers })
  const objects = gauge('mallee_objects', 'Versions of objects by where their bytes are', ['in'])
  const objectBytes = gauge('mallee_object_bytes', 'Their bytes', ['in'])
  const blobs = gauge('mallee_blobs', 'Blobs in the stores of bytes, orphans too')
  const blobBytes = gauge('mallee_blob_bytes', 'What they take, checksums included')
  const garbage = gauge('mallee_object_garbage', 'Entries of garbage that wait')
  const damaged = gauge('mallee_blobs_damaged', 'Blobs that the scrubber found damaged or gone')
  const disks = gauge('mallee_object_disks', 'Disks of objects by state', ['state'])
  const rackDisks = gauge('mallee_rack_object_disks', "Racks' disks of objects by state", ['state'])
  const rackBytes = gauge('mallee_rack_object_disk_bytes', 'Their size, and the room left', [
    'what',
  ])
  const orphans = new Counter({
    name: 'mallee_orphaned_blobs_total',
    help: "Blobs that were nobody's and were removed",
    registers,
  })
  const expired = new Counter({
    name: 'mallee_lifecycle_expired_total',
    help: 'What lifecycle rules removed, and what they would have and is locked',
    labelNames: ['what'],
    registers,
  })
  for (const what of Object.keys(NOTHING)) expired.inc({ what }, 0)
  const roundEnded = gauge('mallee_lifecycle_round_seconds', 'When the last round ended, Unix time')
  return {
    lifecycleExpired: (counts) => {
      for (const [what, count] of Object.entries(counts)) expired.inc({ what }, count)
    },
    lifecycleRoundEnded: (atMs) => roundEnded.set(atMs / 1_000),
    setObjects: ({ objects: current, olderVersions, bytes, inlineObjects, inlineBytes }) => {
      objects.set({ in: 'index' }, inlineObjects)
      objects.set({ in: 'blobs' }, current + olderVersions - inlineObjects)
      objectBytes.set({ in: 'index' }, inlineBytes)
      objectBytes.set({ in: 'blobs' }, bytes - inlineBytes)
    },
    setBlobs: ({ blobs: count, bytes }) => {
      blobs.set(count)
      blobBytes.set(bytes)
    },
    orphansRemoved: (count) => orphans.inc(count),
    setGarbage: (entries) => garbage.set(entries),
    setDamaged: (count) => damaged.set(count),
    setRackDisks: (all) => {
      for (const state of DISK_STATES) {
        rackDisks.set({ state }, all.filter((one) => one.state === state).length)
      }
      rackBytes.set(
        { what: 'size' },
        all.reduce((sum, one) => sum + one.sizeBytes, 0),
      )
      rackBytes.set(
        { what: 'room' },
        all.reduce((sum, one) => sum + one.roomBytes, 0),
      )
    },
    setDisks: (byState) => {
      for (const state of DISK_STATES) disks.set({ state }, byState[state] ?? 0)
    },
  }
}
