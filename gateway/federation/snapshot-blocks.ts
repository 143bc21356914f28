// What a gateway serves of snapshots' bytes, to hosts of its cloud with the role sc: the host that
// takes a snapshot brings its bytes and reads what it compares with; a host with a volume that is
// made of one reads that. Nobody else learns even whether some bytes are there.

import { MalleeError } from '../../common/errors.ts'
import type { SnapshotBlocksDoor, SnapshotBlocksEnd } from '../../proto/snapshot-blocks.ts'
import { peerIdentity, peerKeyFingerprint } from '../../proto/tls.ts'
import type { SnapshotBytes, SnapshotUploads } from '../ebs/chunks/snapshot-bytes.ts'
import type { State, View } from '../store/state.ts'
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

  /** Its base stays until it has bytes of its own; who has lost it brings all. */
  async function keepBase(): Promise<void> {
    const view = state.view()
    const base = view.get('volume-snapshot', snapshotId)?.base ?? ''
    const manifest = base === '' ? '' : (view.get('volume-snapshot', base)?.manifest ?? '')
    if (manifest !== '') await bytes.holdBase(manifest, snapshotId).catch(unlessGone)
  }

  return {
    missing: async (sha256s) => {
      mayPut()
      await keepBase()
      return await bytes.missing(snapshotId, sha256s)
    },
    putBlock: async (block) => {
      mayPut()
      await bytes.putBlock(snapshotId, block)
    },
    putPage: async (page) => {
      mayPut()
      await keepBase()
      return await bytes.putPage(snapshotId, page)
    },
    putRoot: async (root) => {
      mayPut()
      return await bytes.putRoot(snapshotId, root)
    },
    root: async () => await bytes.rootBytes(readable()),
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
function reads(view: View, { rack, host, snapshotId }: HostUse): boolean {
  const isFilling = view
    .by('volume', 'snapshot', snapshotId)
    .some((one) => one.rack === rack && one.host === host && one.missingBytes !== 0)
  if (isFilling) return true
  return view
    .by('volume-snapshot', 'base', snapshotId)
    .some(({ id }) => takes(view, { rack, host, snapshotId: id }))
}

function unlessGone(error: unknown): void {
  if (error instanceof MalleeError && error.code === 'NotFound') return
  throw error
}
