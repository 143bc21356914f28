// Who of a rack may fetch from this host: its members, as the desired state has them.

import { MalleeError } from '../common/errors.ts'
import { formatIdentity, type Identity } from '../common/identity.ts'
import { identityOfCertificate, keyFingerprint } from '../common/pki.ts'
import { bodyAt, type Desired } from '../proto/resources.ts'
import { peerCertificate, type SecuredCall } from '../proto/tls.ts'
import type { AgentConfig } from './config.ts'

interface Known {
  readonly peer: Identity
  readonly keyFingerprint: string
}

/** More than a rack has hosts. */
const MAX_KNOWN = 1_000

export class Members {
  readonly #config: AgentConfig
  readonly #desired: () => Desired
  /** Certificates that were read: a chunk is sent sooner than one is. */
  readonly #known = new Map<string, Known>()

  constructor(config: AgentConfig, desired: () => Desired) {
    this.#config = config
    this.#desired = desired
  }

  /** The name of the host that calls. Throws NotAllowed for who is none of this rack. */
  admit(call: SecuredCall): string {
    const { cloud, rack } = this.#config
    const { peer, keyFingerprint: key } = this.#read(call)
    if (peer.kind === 'host' && peer.cloud === cloud && peer.rack === rack) {
      const members = bodyAt(this.#desired(), 'rack', 'rack')?.members ?? []
      if (members.find(({ host }) => host === peer.host)?.keyFingerprint === key) return peer.host
    }
    throw new MalleeError('NotAllowed', `${formatIdentity(peer)} is no host of rack ${rack}`)
  }

  #read(call: SecuredCall): Known {
    const { raw, fingerprint256 } = peerCertificate(call)
    const known = this.#known.get(fingerprint256)
    if (known !== undefined) return known
    const read = { peer: identityOfCertificate(raw), keyFingerprint: keyFingerprint(raw) }
    if (this.#known.size >= MAX_KNOWN) this.#known.clear()
    this.#known.set(fingerprint256, read)
    return read
  }
}
