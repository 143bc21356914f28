// Makes the volumes of this host true: observe, plan, apply. What one volume cannot have keeps no
// other from what it shall have.

import { mkdir } from 'node:fs/promises'
import type { RandomHex } from '../../../common/clock.ts'
import { codeOf, messageOf } from '../../../common/errors.ts'
import type { Log } from '../../../common/log.ts'
import { never } from '../../../topology/result.ts'
import type { Restores } from '../restore/restores.ts'
import type { VolumeBackend, VolumeId } from './backend.ts'
import { type InForce, readLedger, writeLedger } from './ledger.ts'
import { planVolumes, type Seen, type SeenVolume, type VolumeStep } from './plan.ts'
import { grantsInForce } from './target-plan.ts'
import type { VolumeTargets } from './targets.ts'
import type { WantedVolume } from './wanted.ts'

export interface VolumesParts {
  readonly randomHex: RandomHex
  readonly log: Log
  readonly backend: VolumeBackend
  /** Folder of the ledgers: lost, every volume looks new, and what was taken back may return. */
  readonly ledgers: string
  readonly targets: VolumeTargets
  /**
   * Where they are served: an address of the storage network (IPv6 in brackets), colon, port. Null
   * as long as there is none: then nothing new is granted.
   */
  readonly portal: string | null
  readonly restores: VolumeRestores
}

/** Volumes whose snapshot still comes. */
export type VolumeRestores = Pick<
  Restores,
  'file' | 'look' | 'begin' | 'show' | 'interrupt' | 'end' | 'status'
>

export interface VolumeStatus {
  readonly id: VolumeId
  /** `error`: it has no bytes. */
  readonly state: 'ready' | 'deleted' | 'error'
  /** What is wrong, of a volume that is ready too; empty when nothing is. */
  readonly reason: string
  /** Who can log in now. */
  readonly grants: readonly GrantInForce[]
  readonly sizeBytes: number
  readonly usedBytes: number
  /** Of its snapshot, still to come. */
  readonly missingBytes: number
  /** What it was to grow to, and there is no room for; 0 when there is nothing such. */
  readonly refusedBytes: number
}

interface GrantInForce extends Pick<InForce, 'attachment' | 'generation'> {
  /** Is it at a target of its own? */
  readonly ownTarget: boolean
}

export interface VolumesPass {
  readonly statuses: readonly VolumeStatus[]
  readonly steps: number
  /** Volumes with a step that failed: another pass may mend it. */
  readonly failed: number
}

interface Observed extends Seen {
  /** Volumes that could not be looked at, and why. */
  readonly unseen: ReadonlyMap<VolumeId, string>
  /** Is there something that serves? */
  readonly serves: boolean
}

const NOT_SERVED = 'its storage controller has no portal now'

/** One pass. Throws when what serves neither answers nor starts. */
export async function reconcileVolumes(
  parts: VolumesParts,
  wanted: readonly WantedVolume[],
): Promise<VolumesPass> {
  await mkdir(parts.ledgers, { recursive: true, mode: 0o700 })
  let seen = await observe(parts, wanted)
  const visible = wanted.filter(({ id }) => !seen.unseen.has(id))
  const plan = planVolumes(visible, seen)
  const reasons = new Map(seen.unseen)
  const refused = new Map<VolumeId, number>()
  let failed = 0
  let steps = 0
  for (const leftover of plan.forgotten) await parts.targets.forget(leftover)
  for (const volume of plan.volumes) {
    if (volume.trouble !== null) reasons.set(volume.id, volume.trouble)
    const now = seen.serves ? volume.steps : volume.steps.filter(isOfBytes)
    if (now.length < volume.steps.length) reasons.set(volume.id, NOT_SERVED)
    let last: VolumeStep | undefined
    try {
      for (const step of now) {
        steps += 1
        last = step
        await apply(parts, volume.id, step)
      }
    } catch (error) {
      if (last?.kind === 'grow' && codeOf(error) === 'StoreFull') {
        refused.set(volume.id, last.sizeBytes)
      }
      failed += 1
      reasons.set(volume.id, messageOf(error))
      parts.log.error('volume', { volume: volume.id, error })
    }
  }
  if (steps > 0) {
    parts.log.info('reconcile', { name: 'volumes', steps })
    seen = await observe(parts, wanted)
  }
  const statuses = wanted.map((volume) => {
    const { missingBytes, trouble } = parts.restores.status(volume.id)
    const reason = reasons.get(volume.id) ?? trouble ?? ''
    const refusedBytes = refused.get(volume.id) ?? 0
    return { ...statusOf(volume, seen, reason), missingBytes, refusedBytes }
  })
  return { statuses, steps, failed }
}

