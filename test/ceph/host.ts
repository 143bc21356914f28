// A storage controller with its volumes in a real Ceph: an agent's parts, made anew at will.

import { join } from 'node:path'
import type { QemuVolume } from '../../cluster-agent/host/qemu-volumes.ts'
import type { VolumeCeph } from '../../cluster-agent/sc/ceph/config.ts'
import { volumesInCeph } from '../../cluster-agent/sc/ceph/open.ts'
import { Restores } from '../../cluster-agent/sc/restore/restores.ts'
import type { SnapshotId, VolumeBackend } from '../../cluster-agent/sc/volumes/backend.ts'
import type { Place } from '../../cluster-agent/sc/volumes/place.ts'
import type { VolumeStatus } from '../../cluster-agent/sc/volumes/reconcile.ts'
import { reconcileVolumes } from '../../cluster-agent/sc/volumes/reconcile.ts'
import type { VolumeTargets } from '../../cluster-agent/sc/volumes/targets.ts'
import {
  type Grant,
  parseWantedVolume,
  type SnapshotSource,
  type WantedVolume,
} from '../../cluster-agent/sc/volumes/wanted.ts'
import { randomHex, systemClock } from '../../common/clock.ts'
import { exec } from '../../common/exec.ts'
import { silentLog } from '../../common/log.ts'
import type { SnapshotBlocksEnd } from '../../proto/snapshot-blocks.ts'

export const MIB = 1 << 20
const SIZE_BYTES = 64 * MIB

export class CephHost {
  readonly backend: VolumeBackend
  readonly targets: VolumeTargets
  readonly restores: Restores
  readonly look: Awaited<ReturnType<Place['look']>>
  readonly #ledgers: string

  private constructor(
    parts: Pick<CephHost, 'backend' | 'targets' | 'restores' | 'look'>,
    dir: string,
  ) {
    this.backend = parts.backend
    this.targets = parts.targets
    this.restores = parts.restores
    this.look = parts.look
    this.#ledgers = join(dir, 'ledgers')
  }

  /** As after a start: it knows nothing but what it finds. */
  static async open(
    dir: string,
    ceph: VolumeCeph,
    endOf: (id: SnapshotId) => SnapshotBlocksEnd,
  ): Promise<CephHost> {
    const paths = { stateDir: dir, runDir: join(dir, 'run'), configFile: join(dir, 'agent.json') }
    const own = { exec, clock: systemClock, log: silentLog, paths, cloud: 'test' }
    const { place, targets } = volumesInCeph(own, ceph)
    const [look, backend] = [await place.look(), await place.open()]
    const restores = await Restores.open({
      ...{ exec, clock: systemClock, chance: () => 0, log: silentLog, backend, endOf },
      ...{ ledgers: join(dir, 'restores'), runDir: join(dir, 'run', 'restores') },
      ...{ bootId: '0'.repeat(36), changed: () => undefined },
    })
    return new CephHost({ backend, targets, restores, look }, dir)
  }

  async pass(wanted: readonly WantedVolume[]): Promise<readonly VolumeStatus[]> {
    const { backend, targets, restores } = this
    const parts = { randomHex, log: silentLog, backend, targets, restores }
    const portal = this.look.rbd?.monitors[0] ?? ''
    const made = { ...parts, ledgers: this.#ledgers, portal }
    const { statuses, failed } = await reconcileVolumes(made, wanted)
    if (failed > 0) throw new Error(statuses.map(({ reason }) => reason).join('; '))
    return statuses
  }

  /** What an instance's host is told of a volume. */
  attachment({ id }: WantedVolume, grant: Grant, more: Partial<QemuVolume> = {}): QemuVolume {
    const { attachment, generation, initiatorIqn, chapUser, chapSecret } = grant
    const { rbd } = this.look
    if (rbd === undefined) throw new Error('this host is not in Ceph')
    return {
      ...{ volumeId: id, attachment, generation, initiatorIqn, chapUser, chapSecret },
      ...{ portal: '', targetIqn: '', lun: 1, serial: id.replace('-', ''), sizeBytes: SIZE_BYTES },
      ...{ iops: 0, bytesPerS: 0, isBoot: false, encryptionKey: null },
      rbd: { ...rbd, image: id },
      ...more,
    }
  }
}

export function wantedVolume(
  n: number,
  fields: Partial<Omit<WantedVolume, 'source'>> & { readonly source?: SnapshotSource } = {},
): WantedVolume {
  const id = `vol-${String(n).padStart(17, '0')}`
  const wanted = parseWantedVolume({
    ...{ sizeBytes: SIZE_BYTES, targetIqn: `iqn.2026-01.org.mallee:${id}`, multiAttach: false },
    ...{ grants: [], deleted: false, source: null },
    ...fields,
    id,
  })
  if (!wanted.ok) throw new Error(wanted.why)
  return wanted.value
}

export function grantOf(n: number, generation: number): Grant {
  const attachment = `att-${String(n).padStart(8, '0')}${String(generation).padStart(9, '0')}`
  return {
    ...{ attachment, generation, chapUser: attachment, chapSecret: randomHex(16) },
    initiatorIqn: `iqn.2026-01.org.mallee:${attachment}`,
  }
}
