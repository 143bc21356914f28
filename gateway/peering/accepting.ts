// The invited side: what an invitation would connect, and the agreement.

import { MalleeError } from '../../common/errors.ts'
import { type PeerInvitation, parsePeerInvitation } from '../../common/peer-invitation.ts'
import { caDigest } from '../../common/pki.ts'
import { acceptInvitation, inspectInvitation } from '../../proto/invitation-client.ts'
import { fetchPinnedCa } from '../../proto/membership-client.ts'
import type { PeerLimitsRecord, PeerRecord, PeerTerms } from '../store/peer-records.ts'
import { checkedCard, ensureOwnCloud, type OtherCloud, ownCard } from './cloud-card.ts'
import { checkPeerClock, forgetEnded, type InvitingParts } from './invitations.ts'
import { checkTerms, limitsRecord } from './limits.ts'
import { checkName, checkOther, planConflicts, putPeer, regionFor } from './new-peer.ts'

/** What `mallee peer accept` shows before it asks. */
export interface Preview {
  readonly own: CloudSide
  readonly other: CloudSide
  /** What users here would call the other's region. */
  readonly regionHere: string
  /** Prefixes of both that overlap: they are translated. */
  readonly conflicts: readonly { readonly own: string; readonly theirs: string }[]
  /** What the other lets this side do. */
  readonly limits: PeerLimitsRecord
  readonly expiresAtMs: number
}

interface CloudSide {
  readonly uid: string
  readonly name: string
  readonly region: string
  readonly fingerprints: readonly string[]
  readonly prefixes: readonly string[]
  readonly endpoints: readonly string[]
}

/** Without a name the peer is called as it calls itself. */
export type AcceptTerms = Omit<PeerTerms, 'name'> & { readonly name?: string }

/**
 * Throws TokenGarbled, CaMismatch when another cloud answers, Conflict for one's own, ClockSkew,
 * NameTaken, Unavailable, and what the inviting side refuses with.
 */
export async function previewPeer(
  parts: InvitingParts,
  text: string,
  wish: AcceptTerms,
): Promise<Preview> {
  const { state, clock } = parts
  const { at, own, other, limits, expiresAtMs } = await asked(parts, text)
  const view = await state.fresh()
  const terms = termsOf(wish, other)
  checkTerms(view, terms, clock.nowMs())
  if (view.get('peer', other.uid) === null) checkName(view, terms.name, other.uid)
  const mine = checkedCard(own)
  return {
    own: sideOf(mine),
    other: { ...sideOf(other), fingerprints: fingerprintsOf(other, at) },
    regionHere: view.get('peer', other.uid)?.region ?? regionFor(view, terms, other),
    conflicts: planConflicts(mine.usedPrefixes, other.usedPrefixes),
    limits,
    expiresAtMs,
  }
}

/** Uses the invitation up. Repeated after any failure it goes on. Throws as `previewPeer`. */
export async function acceptPeer(
  parts: InvitingParts,
  text: string,
  wish: AcceptTerms,
): Promise<PeerRecord> {
  const { state, clock, log } = parts
  const { at, caPem, own, other } = await asked(parts, text)
  const view = await state.fresh()
  const terms = termsOf(wish, other)
  checkTerms(view, terms, clock.nowMs())
  if (view.get('peer', other.uid) === null) {
    checkName(view, terms.name, other.uid)
    regionFor(view, terms, other)
  }
  const answer = await acceptInvitation({ ...at, caPem, clock }, own)
  const agreed = checkedCard(answer.cloud)
  if (agreed.uid !== other.uid) throw new MalleeError('BadMessage', 'another cloud has accepted')
  const theirLimits = limitsRecord(answer.limits)
  await forgetEnded(state, agreed.uid)
  const peer = await state.update((tx) =>
    putPeer(state, tx, { other: agreed, terms, theirLimits, how: 'accepted' }),
  )
  log.info('peer agreed', { peer: peer.terms.name, uid: peer.uid, invitation: at.id })
  return peer
}

async function asked(parts: InvitingParts, text: string) {
  const { state, clock, cas, randomHex, listening } = parts
  const at = parsePeerInvitation(text)
  const mine = await ensureOwnCloud(state, { cas, nowMs: clock.nowMs(), randomHex })
  if (mine.caBundle.certificates.some((pem) => caDigest(pem) === at.caDigest)) {
    throw new MalleeError('Conflict', 'this is your own cloud: the invitation is for another one')
  }
  await listening()
  const own = ownCard(await state.fresh())
  const place = await answering(at)
  const answer = await inspectInvitation({ ...at, ...place, clock }, own)
  const other = checkedCard(answer.cloud)
  const theirs = { name: other.name, clockMs: answer.clockMs }
  checkPeerClock(theirs, { name: own.name, nowMs: clock.nowMs() })
  // What it says of its CAs counts only with the one that the invitation names.
  if (
    other.name !== at.cloud ||
    !other.ca.certificates.some((pem) => caDigest(pem) === at.caDigest)
  ) {
    const sentence = `the cloud ${other.name} that answers is not ${at.cloud}, which the invitation names`
    throw new MalleeError('CaMismatch', sentence)
  }
  checkOther(await state.fresh(), other)
  const limits = limitsRecord(answer.limits)
  const expiresAtMs = Number(answer.expiresAtMs)
  return { at: { ...at, ...place }, caPem: place.caPem, own, other, limits, expiresAtMs }
}

/** The first of the invitation's places where its CA is found. */
async function answering({ places, caDigest: digest }: PeerInvitation) {
  let last: unknown = new MalleeError('Unavailable', 'the invitation names no place')
  for (const { host, port } of places) {
    try {
      return { host, port, caPem: await fetchPinnedCa(host, port, digest) }
    } catch (error) {
      last = error
    }
  }
  throw last
}

function termsOf({ name, ...rest }: AcceptTerms, other: OtherCloud): PeerTerms {
  return { name: name ?? other.name, ...rest }
}

function sideOf({ uid, name, region, ca, usedPrefixes, endpoints }: OtherCloud): CloudSide {
  const fingerprints = ca.certificates.map(caDigest)
  return { uid, name, region, fingerprints, prefixes: usedPrefixes, endpoints }
}

/** The invitation's own first. */
function fingerprintsOf({ ca }: OtherCloud, at: PeerInvitation): string[] {
  const others = ca.certificates.map(caDigest).filter((digest) => digest !== at.caDigest)
  return [at.caDigest, ...others]
}
