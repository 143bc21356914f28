// Invitations to another cloud: what one operator hands to another.
//   mlp1.<cloud>.<id, 16 hex>.<secret, base64url of 32 bytes>.<CA digest, 64 hex>.<CRC-32, 8 hex>
//     @HOST:PORT[,HOST:PORT]
// The checksum finds slips of copying before anything is sent; it protects against nobody.

import { crc32 } from 'node:zlib'
import { MalleeError } from './errors.ts'
import { isName } from './identity.ts'
import { type HostAndPort, parseAddress } from './token.ts'

const PREFIX = 'mlp1'
const MAX_CHARS = 1024
export const MAX_INVITATION_PLACES = 4

export interface PeerInvitation {
  /** The inviting cloud, as its certificates name it. */
  readonly cloud: string
  readonly id: string
  readonly secret: string
  /** SHA-256 of the inviting cloud's CA certificate (DER), lower-case hex. */
  readonly caDigest: string
  /** Join ports of its gateways, the best first; 1 to 4. */
  readonly places: readonly HostAndPort[]
}

export function formatPeerInvitation(invitation: PeerInvitation): string {
  const { cloud, id, secret, caDigest, places } = invitation
  const at = places.map(({ host, port }) =>
    host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`,
  )
  const body = [PREFIX, cloud, id, secret, caDigest].join('.')
  return `${body}.${checksum(body)}@${at.join(',')}`
}

/**
 * Throws TokenGarbled that says which part is wrong, and never shows the secret; BadArgument for an
 * address.
 */
export function parsePeerInvitation(text: string): PeerInvitation {
  if (text.length > MAX_CHARS) throw garbled(`it has ${text.length} characters`)
  const [token = '', at, ...more] = text.split('@')
  const parts = token.split('.')
  if (parts[0] !== PREFIX) throw garbled(`it does not begin with ${PREFIX}.`)
  if (at === undefined || at === '' || more.length > 0) throw garbled('it does not end with @HOST')
  if (parts.length !== 6) throw garbled(`it has ${parts.length} parts where 6 belong`)
  const [, cloud = '', id = '', secret = '', caDigest = '', sum = ''] = parts
  if (!isName(cloud)) throw garbled('its cloud is no name')
  if (!/^[0-9a-f]{16}$/.test(id)) throw garbled('its id is not 16 hex digits')
  if (!/^[\w-]{43}$/.test(secret)) throw garbled('its secret is not 43 base64url characters')
  if (!/^[0-9a-f]{64}$/.test(caDigest)) throw garbled('its CA digest is not 64 hex digits')
  if (checksum(token.slice(0, token.lastIndexOf('.'))) !== sum) {
    throw garbled('its checksum does not fit; a character was lost or changed')
  }
  const places = at.split(',').map((one) => parseAddress(one))
  if (places.length > MAX_INVITATION_PLACES) throw garbled(`it has ${places.length} addresses`)
  return { cloud, id, secret, caDigest, places }
}

function checksum(text: string): string {
  return crc32(text).toString(16).padStart(8, '0')
}

function garbled(why: string): MalleeError {
  return new MalleeError('TokenGarbled', `the invitation cannot be read: ${why}`)
}
