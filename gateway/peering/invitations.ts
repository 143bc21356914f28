// The inviting side: an invitation is made for an operator, looked at, and used once by another
// cloud, which is a peer from then on.

import { create } from '@bufbuild/protobuf'
import { type Clock, MAX_JOIN_SKEW_MS, type RandomHex } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import { isName } from '../../common/identity.ts'
import type { Log } from '../../common/log.ts'
import { formatPeerInvitation } from '../../common/peer-invitation.ts'
import { caDigest } from '../../common/pki.ts'
import { type HostAndPort, hashSecret, newTokenSecret, sameSecret } from '../../common/token.ts'
import {
  type AcceptInvitationRequest,
  type AcceptInvitationResponse,
  AcceptInvitationResponseSchema,
  type InspectRequest,
  type InspectResponse,
  InspectResponseSchema,
} from '../../proto/gen/mallee/v1/peering_pb.js'
import type { PeerInvitationRecord, PeerTerms } from '../store/peer-records.ts'
import type { State } from '../store/state.ts'
import { checkedCard, ensureOwnCloud, type OtherCloud, ownCard } from './cloud-card.ts'
import { forgetPeer } from './forget.ts'
import { checkTerms, DEFAULT_LIMITS, limitsMessage } from './limits.ts'
import { checkName, checkOther, putPeer, regionFor } from './new-peer.ts'

export interface InvitingParts {
  readonly state: State
  readonly clock: Clock
  readonly randomHex: RandomHex
  readonly log: Log
  /** PEM of the CA in use, and of the next one when there is one. */
  readonly cas: readonly [string, ...string[]]
  /** Resolves when the peering port listens, and the store says where. */
  readonly listening: () => Promise<void>
  /** Where other clouds reach the join port. */
  readonly joinPlaces: () => readonly [HostAndPort, ...HostAndPort[]]
}

export const MAX_INVITATION_MS = 30 * 86_400_000

/** Throws BadArgument or NameTaken. The secret is in the text alone: the store has its hash. */
export async function mintPeerInvitation(
  { state, clock, randomHex, cas, joinPlaces }: InvitingParts,
  { terms, ttlMs }: { readonly terms: PeerTerms; readonly ttlMs: number },
): Promise<{ readonly record: PeerInvitationRecord; readonly text: string }> {
  const nowMs = clock.nowMs()
  if (!isName(terms.name)) {
    throw new MalleeError('BadArgument', `${JSON.stringify(terms.name)} is no name of a peer`)
  }
  if (!(ttlMs > 0 && ttlMs <= MAX_INVITATION_MS)) {
    throw new MalleeError(
      'BadArgument',
      `an invitation cannot live for ${ttlMs} ms, 30 days at most`,
    )
  }
  const { name: cloud } = await ensureOwnCloud(state, { cas, nowMs, randomHex })
  const view = await state.fresh()
  checkTerms(view, terms, nowMs)
  checkName(view, terms.name, '')
  if (terms.region !== undefined) regionFor(view, terms, { uid: '', region: terms.region })
  const id = randomHex(8)
  const secret = newTokenSecret()
  const times = { createdAtMs: nowMs, expiresAtMs: nowMs + ttlMs }
  const record = { id, secretHash: hashSecret(secret), terms, ...times, used: null }
  await state.update((tx) => tx.put('peer-invitation', [id], record))
  const places = joinPlaces()
  return {
    record,
    text: formatPeerInvitation({ cloud, id, secret, caDigest: caDigest(cas[0]), places }),
  }
}

/** What accepting would lead to. Writes nothing about the other cloud. */
export async function inspected(
  parts: InvitingParts,
  request: InspectRequest,
): Promise<InspectResponse> {
  const { state, clock } = parts
  const { other, terms, expiresAtMs } = await admitted(parts, request)
  const view = await state.fresh()
  if (view.get('peer', other.uid) === null) {
    checkName(view, terms.name, other.uid)
    regionFor(view, terms, other)
  }
  return create(InspectResponseSchema, {
    cloud: ownCard(view),
    limits: limitsMessage(terms.limits),
    expiresAtMs: BigInt(expiresAtMs),
    clockMs: BigInt(clock.nowMs()),
  })
}

