// The storage controller as a part of an agent, with its volumes in a real Ceph: from what a
// gateway wants to what it is told.

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import type { VolumeCeph } from '../../cluster-agent/sc/ceph/config.ts'
import { volumesInCeph } from '../../cluster-agent/sc/ceph/open.ts'
import type { SnapshotId } from '../../cluster-agent/sc/volumes/backend.ts'
import { type VolumesRole, volumesRole } from '../../cluster-agent/sc/volumes/role.ts'
import { randomHex, systemClock } from '../../common/clock.ts'
import { exec } from '../../common/exec.ts'
import { silentLog } from '../../common/log.ts'
import { RackConfigSchema } from '../../proto/gen/mallee/v1/desired_pb.js'
import { VolumeSchema, VolumeSnapshotSchema } from '../../proto/gen/mallee/v1/volumes_pb.js'
import { type Desired, resource } from '../../proto/resources.ts'
import type { SnapshotBlocksEnd } from '../../proto/snapshot-blocks.ts'

export async function startRole(
  dir: string,
  ceph: VolumeCeph,
  { host, endOf }: { host: string; endOf: (id: SnapshotId) => SnapshotBlocksEnd },
): Promise<VolumesRole> {
  await mkdir(dir)
  const paths = { stateDir: dir, runDir: join(dir, 'run'), configFile: join(dir, 'agent.json') }
  const own = { exec, clock: systemClock, log: silentLog, paths }
  return volumesRole({
    ...{ ...own, randomHex, endOf, isAlive: () => true, config: { host } },
    ...volumesInCeph({ ...own, cloud: 'test' }, ceph),
  })
}

/** A rack with one volume of that host's, and snapshots of it. */
export function desiredOf(
  volume: MessageInitShape<typeof VolumeSchema>,
  snapshots: readonly MessageInitShape<typeof VolumeSnapshotSchema>[] = [],
): Desired {
  const rack = create(RackConfigSchema, { rack: 'a' })
  const one = create(VolumeSchema, volume)
  return new Map([
    ['rack', resource('rack', { case: 'rack', value: rack })],
    [`volume/${one.id}`, resource(`volume/${one.id}`, { case: 'volume', value: one })],
    ...snapshots.map((snapshot) => {
      const value = create(VolumeSnapshotSchema, snapshot)
      const key = `snapshot/${value.id}`
      return [key, resource(key, { case: 'volumeSnapshot', value })] as const
    }),
  ])
}
