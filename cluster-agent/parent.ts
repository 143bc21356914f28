// Who may answer when an agent dials its parent: a CC's is a gateway, a node's the CC of its rack.

import type { Expect } from '../proto/tls.ts'
import type { AgentConfig } from './config.ts'

export function isParentOf({ cloud, rack, roles }: AgentConfig): Expect {
  if (roles.includes('cc')) return (peer) => peer.kind === 'gateway' && peer.cloud === cloud
  return (peer) =>
    peer.kind === 'host' && peer.cloud === cloud && peer.rack === rack && peer.roles.includes('cc')
}
