// What one side lets the other do, on the wire and in records.

import { create } from '@bufbuild/protobuf'
import { MalleeError } from '../../common/errors.ts'
import { type PeerLimits, PeerLimitsSchema } from '../../proto/gen/mallee/v1/peering_pb.js'
import { type Cidr, covers, mustCidr, overlaps, parseCidr } from '../../topology/cidr.ts'
import type { PeerLimitsRecord, PeerTerms } from '../store/peer-records.ts'
import type { CloudRecord } from '../store/records.ts'
import type { View } from '../store/state.ts'

const MAX_ACCEPTED = 64
/** What tenants' networks may have: RFC 1918, RFC 6598, RFC 4193. */
const PRIVATE: readonly Cidr[] = [
  ...['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', 'fc00::/7'].map(mustCidr),
]

export const DEFAULT_LIMITS: PeerLimitsRecord = {
  maxConnections: 50,
  maxPrefixes: 200,
  bandwidth: 0,
  expiresAtMs: 0,
  acceptedPrefixes: [],
}

export function isPrivate(cidr: Cidr): boolean {
  return PRIVATE.some((one) => covers(one, cidr))
}

/**
 * May a block of the other cloud be seen as that here? Never as anything that is this cloud's own;
 * its pools are for its own VPCs, unless the operator names prefixes.
 */
export function isAccepted(
  { fabricPrefix, ipv4Pools, ipv6Pool }: CloudRecord,
  { limits: { acceptedPrefixes } }: PeerTerms,
  cidr: Cidr,
): boolean {
  const isNamed = acceptedPrefixes.length > 0
  const named = acceptedPrefixes.map(parseCidr).flatMap((one) => (one.ok ? one.value : []))
  const allowed = isNamed ? named : PRIVATE
  const own = [fabricPrefix, ...(isNamed ? [] : [...ipv4Pools, ipv6Pool])].map(mustCidr)
  return allowed.some((one) => covers(one, cidr)) && !own.some((one) => overlaps(one, cidr))
}

export function limitsMessage(limits: PeerLimitsRecord): PeerLimits {
  return create(PeerLimitsSchema, {
    maxConnections: limits.maxConnections,
    maxPrefixes: limits.maxPrefixes,
    bandwidthBitsPerS: BigInt(limits.bandwidth),
    expiresAtMs: BigInt(limits.expiresAtMs),
    acceptedPrefixes: [...limits.acceptedPrefixes],
  })
}

/** Throws BadMessage for what cannot be meant. */
export function limitsRecord(limits: PeerLimits | undefined): PeerLimitsRecord {
  if (limits === undefined) throw new MalleeError('BadMessage', 'limits are missing')
  const { maxConnections, maxPrefixes, acceptedPrefixes } = limits
  if (acceptedPrefixes.length > MAX_ACCEPTED) {
    throw new MalleeError('BadMessage', `${acceptedPrefixes.length} accepted prefixes`)
  }
  for (const prefix of acceptedPrefixes) mustBePrivate(prefix, 'BadMessage')
  const bandwidth = safe(limits.bandwidthBitsPerS)
  const expiresAtMs = safe(limits.expiresAtMs)
  return { maxConnections, maxPrefixes, bandwidth, expiresAtMs, acceptedPrefixes }
}

/** Throws BadArgument for accounts, racks and prefixes that are not there, or the past. */
export function checkTerms(view: View, terms: PeerTerms, nowMs: number): void {
  for (const account of terms.accounts ?? []) {
    if (view.get('account', account) === null) throw bad(`there is no account ${account}`)
  }
  for (const rack of terms.borders ?? []) {
    if (view.get('rack', rack) === null) throw bad(`there is no rack ${rack}`)
  }
  const { acceptedPrefixes, expiresAtMs } = terms.limits
  for (const prefix of acceptedPrefixes) mustBePrivate(prefix, 'BadArgument')
  if (expiresAtMs !== 0 && expiresAtMs <= nowMs) {
    throw bad(`the agreement would have ended at ${new Date(expiresAtMs).toISOString()}`)
  }
}

function mustBePrivate(prefix: string, code: 'BadMessage' | 'BadArgument'): void {
  const cidr = parseCidr(prefix)
  if (cidr.ok && isPrivate(cidr.value)) return
  const said = JSON.stringify(prefix.slice(0, 64))
  const fits = 'within 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10 or fc00::/7'
  throw new MalleeError(code, `${said} is no private prefix: ${fits}`)
}

function safe(n: bigint): number {
  if (n >= 0n && n <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(n)
  throw new MalleeError('BadMessage', `${n} is out of range`)
}

function bad(message: string): MalleeError {
  return new MalleeError('BadArgument', message)
}
