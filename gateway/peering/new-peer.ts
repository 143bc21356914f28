// A peer cloud's record is made: by whichever side's acceptance comes first, once per cloud.

import { MalleeError } from '../../common/errors.ts'
import { caDigest } from '../../common/pki.ts'
import { overlaps, parseCidr } from '../../topology/cidr.ts'
import { PEER_NUMBERS } from '../../topology/ranges.ts'
import { PEER_NUMBER_POOL } from '../pools.ts'
import { isRegion } from '../region.ts'
import type {
  CaBundleRecord,
  ChainHead,
  PeerLimitsRecord,
  PeerRecord,
  PeerTerms,
} from '../store/peer-records.ts'
import type { State, Transaction, View } from '../store/state.ts'
import { appendAudit } from './audit.ts'
import type { OtherCloud } from './cloud-card.ts'
import { Kept } from './kept.ts'

const MAX_CONFLICTS = 50
const NO_HEAD: ChainHead = { epoch: '', sequence: 0, hash: '' }

export interface Agreement {
  readonly other: OtherCloud
  /** What this side lets the other do. */
  readonly terms: PeerTerms
  /** What the other lets this side do. */
  readonly theirLimits: PeerLimitsRecord
  /** For the log: which side invited. */
  readonly how: 'invited' | 'accepted'
}

/**
 * Within a transaction. The peer as it is when both have invited each other: one record with the
 * terms of the first. Throws Conflict for one's own cloud or another's CA, CaMismatch for a peer
 * that comes with other CAs, NameTaken.
 */
export async function putPeer(
  state: State,
  tx: Transaction,
  { other, terms, theirLimits, how }: Agreement,
): Promise<PeerRecord> {
  // Written by all that make peers: of two at once, one is run again and sees the other.
  const pool = tx.pool(PEER_NUMBER_POOL)
  await pool.watch()
  const { uid, name, endpoints, usedPrefixes } = other
  const known = await tx.get('peer', uid)
  if (known !== null) {
    if (!isAmong(digestsOf(other.ca), known.ca)) throw otherCa(known)
    return known
  }
  const view = await state.fresh()
  checkOther(view, other)
  checkName(view, terms.name, uid)
  const number = await pool.take(PEER_NUMBERS)
  if (number === null) throw new MalleeError('Unavailable', 'no number is free for another peer')
  const nowMs = tx.nowMs()
  const made: PeerRecord = {
    ...{ uid, number, terms, region: regionFor(view, terms, other), state: 'active' },
    ca: other.ca,
    card: {
      ...{ name, region: other.region, endpoints, usedPrefixes },
      ...{ limits: theirLimits, suspended: false },
    },
    ...{ stated: NO_HEAD, heard: NO_HEAD, heardAtMs: nowMs },
    ...{ audit: { sequence: 0, hash: '' }, createdAtMs: nowMs },
  }
  const detail = { act: 'agreed', how, cloud: name, region: made.region, ca: other.ca, terms }
  const peer = await appendAudit(tx, made, { atMs: nowMs, what: 'operator', detail })
  await tx.put('peer', [uid], peer)
  await tx.put('peer-chain', [uid], { uid, pending: null, receipt: null })
  return peer
}

/** Throws Conflict for this cloud itself, and for CAs that another peer has. */
export function checkOther(view: View, { uid, ca }: Pick<OtherCloud, 'uid' | 'ca'>): void {
  const own = view.get('cloud', 'self')
  const theirs = digestsOf(ca)
  if (uid === own?.uid || (own?.caBundle !== undefined && isAmong(theirs, own.caBundle))) {
    throw new MalleeError('Conflict', 'this is your own cloud: it needs no agreement with itself')
  }
  const twin = view.all('peer').find((one) => one.uid !== uid && isAmong(theirs, one.ca))
  if (twin === undefined) return
  const sentence = `cloud ${uid} has the CA of the peer ${twin.terms.name}, which is another one`
  throw new MalleeError('Conflict', sentence)
}

/** Throws NameTaken. */
export function checkName(view: View, name: string, uid: string): void {
  const twin = view.all('peer').find((one) => one.terms.name === name && one.uid !== uid)
  if (twin === undefined) return
  throw new MalleeError('NameTaken', `there is a peer ${name} already: give another --name`)
}

/** What users here call the other's region. Throws NameTaken, BadArgument. */
export function regionFor(
  view: View,
  { name, region }: Pick<PeerTerms, 'name' | 'region'>,
  other: Pick<OtherCloud, 'uid' | 'region'>,
): string {
  if (region !== undefined && !isRegion(region)) {
    throw new MalleeError('BadArgument', `${JSON.stringify(region)} is no name of a region`)
  }
  const peers = view.all('peer').filter(({ uid }) => uid !== other.uid)
  const taken = new Set([view.get('cloud', 'self')?.region, ...peers.map((one) => one.region)])
  const wanted = region === undefined ? [other.region, name] : [region]
  const found = wanted.find((one) => isRegion(one) && !taken.has(one))
  if (found !== undefined) return found
  const sentence = `a region is named ${wanted.join(' or ')} already: give another --region-name`
  throw new MalleeError('NameTaken', sentence)
}

/** Prefixes that both use: each will see the other's translated. At most 50 pairs. */
export function planConflicts(
  own: readonly string[],
  theirs: readonly string[],
): { readonly own: string; readonly theirs: string }[] {
  const found: { own: string; theirs: string }[] = []
  for (const a of own) {
    for (const b of theirs) {
      const [mine, other] = [parseCidr(a), parseCidr(b)]
      if (!mine.ok || !other.ok || !overlaps(mine.value, other.value)) continue
      if (found.push({ own: a, theirs: b }) >= MAX_CONFLICTS) return found
    }
  }
  return found
}

/** Each peer's are asked for whenever one says who it is. */
const digests = new Kept<CaBundleRecord, ReadonlySet<string>>()

function digestsOf(bundle: CaBundleRecord): ReadonlySet<string> {
  return digests.get(bundle, [], () => new Set(bundle.certificates.map(caDigest)))
}

function isAmong(some: ReadonlySet<string>, bundle: CaBundleRecord): boolean {
  return [...digestsOf(bundle)].some((one) => some.has(one))
}

function otherCa({ terms: { name } }: PeerRecord): MalleeError {
  const sentence = `the peer ${name} came with other CAs than it has here: remove the peer first`
  return new MalleeError('CaMismatch', sentence)
}
