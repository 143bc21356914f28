// Agreements with other clouds begin: an invitation is made here, or one that another cloud's
// operator has handed over is looked at and accepted.

import type { FastifyInstance } from 'fastify'
import { MalleeError } from '../../common/errors.ts'
import { acceptPeer, previewPeer } from '../peering/accepting.ts'
import { mintPeerInvitation } from '../peering/invitations.ts'
import {
  EXAMPLE_DIGEST,
  INVITATION,
  INVITATION_EXAMPLE,
  LIMITS,
  PEER,
  PEER_EXAMPLE,
  peerName,
  shownInvitation,
  shownLimits,
  shownPeer,
  TERMS,
  termsFrom,
} from './peer-schemas.ts'
import type { PeerParts } from './peers.ts'
import { route } from './route.ts'
import { integer, list, named, object, secret, type Typed, text, time } from './schema.ts'

const MINUTE_MS = 60_000
const MAX_MINUTES = 30 * 24 * 60
const MAX_INVITATION_CHARS = 1_024
const EXAMPLE_TEXT = 'mlp1.lab.0123456789abcdef.SECRET.DIGEST.00000000@203.0.113.7:8775'
const REFUSALS = [
  ...(['TokenGarbled', 'TokenUnknown', 'TokenExpired', 'TokenUsed', 'CaMismatch'] as const),
  ...(['ClockSkew', 'ProtocolMismatch', 'Conflict', 'NameTaken', 'Unavailable'] as const),
] as const

const NEW_INVITATION = named(
  'NewPeerInvitation',
  object({
    id: text({}),
    name: peerName,
    invitation: secret('Shown once, for the other operator: what mallee peer accept takes'),
    expiresAtMs: time('Good until'),
  }),
)
export type NewInvitation = Typed<typeof NEW_INVITATION>

const SIDE = named(
  'CloudSide',
  object({
    ...{ uid: text({}), name: text({}), region: text({}) },
    fingerprints: list(text({}), { description: 'SHA-256 of its CAs' }),
    prefixes: list(text({}), { description: 'That it uses' }),
    endpoints: list(text({}), { description: 'Of its peering ports' }),
  }),
)
const PREVIEW = named(
  'PeerPreview',
  object({
    own: SIDE,
    other: SIDE,
    regionHere: text({ description: 'What users here would call its region' }),
    conflicts: list(object({ own: text({}), theirs: text({}) }), {
      description: 'Prefixes of both that overlap: each side sees the other translated',
    }),
    granted: LIMITS,
    expiresAtMs: time('The invitation is good until'),
  }),
)
export type PreviewShown = Typed<typeof PREVIEW>

const OWN = { uid: 'f0123456789abcdeff0123456789abcd', name: 'office', region: 'au-mallee-1' }
const BOTH = { fingerprints: [EXAMPLE_DIGEST], prefixes: ['10.0.0.0/8'] }
const PREVIEW_EXAMPLE: PreviewShown = {
  own: { ...OWN, ...BOTH, endpoints: ['198.51.100.7:8776'] },
  other: { ...OWN, ...BOTH, name: 'lab', endpoints: ['203.0.113.7:8776'] },
  ...{ regionHere: 'au-lab-1', conflicts: [{ own: '10.0.0.0/8', theirs: '10.0.0.0/8' }] },
  ...{ granted: PEER_EXAMPLE.granted, expiresAtMs: INVITATION_EXAMPLE.expiresAtMs },
}
const ACCEPTANCE = object(
  {
    invitation: {
      ...secret('As the other operator has it from mallee peer invite'),
      maxLength: MAX_INVITATION_CHARS,
    },
  },
  { name: peerName, ...TERMS },
)

