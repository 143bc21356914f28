// Who of a rack may fetch from this host: its members, as the desired state has them.

import { MalleeError } from '../common/errors.ts'
import { formatIdentity } from '../common/identity.ts'
import { bodyAt, type Desired } from '../proto/resources.ts'
import { peerIdentity, peerKeyFingerprint, type SecuredCall } from '../proto/tls.ts'
import type { AgentConfig } from './config.ts'

export class Members {
  readonly #config: AgentConfig
  readonly #desired: () => Desired

  constructor(config: AgentConfig, desired: () => Desired) {
    this.#config = config
    this.#desired = desired
  }

  /** The name of the host that calls. Throws NotAllowed for who is none of this rack. */
  admit(call: SecuredCall): string {
    const { cloud, rack } = this.#config
    const [peer, key] = [peerIdentity(call), peerKeyFingerprint(call)]
    if (peer.kind === 'host' && peer.cloud === cloud && peer.rack === rack) {
      const members = bodyAt(this.#desired(), 'rack', 'rack')?.members ?? []
      if (members.find(({ host }) => host === peer.host)?.keyFingerprint === key) return peer.host
    }
    throw new MalleeError('NotAllowed', `${formatIdentity(peer)} is no host of rack ${rack}`)
  }
}
