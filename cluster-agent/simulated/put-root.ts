// How a model of a host brings its empty manifests to the store: as a real one brings all of its
// bytes.

import type { Clock } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import type { TlsIdentity } from '../../proto/tls.ts'
import type { AgentConfig } from '../config.ts'
import { Links } from '../images/links.ts'
import { parentBlocks } from '../sc/snapshots/parent-blocks.ts'
import { parseSnapshotId } from '../sc/volumes/backend.ts'
import type { SimulatedSnapshotsOptions } from './snapshots.ts'

export function simulatedPutRoot(
  config: AgentConfig,
  identity: () => TlsIdentity,
  clock: Clock,
): NonNullable<SimulatedSnapshotsOptions['putRoot']> {
  return async (snapshot, root) => {
    const id = parseSnapshotId(snapshot)
    if (!id.ok) throw new MalleeError('BadMessage', `${snapshot} is no id of a snapshot`)
    const links = new Links(identity, clock)
    try {
      await parentBlocks({ config, links, clock })(id.value).putRoot(root)
    } finally {
      links.close()
    }
  }
}
