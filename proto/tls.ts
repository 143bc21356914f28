// TLS 1.3 with the cloud's CA on both ends of a connection. Who the other one is, is the URI SAN of
// its certificate and nothing else: no host name, no common name, no field of a message.

import { createSecureContext, type PeerCertificate } from 'node:tls'
import * as grpc from '@grpc/grpc-js'
import { MalleeError } from '../common/errors.ts'
import { formatIdentity, type Identity } from '../common/identity.ts'
import { identityOfCertificate, keyFingerprint } from '../common/pki.ts'

export interface TlsIdentity {
  readonly certificatePem: string
  readonly keyPem: string
  readonly caPem: string
}

/** Whether the server that answered is one that was meant. */
export type Expect = (peer: Identity) => boolean

export const TLS_VERSION = 'TLSv1.3'
/** Certificates that are remembered: more than a gateway has members at a time. */
const MAX_KNOWN = 4_096

interface Known {
  readonly identity: Identity
  readonly keyFingerprint: string
}

/** By the certificate: what is in one never changes, and to read it takes as long as a call. */
const known = new Map<string, Known>()

/** For the session port: clients without a certificate of this cloud's CA are cut off. */
export function serverCredentials(identity: TlsIdentity): grpc.ServerCredentials {
  return new Tls13Credentials(identity, true)
}

/** For the join port: clients have no certificate yet, and see the CA's in the chain to pin it. */
export function joinServerCredentials(identity: TlsIdentity): grpc.ServerCredentials {
  return new Tls13Credentials(identity, false)
}

/** For a member that dials: `expect` says whether the server is the one that was meant. */
export function clientCredentials(identity: TlsIdentity, expect: Expect): grpc.ChannelCredentials {
  const context = createSecureContext({
    minVersion: TLS_VERSION,
    ca: identity.caPem,
    cert: identity.certificatePem,
    key: identity.keyPem,
  })
  return grpc.credentials.createFromSecureContext(context, verifyOptions(expect))
}

/** For a host that is no member yet and trusts the CA that its token named. */
export function joinClientCredentials(caPem: string, expect: Expect): grpc.ChannelCredentials {
  const context = createSecureContext({ minVersion: TLS_VERSION, ca: caPem })
  return grpc.credentials.createFromSecureContext(context, verifyOptions(expect))
}

/** Who is calling. Throws NotAllowed when the connection has no certificate of ours. */
export function peerIdentity(call: SecuredCall): Identity {
  return knownOf(peerCertificate(call)).identity
}

/** The fingerprint of the key that the caller's certificate is for. */
export function peerKeyFingerprint(call: SecuredCall): string {
  return knownOf(peerCertificate(call)).keyFingerprint
}

/** What grpc-js says of the connection of a call. */
export interface SecuredCall {
  getAuthContext(): { sslPeerCertificate?: PeerCertificate }
}

/** What the caller showed. Throws NotAllowed for nothing. */
export function peerCertificate(call: SecuredCall): PeerCertificate {
  const shown = call.getAuthContext().sslPeerCertificate
  if (shown?.raw === undefined) {
    throw new MalleeError('NotAllowed', 'the caller has no certificate')
  }
  return shown
}

/** Throws BadMessage for a certificate that is none of a member. */
function knownOf({ raw }: PeerCertificate): Known {
  const key = raw.toString('base64')
  const before = known.get(key)
  if (before !== undefined) return before
  const fresh = { identity: identityOfCertificate(raw), keyFingerprint: keyFingerprint(raw) }
  if (known.size >= MAX_KNOWN) known.clear()
  known.set(key, fresh)
  return fresh
}

function verifyOptions(expect: Expect): grpc.VerifyOptions {
  return {
    checkServerIdentity: (_name, certificate) => {
      try {
        const peer = identityOfCertificate(certificate.raw)
        if (expect(peer)) return undefined
        return new MalleeError(
          'NotAllowed',
          `the server is ${formatIdentity(peer)}, not who was meant`,
        )
      } catch (error) {
        return error as Error
      }
    },
  }
}

// grpc.ServerCredentials.createSsl takes no TLS version; its base class takes all of tls's options.
class Tls13Credentials extends grpc.ServerCredentials {
  constructor({ certificatePem, keyPem, caPem }: TlsIdentity, mutual: boolean) {
    super(
      { requestCert: mutual, rejectUnauthorized: mutual, minVersion: TLS_VERSION },
      { ca: caPem, cert: `${certificatePem.trim()}\n${caPem}`, key: keyPem },
    )
  }

  override _equals(other: grpc.ServerCredentials): boolean {
    return this === other
  }
}
