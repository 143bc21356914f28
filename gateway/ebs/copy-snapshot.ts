// CopySnapshot: a snapshot of the caller's own with the bytes of one that he may use. Both hold the
// same blocks, which stay as long as either is there; there is one region, the source's as well.

import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers, Ec2Inputs } from '../aws/handlers.ts'
import { newId, oneInStore } from '../ec2/ids.ts'
import { endDryRun, refuseUnknown, required, unsupported } from '../ec2/input.ts'
import { checkQuota } from '../ec2/quotas.ts'
import { addTags, parseTagSpecifications, type Tags, tagList } from '../ec2/tagging.ts'
import type { State, Transaction } from '../store/state.ts'
import type { SnapshotRecord } from '../store/volume-records.ts'
import type { SnapshotHolds } from './chunks/snapshot-bytes.ts'
import { volumeKeyFor } from './names.ts'
import { checkCompleted, parseDescription } from './snapshot-shape.ts'
import type { SnapshotParts } from './snapshots.ts'

const KNOWN = new Set([
  ...['SourceRegion', 'SourceSnapshotId', 'Description', 'DestinationRegion', 'Encrypted'],
  // Clients sign one by themselves for a copy between regions; it says nothing more.
  ...['PresignedUrl', 'TagSpecifications', 'DryRun'],
])

export function copySnapshotHandler(
  parts: SnapshotParts & { readonly holds: SnapshotHolds },
): Required<Pick<Ec2Handlers, 'CopySnapshot'>> {
  const { state, region, holds } = parts
  return {
    CopySnapshot: async ({ caller: { account }, nowMs }, input) => {
      const source = required('SourceSnapshotId', input.SourceSnapshotId)
      checkRegions(input, region)
      refuseUnknown(input, KNOWN, new Map())
      const description = parseDescription(input.Description)
      const asked = parseTagSpecifications(input.TagSpecifications, ['volume-snapshot'])
      const tags = asked.get('volume-snapshot') ?? new Map()
      const copy = await state.update(async (tx) => {
        const from = await oneInStore(tx, 'volume-snapshot', source, account)
        checkCompleted(from)
        const settings = await tx.get('ebs-settings', account)
        checkEncryption(from, input.Encrypted, settings?.encryptionByDefault === true)
        await checkQuota(tx, state, account, 'snapshots')
        endDryRun(input)
        return await insertCopy(tx, parts, from, { account, description, tags, nowMs })
      })
      await finishCopy(state, holds, copy)
      return { SnapshotId: copy.id, Tags: tagList(await state.fresh(), copy.id) }
    },
  }
}

export interface CopyWish {
  readonly account: string
  readonly description: string
  readonly tags: Tags
  readonly nowMs: number
}

/** A copy that has no bytes yet: finishCopy is to be said when the transaction is done. */
export async function insertCopy(
  tx: Transaction,
  { randomHex, sealer }: Pick<SnapshotParts, 'randomHex' | 'sealer'>,
  from: SnapshotRecord,
  { account, description, tags, nowMs }: CopyWish,
): Promise<SnapshotRecord> {
  const id = await newId(tx, randomHex, 'volume-snapshot')
  const made: SnapshotRecord = {
    ...{ id, account, volume: '', rack: '', host: '', base: from.id, origin: { kind: 'copy' } },
    ...{ volumeSizeGib: from.volumeSizeGib, description, encrypted: from.encrypted },
    ...(from.encrypted && { sealedKey: volumeKeyFor(sealer, from, id) }),
    ...{ state: 'pending', progressPercent: 0, manifest: '', group: '', groupSize: 0 },
    ...{ dataBytes: 0, readBytes: 0, sentBytes: 0, isPublic: false, sharedWith: [] },
    ...{ clientToken: '', startedAtMs: nowMs, completedAtMs: null, deletedAtMs: null },
    released: true,
  }
  await tx.put('volume-snapshot', [id], made)
  await addTags(tx, { kind: 'volume-snapshot', id, account }, tags)
  return made
}

/** Has the copy hold its source's bytes. May be said again, by whoever finds it pending. */
export async function finishCopy(
  state: State,
  holds: SnapshotHolds,
  { id, base }: Pick<SnapshotRecord, 'id' | 'base'>,
): Promise<void> {
  const source = (await state.fresh()).get('volume-snapshot', base)
  if (source === null || source.manifest === '') {
    throw new RangeError(`${id} is a copy of ${base}, which is not there`)
  }
  const { manifest, dataBytes } = source
  await holds.holdManifest(manifest, id)
  const isWanted = await state.update(async (tx) => {
    const copy = await tx.get('volume-snapshot', id)
    if (copy === null || copy.deletedAtMs !== null) return false
    if (copy.state !== 'pending') return true
    const done = { state: 'completed', progressPercent: 100, completedAtMs: tx.nowMs() } as const
    await tx.put('volume-snapshot', [id], { ...copy, ...done, manifest, dataBytes })
    return true
  })
  // Whoever ended it may have let go of its bytes before it had any.
  if (!isWanted) await holds.dropManifest(id)
}

function checkRegions(input: Ec2Inputs['CopySnapshot'], region: string): void {
  const source = required('SourceRegion', input.SourceRegion)
  for (const [name, asked] of [
    ['SourceRegion', source],
    ['DestinationRegion', input.DestinationRegion],
  ] as const) {
    if (asked === undefined || asked === '' || asked === region) continue
    const text = `${name} is ${asked}: snapshots are copied within ${region} only.`
    throw new ApiError('SnapshotCopyUnsupported.InterRegion', text)
  }
}

/** Blocks are shared as they are: what is encrypted stays so, and nothing else becomes so. */
function checkEncryption(
  { id, encrypted }: SnapshotRecord,
  asked: boolean | undefined,
  isDefault: boolean,
): void {
  if (encrypted || (asked !== true && !isDefault)) return
  throw unsupported(`An encrypted copy of '${id}', which is not encrypted,`)
}
