// Random changes of volumes, of what they were made from, and of where they are served.

import fc from 'fast-check'
import type { VolumeAttachmentRecord, VolumeRecord } from '../../../gateway/store/volume-records.ts'
import { each, record } from './change.ts'
import { host, type Write } from './records.ts'

/** A volume of 8 GiB in rack a, that nobody has. */
export function volume(id: string, more: Partial<VolumeRecord> = {}): VolumeRecord {
  return {
    ...{ id, account: '1', rack: 'a', host: 'a1', sizeGib: 8, type: 'gp3', iops: 3_000 },
    ...{ throughputMibps: 125, encrypted: false, snapshot: '', instances: [], multiAttach: false },
    ...{ state: 'ready', generation: 0, attachments: [], clientToken: '', createdAtMs: 0 },
    ...more,
  }
}

const someAttachment: fc.Arbitrary<VolumeAttachmentRecord> = fc
  .record({
    instance: fc.constantFrom('i-1', 'i-2'),
    device: fc.constantFrom('/dev/sdf', '/dev/sda1'),
    state: fc.constantFrom('attaching', 'attached', 'detaching', 'released'),
    granted: fc.boolean(),
  })
  .map((fields) => ({
    ...{ id: `att-${fields.instance}`, generation: 1, host: 'a1', deleteOnTermination: false },
    ...{ attachedAtMs: 0, chapUser: 'u', sealedChapSecret: 's', ...fields },
  }))

export const someVolume: fc.Arbitrary<Write> = fc.oneof(
  each(['vol-1', 'vol-2'], (id) =>
    record(
      `volume/${id}`,
      fc
        .record({
          rack: fc.constantFrom('a', 'b'),
          sizeGib: fc.constantFrom(1, 2),
          snapshot: fc.constantFrom('', 'snap-1', 'snap-2'),
          state: fc.constantFrom('creating', 'ready', 'deleting'),
          sealedKey: fc.constantFrom(undefined, 'k'),
          attachments: fc.uniqueArray(someAttachment, {
            maxLength: 2,
            selector: ({ id: of }) => of,
          }),
        })
        .map(({ rack, sealedKey, attachments, ...fields }) =>
          volume(id, {
            ...{ rack, host: `${rack}1`, attachments, ...fields },
            instances: attachments.map(({ instance }) => instance),
            ...(sealedKey !== undefined && { sealedKey, encrypted: true }),
          }),
        ),
    ),
  ),
  each(['snap-1', 'snap-2'], (id) =>
    record(
      `volume-snapshot/${id}`,
      fc
        .record({
          manifest: fc.constantFrom('', 'm1', 'm2'),
          base: fc.constantFrom('', 'snap-1', 'snap-2'),
          state: fc.constantFrom('pending', 'completed', 'error'),
          startedAtMs: fc.constantFrom(1, 2),
          released: fc.boolean(),
        })
        .map((fields) => ({
          ...{ id, account: '1', volume: 'vol-1', volumeSizeGib: 1, description: '' },
          ...{ encrypted: false, progressPercent: 0, rack: 'a', host: 'a1', group: '' },
          ...{ groupSize: 0, dataBytes: 0, readBytes: 0, sentBytes: 0, isPublic: false },
          ...{ sharedWith: [], clientToken: '', completedAtMs: null, deletedAtMs: null },
          ...fields,
        })),
    ),
  ),
  fc
    .record({
      rack: fc.constantFrom('a', 'b'),
      portal: fc.constantFrom('', '[fd12::1]:1', '[fd12::2]:1'),
      pool: fc.constantFrom('', 'one', 'two'),
    })
    .map(({ rack, portal, pool }): Write => {
      const one = host(rack, `${rack}1`, 1, rack.toUpperCase())
      const rbd = { fsid: 'f', monitors: ['192.0.2.9:3300'], pool, namespace: 'c' }
      const store = { portal, backend: 'files', sizeBytes: 1, roomBytes: 1, snapshots: true }
      const volumes = pool === '' ? store : { ...store, rbd }
      const status = one.status && { ...one.status, volumes }
      return [`host/${rack}/${rack}1`, { ...one, status }]
    }),
)