/** The other cloud is a peer from now on. Again the same answer, as long as it has the same CA. */
export async function accepted(
  parts: InvitingParts,
  request: AcceptInvitationRequest,
): Promise<AcceptInvitationResponse> {
  const { state, clock, log } = parts
  const { other } = await admitted(parts, request)
  await forgetEnded(state, other.uid)
  const { invitationId: id } = request
  const peer = await state.update(async (tx) => {
    const atMs = clock.nowMs()
    const found = await tx.get('peer-invitation', id)
    const invitation = checkInvitation(found, other, request, atMs)
    // Its limits it tells with its first statement.
    const agreement = { other, terms: invitation.terms, theirLimits: DEFAULT_LIMITS }
    const made = await putPeer(state, tx, { ...agreement, how: 'invited' })
    if (invitation.used === null) {
      const used = { uid: other.uid, caDigest: firstDigest(other), atMs }
      await tx.put('peer-invitation', [id], { ...invitation, used })
    }
    return made
  })
  log.info('peer agreed', { peer: peer.terms.name, uid: peer.uid, invitation: id })
  return create(AcceptInvitationResponseSchema, {
    cloud: ownCard(await state.fresh()),
    limits: limitsMessage(peer.terms.limits),
  })
}

/** A peer that has ended the agreement may make another one, which begins with nothing. */
export async function forgetEnded(state: State, uid: string): Promise<void> {
  const known = (await state.fresh()).get('peer', uid)
  if (known?.card.ended === true || known?.state === 'removing') await forgetPeer(state, uid)
}

/** Throws ClockSkew when the two clocks are more than five minutes apart; both sides read it. */
export function checkPeerClock(
  theirs: { readonly name: string; readonly clockMs: bigint },
  own: { readonly name: string; readonly nowMs: number },
): void {
  const skewMs = Number(theirs.clockMs) - own.nowMs
  if (Math.abs(skewMs) <= MAX_JOIN_SKEW_MS) return
  const side = skewMs > 0 ? 'ahead of' : 'behind'
  const seconds = Math.round(Math.abs(skewMs) / 1000)
  const clocks = `the clock of cloud ${theirs.name} is ${seconds} s ${side} that of cloud ${own.name}`
  throw new MalleeError('ClockSkew', `${clocks}; more than 300 s is too much`)
}

type Shown = Pick<InspectRequest, 'invitationId' | 'invitationSecret'>

/** Nothing is done for who does not have the invitation. */
async function admitted(
  { state, clock, randomHex, cas, listening }: InvitingParts,
  request: Shown & Pick<InspectRequest, 'from' | 'clockMs'>,
): Promise<PeerInvitationRecord & { readonly other: OtherCloud }> {
  const nowMs = clock.nowMs()
  const other = checkedCard(request.from)
  const name = state.view().get('cloud', 'self')?.name ?? ''
  checkPeerClock({ name: other.name, clockMs: request.clockMs }, { name, nowMs })
  const found = (await state.fresh()).get('peer-invitation', request.invitationId)
  const invitation = checkInvitation(found, other, request, nowMs)
  await ensureOwnCloud(state, { cas, nowMs, randomHex })
  await listening()
  checkOther(await state.fresh(), other)
  return { ...invitation, other }
}

/** Throws TokenUnknown (one answer for unknown id and wrong secret), TokenExpired, TokenUsed. */
function checkInvitation(
  invitation: PeerInvitationRecord | null,
  other: OtherCloud,
  { invitationId: id, invitationSecret: secret }: Shown,
  nowMs: number,
): PeerInvitationRecord {
  if (invitation === null || !sameSecret(secret, invitation.secretHash)) {
    const sentence = `invitation ${id} is not known to this cloud, or its secret is wrong`
    throw new MalleeError('TokenUnknown', sentence)
  }
  if (nowMs >= invitation.expiresAtMs) {
    throw new MalleeError('TokenExpired', `invitation ${id} has expired, ask for a new one`)
  }
  const { used } = invitation
  const isSame = used?.uid === other.uid && used.caDigest === firstDigest(other)
  if (used !== null && !isSame) {
    throw new MalleeError('TokenUsed', `invitation ${id} was used already, ask for a new one`)
  }
  return invitation
}

function firstDigest({ ca }: OtherCloud): string {
  return caDigest(ca.certificates[0] ?? '')
}
