// What the operator's API says of peer clouds and invitations, and takes as the terms of an
// agreement.

import { caDigest } from '../../common/pki.ts'
import { isOpen } from '../peering/agreed.ts'
import { DEFAULT_LIMITS } from '../peering/limits.ts'
import type {
  PeerInvitationRecord,
  PeerLimitsRecord,
  PeerRecord,
  PeerTerms,
} from '../store/peer-records.ts'
import {
  accountParam,
  integer,
  list,
  named,
  nullable,
  object,
  oneOf,
  rackParam,
  type Typed,
  text,
  time,
} from './schema.ts'

const AT_MS = 1_785_000_000_000
const MAX_LIST = 200
const MAX_PREFIXES = 64
const MAX_MBPS = 1_000_000
const BITS_PER_MBIT = 1_000_000
const NEVER = 'milliseconds since 1970; 0 is never'

export const peerName = text({
  ...{ minLength: 1, maxLength: 63 },
  description: 'What the peer cloud is called here',
})
const PREFIX = text({ minLength: 1, maxLength: 49 })
const ACCOUNTS = list(accountParam, { maxItems: MAX_LIST, uniqueItems: true })
const BORDERS = list(rackParam, { maxItems: MAX_LIST, uniqueItems: true })

/** All of them have a usual value. */
export const TERMS = {
  regionName: text({
    ...{ minLength: 1, maxLength: 32 },
    description: "What users here call its region; else its own name, or the peer's where taken",
  }),
  accounts: nullable(ACCOUNTS, 'Accounts that may have peerings with it; null: all'),
  borders: nullable(BORDERS, 'Racks whose CCs hold tunnels to it; null: all'),
  maxConnections: integer({ minimum: 0, maximum: 1_000, description: 'VPC peerings at a time' }),
  maxPrefixes: integer({ minimum: 0, maximum: 10_000, description: 'That it may announce' }),
  mbps: integer({ minimum: 0, maximum: MAX_MBPS, description: 'Each direction; 0: no limit' }),
  expiresAtMs: integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description: NEVER }),
  acceptedPrefixes: list(PREFIX, {
    ...{ maxItems: MAX_PREFIXES, uniqueItems: true },
    description: 'Its prefixes, as seen here, must lie in one of these; empty: any private one',
  }),
}
const TERMS_SCHEMA = object({}, TERMS)
export type TermsWish = Typed<typeof TERMS_SCHEMA>

export const LIMITS = object({
  maxConnections: TERMS.maxConnections,
  maxPrefixes: TERMS.maxPrefixes,
  mbps: TERMS.mbps,
  expiresAtMs: TERMS.expiresAtMs,
  acceptedPrefixes: TERMS.acceptedPrefixes,
})
export type LimitsShown = Typed<typeof LIMITS>

export const INVITATION = named(
  'PeerInvitation',
  object({
    id: text({ maxLength: 16 }),
    name: peerName,
    createdAtMs: time('When it was made'),
    expiresAtMs: time('Good until'),
    usedBy: nullable(text({}), 'Uid of the cloud that has accepted it'),
  }),
)
export type InvitationShown = Typed<typeof INVITATION>

export const PEER = named(
  'Peer',
  object({
    name: peerName,
    uid: text({ description: '32 hex digits, of the cloud, for ever' }),
    cloud: text({ description: 'What it calls itself' }),
    region: text({ description: 'What users here call its region' }),
    state: {
      ...oneOf('active', 'suspended', 'suspended-there', 'ended-there', 'removing'),
      description: 'Traffic passes while it is active',
    },
    number: integer({ minimum: 1, maximum: 65_535, description: 'Of its devices here' }),
    accounts: TERMS.accounts,
    borders: TERMS.borders,
    given: { ...LIMITS, description: 'What it may do here' },
    granted: { ...LIMITS, description: 'What this cloud may do there' },
    fingerprints: list(text({}), { description: 'SHA-256 of its CAs, which are pinned' }),
    endpoints: list(text({})),
    prefixes: list(text({}), { description: 'That it says it uses' }),
    heardAtMs: time('When it last stated something new'),
    createdAtMs: time('When both had agreed'),
    trouble: nullable(text({}), 'What stands in the way, as this gateway sees it'),
  }),
)
export type PeerShown = Typed<typeof PEER>

const LIMITS_EXAMPLE: LimitsShown = {
  ...{ maxConnections: 50, maxPrefixes: 200, mbps: 0, expiresAtMs: 0, acceptedPrefixes: [] },
}
export const EXAMPLE_DIGEST = '5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8'
export const PEER_EXAMPLE: PeerShown = {
  ...{ name: 'partner', uid: '0123456789abcdef0123456789abcdef', cloud: 'lab' },
  ...{ region: 'au-lab-1', state: 'active', number: 1, accounts: null, borders: null },
  ...{ given: LIMITS_EXAMPLE, granted: LIMITS_EXAMPLE, fingerprints: [EXAMPLE_DIGEST] },
  ...{ endpoints: ['203.0.113.7:8776'], prefixes: ['10.0.0.0/8'] },
  ...{ heardAtMs: AT_MS, createdAtMs: AT_MS, trouble: null },
}
export const INVITATION_EXAMPLE: InvitationShown = {
  ...{ id: '0123456789abcdef', name: 'partner', createdAtMs: AT_MS },
  ...{ expiresAtMs: AT_MS + 86_400_000, usedBy: null },
}

/** With the usual value, or that of `before`, for what is not said. */
export function termsFrom(
  { regionName, accounts, borders, mbps, ...limits }: TermsWish,
  before: Omit<PeerTerms, 'name'> = { accounts: null, borders: null, limits: DEFAULT_LIMITS },
): Omit<PeerTerms, 'name'> {
  const region = regionName ?? before.region
  return {
    ...(region !== undefined && { region }),
    accounts: accounts === undefined ? before.accounts : accounts,
    borders: borders === undefined ? before.borders : borders,
    limits: {
      ...before.limits,
      ...limits,
      ...(mbps !== undefined && { bandwidth: mbps * BITS_PER_MBIT }),
    },
  }
}

export function shownInvitation(record: PeerInvitationRecord): InvitationShown {
  const { id, terms, createdAtMs, expiresAtMs, used } = record
  return { id, name: terms.name, createdAtMs, expiresAtMs, usedBy: used?.uid ?? null }
}

export function shownPeer(peer: PeerRecord, trouble: string | null): PeerShown {
  const { uid, number, terms, region, ca, card, heardAtMs, createdAtMs } = peer
  return {
    ...{ name: terms.name, uid, cloud: card.name, region, state: stateOf(peer), number },
    ...{ accounts: terms.accounts, borders: terms.borders },
    ...{ given: shownLimits(terms.limits), granted: shownLimits(card.limits) },
    ...{ fingerprints: ca.certificates.map(caDigest), endpoints: card.endpoints },
    ...{ prefixes: card.usedPrefixes, heardAtMs, createdAtMs, trouble },
  }
}

export function shownLimits({ bandwidth, ...limits }: PeerLimitsRecord): LimitsShown {
  return { ...limits, mbps: Math.round(bandwidth / BITS_PER_MBIT) }
}

function stateOf(peer: PeerRecord): PeerShown['state'] {
  if (isOpen(peer)) return 'active'
  if (peer.state !== 'active') return peer.state
  return peer.card.ended === true ? 'ended-there' : 'suspended-there'
}
