// Join tokens: what an operator carries from the gateway to a host.
//   mlt1.<rack>.<id, 16 hex>.<secret, base64url of 32 bytes>.<CA digest, 64 hex>.<CRC-32, 8 hex>
// The checksum finds slips of copying before anything is sent; it protects against nobody.

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { MalleeError } from './errors.ts'
import { isName } from './identity.ts'
import { JOIN_PORT } from './ports.ts'

const PREFIX = 'mlt1'
const MAX_TOKEN_CHARS = 256

export interface Token {
  readonly rack: string
  readonly id: string
  readonly secret: string
  /** SHA-256 of the CA certificate's DER, lower-case hex. */
  readonly caDigest: string
}

/** Where a join port is. */
export interface HostAndPort {
  readonly host: string
  readonly port: number
}

/** `TOKEN@HOST[:PORT]` as an operator types it. */
export interface Invitation extends HostAndPort {
  readonly token: Token
}

export function formatToken({ rack, id, secret, caDigest }: Token): string {
  const body = [PREFIX, rack, id, secret, caDigest].join('.')
  return `${body}.${checksum(body)}`
}

/** Throws TokenGarbled that says which part is wrong, and never shows the secret. */
export function parseToken(text: string): Token {
  if (text.length > MAX_TOKEN_CHARS) throw garbled(`it has ${text.length} characters`)
  const parts = text.split('.')
  if (parts[0] !== PREFIX) throw garbled(`it does not begin with ${PREFIX}.`)
  if (parts.length !== 6) throw garbled(`it has ${parts.length} parts where 6 belong`)
  const [, rack = '', id = '', secret = '', caDigest = '', sum = ''] = parts
  if (!isName(rack)) throw garbled('its rack is no name')
  if (!/^[0-9a-f]{16}$/.test(id)) throw garbled('its id is not 16 hex digits')
  if (!/^[\w-]{43}$/.test(secret)) throw garbled('its secret is not 43 base64url characters')
  if (!/^[0-9a-f]{64}$/.test(caDigest)) throw garbled('its CA digest is not 64 hex digits')
  if (checksum(text.slice(0, text.lastIndexOf('.'))) !== sum) {
    throw garbled('its checksum does not fit; a character was lost or changed')
  }
  return { rack, id, secret, caDigest }
}

/** Throws TokenGarbled or, for the address, BadArgument. IPv6 goes in brackets. */
export function parseInvitation(text: string): Invitation {
  const at = text.indexOf('@')
  if (at < 0) throw new MalleeError('BadArgument', 'the invitation has no @HOST after the token')
  return { token: parseToken(text.slice(0, at)), ...parseAddress(text.slice(at + 1)) }
}

/** `HOST`, `HOST:PORT` or `[IPV6]:PORT`; without a port the join port. Throws BadArgument. */
export function parseAddress(address: string): HostAndPort {
  const match = /^(?:\[([0-9a-fA-F:.]+(?:%[\w.-]+)?)\]|([\w.-]+))(?::(\d{1,5}))?$/.exec(address)
  const host = match?.[1] ?? match?.[2]
  const port = match?.[3] === undefined ? JOIN_PORT : Number(match[3])
  if (host === undefined || port < 1 || port > 65_535) {
    throw new MalleeError('BadArgument', `${address} is no HOST, HOST:PORT or [IPV6]:PORT`)
  }
  return { host, port }
}

/** 32 random bytes as base64url. */
export function newTokenSecret(): string {
  return randomBytes(32).toString('base64url')
}

/** What the gateway keeps of a secret. Its 256 random bits need no slow hash. */
export function hashSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('hex')
}

/** Is this the secret of that hash? Takes as long for every wrong one. */
export function sameSecret(secret: string, hash: string): boolean {
  const [a, b] = [hashSecret(secret), hash].map((hex) => Buffer.from(hex, 'hex'))
  return a !== undefined && b !== undefined && a.length === b.length && timingSafeEqual(a, b)
}

function checksum(text: string): string {
  return crc32(text).toString(16).padStart(8, '0')
}

function garbled(why: string): MalleeError {
  return new MalleeError('TokenGarbled', `the token cannot be read: ${why}`)
}