export function addPeerInvitationRoutes(
  app: FastifyInstance,
  { inviting, trouble }: PeerParts['peering'],
): void {
  const { state } = inviting
  route(
    app,
    {
      ...{ id: 'createPeerInvitation', summary: 'Make an invitation for one other cloud' },
      ...{ method: 'POST', path: '/v1/peer-invitations' },
      body: object(
        { name: peerName, minutes: integer({ minimum: 1, maximum: MAX_MINUTES }) },
        TERMS,
      ),
      bodyExample: { name: 'partner', minutes: 1_440 },
      answer: NEW_INVITATION,
      example: {
        ...{ id: INVITATION_EXAMPLE.id, name: 'partner', invitation: EXAMPLE_TEXT },
        expiresAtMs: INVITATION_EXAMPLE.expiresAtMs,
      },
      refusals: ['NameTaken'],
    },
    async ({ body: { name, minutes, ...wish } }) => {
      const terms = { name, ...termsFrom(wish) }
      const made = await mintPeerInvitation(inviting, { terms, ttlMs: minutes * MINUTE_MS })
      const { id, expiresAtMs } = made.record
      return { id, name, invitation: made.text, expiresAtMs }
    },
  )

  route(
    app,
    {
      ...{ id: 'listPeerInvitations', summary: 'Invitations, used or not, until a day after' },
      ...{ method: 'GET', path: '/v1/peer-invitations' },
      answer: object({ invitations: list(INVITATION) }),
      example: { invitations: [INVITATION_EXAMPLE] },
    },
    async () => ({
      invitations: (await state.fresh()).all('peer-invitation').map(shownInvitation),
    }),
  )

  route(
    app,
    {
      ...{ id: 'revokePeerInvitation', summary: 'End an invitation that nobody has accepted' },
      ...{ method: 'DELETE', path: '/v1/peer-invitations/{id}' },
      params: object({ id: text({ minLength: 1, maxLength: 64, description: 'Of it' }) }),
      ...{ answer: object({ revoked: text({}) }), example: { revoked: INVITATION_EXAMPLE.id } },
      refusals: ['NotFound', 'Conflict'],
    },
    async ({ params: { id } }) => {
      await state.update(async (tx) => {
        const found = await tx.get('peer-invitation', id)
        if (found === null) throw new MalleeError('NotFound', `there is no invitation ${id}`)
        if (found.used !== null) {
          const sentence = `invitation ${id} was accepted: mallee peer remove ${found.terms.name}`
          throw new MalleeError('Conflict', sentence)
        }
        await tx.delete('peer-invitation', id)
      })
      return { revoked: id }
    },
  )

  route(
    app,
    {
      ...{ id: 'inspectPeer', summary: 'What accepting an invitation would connect' },
      ...{ method: 'POST', path: '/v1/peers/inspect', isReading: true, body: ACCEPTANCE },
      ...{ bodyExample: { invitation: EXAMPLE_TEXT }, answer: PREVIEW, example: PREVIEW_EXAMPLE },
      refusals: REFUSALS,
    },
    async ({ body: { invitation, name, ...wish } }) => {
      const { limits, ...shown } = await previewPeer(inviting, invitation, wished(name, wish))
      return { ...shown, granted: shownLimits(limits) }
    },
  )

  route(
    app,
    {
      ...{ id: 'acceptPeer', summary: 'Accept an invitation: its cloud is a peer from then on' },
      ...{ method: 'POST', path: '/v1/peers', body: ACCEPTANCE },
      ...{ bodyExample: { invitation: EXAMPLE_TEXT, name: 'partner' }, answer: PEER },
      ...{ example: PEER_EXAMPLE, refusals: REFUSALS },
    },
    async ({ body: { invitation, name, ...wish } }) => {
      const peer = await acceptPeer(inviting, invitation, wished(name, wish))
      return shownPeer(peer, trouble(peer.uid))
    },
  )
}

function wished(name: string | undefined, wish: Parameters<typeof termsFrom>[0]) {
  return { ...(name !== undefined && { name }), ...termsFrom(wish) }
}