async function observe(
  { targets, portal, backend, ledgers, randomHex, restores }: VolumesParts,
  wanted: readonly WantedVolume[],
): Promise<Observed> {
  const volumes = new Map<VolumeId, SeenVolume>()
  const unseen = new Map<VolumeId, string>()
  for (const { id } of wanted) {
    try {
      const [bytes, ledger] = [await backend.look(id), await readLedger(ledgers, id)]
      const [file, shownFile] = [backend.path(id), restores.file(id)]
      volumes.set(id, { bytes, ledger, file, shownFile, restore: await restores.look(id) })
    } catch (error) {
      unseen.set(id, messageOf(error))
    }
  }
  const isNeeded = portal !== null && wanted.some(({ grants }) => grants.length > 0)
  if (isNeeded) await targets.start(portal)
  const served = await targets.look()
  return {
    volumes,
    unseen,
    serves: served !== null,
    targets: served?.targets ?? [],
    leftovers: served?.leftovers ?? [],
    nextTid: newTid(randomHex),
    direct: targets.direct !== null,
  }
}

function isOfBytes({ kind }: VolumeStep): boolean {
  return kind !== 'export' && kind !== 'grant' && kind !== 'show'
}

/** tgtd has signed numbers of 32 bits; by chance, so that none comes back soon. */
function newTid(randomHex: RandomHex): number {
  return (Number.parseInt(randomHex(4), 16) & 0x3fff_ffff) + 1
}

function statusOf(
  wanted: WantedVolume,
  seen: Observed,
  reason: string,
): Omit<VolumeStatus, 'missingBytes' | 'refusedBytes'> {
  const { id } = wanted
  const volume = seen.volumes.get(id)
  const granted = volume === undefined ? [] : grantsInForce(volume, seen.targets)
  const bytes = volume?.bytes ?? null
  const isGone = bytes === null && volume?.ledger?.deleted === true
  return {
    id,
    state: isGone ? 'deleted' : bytes === null ? 'error' : 'ready',
    reason,
    grants: granted.map(({ attachment, generation, targetIqn }) => ({
      ...{ attachment, generation },
      ownTarget: targetIqn !== wanted.targetIqn,
    })),
    sizeBytes: bytes?.sizeBytes ?? 0,
    usedBytes: bytes?.usedBytes ?? 0,
  }
}

async function apply(parts: VolumesParts, id: VolumeId, step: VolumeStep): Promise<void> {
  const { backend, ledgers, targets, restores } = parts
  switch (step.kind) {
    case 'begin':
      return restores.begin(id, step.source, step.encryptionKey)
    case 'show':
      return restores.show(id)
    case 'end':
      return restores.end(id)
    case 'create':
      return backend.create(id, step.sizeBytes, step.encryptionKey)
    case 'grow':
      return backend.grow(id, step.sizeBytes)
    case 'record':
      return writeLedger(ledgers, id, step.ledger)
    case 'withdraw':
      // Its commands may wait for a store that is away.
      return targets.withdraw(step.target, () => restores.interrupt(id))
    case 'retire':
      return targets.retire(step.target, () => restores.interrupt(id))
    case 'revoke':
      return targets.direct?.revoke(step.target, step.user)
    case 'export':
      return targets.serve(step.export)
    case 'grant':
      return targets.grant(step.target, step.grant)
    case 'delete':
      return backend.remove(id)
    default:
      return never(step)
  }
}
