// Who of a rack may fetch from this host: its members, as the desired state has them.

import { MalleeError } from '../common/errors.ts'
import { formatIdentity, type Identity } from '../common/identity.ts'
import { bodyAt, type Desired } from '../proto/resources.ts'
import { peerKeyFingerprint, type SecuredCall } from '../proto/tls.ts'
import type { AgentConfig } from './config.ts'

/** The name of the host that calls. Throws NotAllowed for who is none of this rack, or no more. */
export function admitMember(
  { cloud, rack }: AgentConfig,
  desired: Desired,
  peer: Identity,
  call: SecuredCall,
): string {
  if (peer.kind === 'host' && peer.cloud === cloud && peer.rack === rack) {
    const members = bodyAt(desired, 'rack', 'rack')?.members ?? []
    const known = members.find(({ host }) => host === peer.host)
    if (known?.keyFingerprint === peerKeyFingerprint(call)) return peer.host
  }
  throw new MalleeError('NotAllowed', `${formatIdentity(peer)} is no host of rack ${rack}`)
}
