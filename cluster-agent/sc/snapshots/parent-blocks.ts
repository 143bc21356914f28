// The store of snapshots as a host reaches it: through whichever parent answers, on connections
// apart from the session's.

import type { Clock } from '../../../common/clock.ts'
import { MalleeError } from '../../../common/errors.ts'
import { remoteSnapshotBlocks, type SnapshotBlocksEnd } from '../../../proto/snapshot-blocks.ts'
import type { AgentConfig } from '../../config.ts'
import type { Links } from '../../images/links.ts'
import { isParentOf } from '../../parent.ts'
import type { SnapshotId } from '../volumes/backend.ts'

export interface ParentBlocksParts {
  readonly config: AgentConfig
  readonly links: Pick<Links, 'use'>
  readonly clock: Clock
}

export function parentBlocks({
  config,
  links,
  clock,
}: ParentBlocksParts): (id: SnapshotId) => SnapshotBlocksEnd {
  const { host, parents } = config
  const isParent = isParentOf(config)
  /** Who answered last: with several gateways one has this rack's session. */
  let good = 0

  async function ask<T>(
    snapshotId: SnapshotId,
    call: (end: SnapshotBlocksEnd) => Promise<T>,
  ): Promise<T> {
    let last: unknown = new MalleeError('Unavailable', 'there is no parent to bring snapshots to')
    for (let n = 0; n < parents.length; n++) {
      const at = (good + n) % parents.length
      const parent = parents[at]
      if (parent === undefined) continue
      try {
        const answer = await links.use(parent, isParent, (client) =>
          call(remoteSnapshotBlocks(client, { host, snapshotId }, clock)),
        )
        good = at
        return answer
      } catch (error) {
        last = error
      }
    }
    throw last
  }

  return (id) => ({
    missing: (sha256s) => ask(id, (end) => end.missing(sha256s)),
    putBlock: (block) => ask(id, (end) => end.putBlock(block)),
    putPage: (bytes) => ask(id, (end) => end.putPage(bytes)),
    putRoot: (bytes) => ask(id, (end) => end.putRoot(bytes)),
    root: () => ask(id, (end) => end.root()),
    page: (kind, number) => ask(id, (end) => end.page(kind, number)),
    block: (index) => ask(id, (end) => end.block(index)),
  })
}
