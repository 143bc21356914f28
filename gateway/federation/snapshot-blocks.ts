// What a gateway serves of snapshots' bytes, to hosts of its cloud with the role sc: the host that
// takes a snapshot brings its bytes and reads what it compares with; a host with a volume that is
// made of one reads that. Nobody else learns even whether some bytes are there.

import { MalleeError } from '../../common/errors.ts'
import type { SnapshotBlocksDoor, SnapshotBlocksEnd } from '../../proto/snapshot-blocks.ts'
import { peerIdentity, peerKeyFingerprint } from '../../proto/tls.ts'
import type { SnapshotBytes, SnapshotUploads } from '../ebs/chunks/snapshot-bytes.ts'
import type { State, View } from '../store/state.ts'
import type { SnapshotRecord, VolumeRecord } from '../store/volume-records.ts'
import type { Sessions } from './sessions.ts'
import { speakerFor } from './speaks-for.ts'

export interface SnapshotDoorParts {
  readonly state: Pick<State, 'view'>
  readonly sessions: Pick<Sessions, 'isOpen'>
  readonly bytes: SnapshotBytes & SnapshotUploads
}

export function gatewaySnapshotBlocks(parts: SnapshotDoorParts): SnapshotBlocksDoor {
  const { state, sessions } = parts
  return {
    open: (call, { host, snapshotId }) => {
      const caller = { peer: peerIdentity(call), keyFingerprint: peerKeyFingerprint(call) }
      const speaker = speakerFor(state.view(), sessions, caller, host)
      if (speaker !== null) return endFor(parts, { rack: speaker.rack, host, snapshotId })
      throw new MalleeError('NotAllowed', `nobody may ask for host ${host} here`)
    },
  }
}

export interface HostUse {
  readonly rack: string
  readonly host: string
  readonly snapshotId: string
}

/** Looked at with each thing that is asked: a snapshot may be deleted while its bytes come. */
export function endFor({ state, bytes }: SnapshotDoorParts, use: HostUse): SnapshotBlocksEnd {
  const { snapshotId } = use

  function mayPut(): void {
    if (takes(state.view(), use)) return
    throw new MalleeError('NotAllowed', `host ${use.host} does not take snapshot ${snapshotId}`)
  }

  function readable(): string {
    const view = state.view()
    if (!reads(view, use)) {
      const what = `host ${use.host} has nothing to do with snapshot ${snapshotId}`
      throw new MalleeError('NotAllowed', what)
    }
    const manifest = view.get('volume-snapshot', snapshotId)?.manifest ?? ''
    if (manifest !== '') return manifest
    throw new MalleeError('NotFound', `snapshot ${snapshotId} is not complete`)
  }

  /** What this host compares a snapshot with stays until that one has bytes of its own. */
  async function keep(manifest: string): Promise<void> {
    const comparing = comparedWith(state.view(), use)
    await Promise.all(comparing.map(({ id }) => bytes.holdBase(manifest, id)))
  }

  return {
    missing: async (sha256s) => {
      mayPut()
      return await bytes.missing(snapshotId, sha256s)
    },
    putBlock: async (block) => {
      mayPut()
      await bytes.putBlock(snapshotId, block)
    },
    putPage: async (page) => {
      mayPut()
      return await bytes.putPage(snapshotId, page)
    },
    putRoot: async (root) => {
      mayPut()
      return await bytes.putRoot(snapshotId, root)
    },
    root: async () => {
      const manifest = readable()
      await keep(manifest)
      return await bytes.rootBytes(manifest)
    },
    page: async (kind, number) => {
      const found = await bytes.pageBytes(readable(), kind, number)
      if (found !== null) return found
      throw new MalleeError('NotFound', `${kind} ${number} of ${snapshotId} is all zeroes`)
    },
    block: async (index) => {
      const found = await bytes.readBlock(readable(), index)
      if (found !== null) return found
      throw new MalleeError('NotFound', `block ${index} of ${snapshotId} is zeroes`)
    },
  }
}

/** Does that host bring its bytes? */
function takes(view: View, { rack, host, snapshotId }: HostUse): boolean {
  const record = view.get('volume-snapshot', snapshotId)
  const isPending = record?.state === 'pending' && record.deletedAtMs === null
  return isPending && record.rack === rack && record.host === host
}

/** Has that host a volume to fill from it, or a snapshot to compare with it? */
function reads(view: View, use: HostUse): boolean {
  const isFilling = volumesOf(view, use).some(({ missingBytes }) => missingBytes !== 0)
  return isFilling || comparedWith(view, use).length > 0
}

/** What that host takes and compares with it, as it is the base, or what the volume is made of. */
function comparedWith(view: View, use: HostUse): readonly SnapshotRecord[] {
  const { rack, host, snapshotId } = use
  const overIt = view.by('volume-snapshot', 'base', snapshotId)
  const ofVolumes = volumesOf(view, use).flatMap(({ id }) =>
    view.by('volume-snapshot', 'volume', id),
  )
  const all = new Map([...overIt, ...ofVolumes].map((one) => [one.id, one]))
  return [...all.values()].filter(({ id }) => takes(view, { rack, host, snapshotId: id }))
}

/** Those that it serves and that are made of it. */
function volumesOf(view: View, { rack, host, snapshotId }: HostUse): readonly VolumeRecord[] {
  const all = view.by('volume', 'snapshot', snapshotId)
  return all.filter((one) => one.rack === rack && one.host === host)
}
