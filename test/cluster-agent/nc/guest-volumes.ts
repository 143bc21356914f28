// Volumes for real guests: the SC's engine with a real tgtd on a simulated host, and attachments as
// the gateway would say them.

import { join } from 'node:path'
import { create } from '@bufbuild/protobuf'
import type { VolumeBackend, VolumeId } from '../../../cluster-agent/sc/volumes/backend.ts'
import { fileBackend } from '../../../cluster-agent/sc/volumes/files.ts'
import { reconcileVolumes, type VolumesParts } from '../../../cluster-agent/sc/volumes/reconcile.ts'
import { LUN } from '../../../cluster-agent/sc/volumes/targets.ts'
import { tgtTargets } from '../../../cluster-agent/sc/volumes/tgt.ts'
import {
  type Grant,
  parseWantedVolume,
  type WantedVolume,
} from '../../../cluster-agent/sc/volumes/wanted.ts'
import { randomHex, systemClock } from '../../../common/clock.ts'
import type { Exec } from '../../../common/exec.ts'
import { silentLog } from '../../../common/log.ts'
import {
  type VolumeAttachment,
  VolumeAttachmentSchema,
} from '../../../proto/gen/mallee/v1/volumes_pb.js'
import type { SimulatedHost } from '../../support/netns.ts'
import { NO_RESTORES } from '../../support/no-restores.ts'

const PORTAL = '[::1]:3260'

export class GuestVolumes {
  readonly backend: VolumeBackend
  readonly #exec: Exec
  readonly #parts: VolumesParts
  readonly #wanted = new Map<string, WantedVolume>()

  private constructor(exec: Exec, parts: VolumesParts) {
    this.backend = parts.backend
    this.#exec = exec
    this.#parts = parts
  }

  static async open({ exec, paths }: SimulatedHost): Promise<GuestVolumes> {
    const { runDir, stateDir } = paths
    const backend = await fileBackend(exec, stateDir)
    const files = { socket: join(runDir, 'tgtd'), log: join(runDir, 'tgtd.log') }
    return new GuestVolumes(exec, {
      ...{ randomHex, log: silentLog, backend, portal: PORTAL },
      restores: NO_RESTORES,
      ledgers: join(stateDir, 'ledgers'),
      targets: tgtTargets({ exec, clock: systemClock, files }),
    })
  }

  /** Makes it so that a volume has this size and is granted to this generation; 0 to none. */
  async grant(
    n: number,
    generation: number,
    sizeBytes: number,
    encryptionKey?: string,
  ): Promise<VolumeId> {
    const id = volumeId(n)
    const fields = { id, sizeBytes, targetIqn: iqn(id), multiAttach: false, deleted: false }
    const parsed = parseWantedVolume({
      ...fields,
      ...(encryptionKey === undefined ? {} : { encryptionKey }),
      source: null,
      grants:
        generation === 0
          ? []
          : [{ ...grantOf(n, generation), targetIqn: iqn(`${generation}:${id}`) }],
    })
    if (!parsed.ok) throw new Error(parsed.why)
    this.#wanted.set(id, parsed.value)
    await this.pass()
    return parsed.value.id
  }

  async pass(): Promise<void> {
    const { failed } = await reconcileVolumes(this.#parts, [...this.#wanted.values()])
    if (failed > 0) throw new Error(`${failed} volumes failed`)
  }

  /** As when the SC dies. */
  async kill(): Promise<void> {
    const pid = await this.#parts.targets.process()
    await this.#exec(['kill', '-KILL', String(pid)])
  }
}

/** What an instance is told of a volume. */
export function attachment(
  n: number,
  generation: number,
  sizeBytes: number,
  more: Partial<Pick<VolumeAttachment, 'boot' | 'iops' | 'encryptionKey'>> = {},
): VolumeAttachment {
  const { attachment: name, initiatorIqn, chapUser, chapSecret } = grantOf(n, generation)
  const id = volumeId(n)
  return create(VolumeAttachmentSchema, {
    ...{ volumeId: id, attachment: name, initiatorIqn, chapUser, chapSecret, lun: LUN },
    ...{
      portal: PORTAL,
      targetIqn: iqn(`${generation}:${id}`),
      serial: serialOf(n),
      deviceName: `/dev/sd${n}`,
    },
    generation: BigInt(generation),
    sizeBytes: BigInt(sizeBytes),
    ...more,
  })
}

export function serialOf(n: number): string {
  return volumeId(n).replace('-', '')
}

export function volumeId(n: number): string {
  return `vol-${String(n).padStart(17, '0')}`
}

function iqn(name: string): string {
  return `iqn.2026-01.cloud.mallee:${name}`
}

function grantOf(n: number, generation: number): Grant {
  const name = `attach-${n}-${generation}`
  const secret = `secret-of-${name}-0123456789`
  return {
    ...{ attachment: name, generation, initiatorIqn: iqn(name) },
    ...{ chapUser: name, chapSecret: secret },
  }
}
