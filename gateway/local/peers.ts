// Peer clouds for operators: who they are, on which terms, stopped and ended. How one becomes a
// peer: peer-invitations.ts.

import type { FastifyInstance } from 'fastify'
import { changePeer, peerNamed, removePeer, resumePeer, suspendPeer } from '../peering/acts.ts'
import { linkTroubles } from '../peering/borders.ts'
import type { Peering } from '../peering/open.ts'
import type { PeerRecord } from '../store/peer-records.ts'
import type { View } from '../store/state.ts'
import { addPeerAuditRoutes } from './peer-audit.ts'
import { addPeerInvitationRoutes } from './peer-invitations.ts'
import {
  PEER,
  PEER_EXAMPLE,
  type PeerShown,
  peerName,
  shownPeer,
  TERMS,
  termsFrom,
} from './peer-schemas.ts'
import { route } from './route.ts'
import { flag, list, object, text } from './schema.ts'

export interface PeerParts {
  readonly peering: Pick<Peering, 'inviting' | 'trouble' | 'tell' | 'receipts'>
}

const ONE = object({ name: peerName })
const PATH = '/v1/peers/{name}'

export function addPeerRoutes(app: FastifyInstance, { peering }: PeerParts): void {
  const { inviting: acting, trouble, tell } = peering
  const { state } = acting
  addPeerInvitationRoutes(app, peering)
  addPeerAuditRoutes(app, { peering })
  route(
    app,
    {
      id: 'listPeers',
      summary: 'Peer clouds, on which terms, and what stands in the way',
      method: 'GET',
      path: '/v1/peers',
      answer: object({ peers: list(PEER) }),
      example: { peers: [PEER_EXAMPLE] },
    },
    async () => {
      const view = await state.fresh()
      return { peers: view.all('peer').map((one) => shownPeer(one, inTheWay(view, one))) }
    },
  )

  route(
    app,
    {
      ...{ id: 'getPeer', summary: 'A peer cloud, and what stands in the way', method: 'GET' },
      ...{ path: PATH, params: ONE, answer: PEER, example: PEER_EXAMPLE },
      refusals: ['NotFound'],
    },
    ({ params: { name } }) => shown(name),
  )

  route(
    app,
    {
      ...{ id: 'changePeer', summary: 'Change what a peer cloud may do here', method: 'PUT' },
      ...{ path: PATH, params: ONE, body: { ...object({}, TERMS), minProperties: 1 } },
      ...{ bodyExample: { mbps: 500 }, answer: PEER, example: PEER_EXAMPLE },
      refusals: ['NotFound', 'NameTaken'],
    },
    async ({ params: { name }, body }) => {
      await changePeer(acting, name, (before) => ({ ...before, ...termsFrom(body, before) }))
      return await shown(name)
    },
  )

  route(
    app,
    {
      ...{ id: 'suspendPeer', summary: 'Stop all traffic with a peer cloud, here and at once' },
      ...{ method: 'POST', path: `${PATH}/suspend`, params: ONE, answer: PEER },
      ...{ example: { ...PEER_EXAMPLE, state: 'suspended' as const }, refusals: ['NotFound'] },
    },
    async ({ params: { name } }) => {
      await suspendPeer(acting, name)
      return await shown(name)
    },
  )

  route(
    app,
    {
      ...{ id: 'resumePeer', summary: 'Let traffic with a peer cloud pass again', method: 'POST' },
      ...{ path: `${PATH}/resume`, params: ONE, answer: PEER, example: PEER_EXAMPLE },
      refusals: ['NotFound', 'Conflict'],
    },
    async ({ params: { name } }) => {
      await resumePeer(acting, name)
      return await shown(name)
    },
  )

  route(
    app,
    {
      ...{ id: 'removePeer', summary: 'End the agreement with a peer cloud, and forget all of it' },
      ...{ method: 'DELETE', path: PATH, params: ONE },
      answer: object({ removed: text({}), isTold: flag('The other cloud knows of it') }),
      ...{ example: { removed: 'partner', isTold: true }, refusals: ['NotFound'] },
    },
    async ({ params: { name } }) => {
      const isTold = await removePeer(acting, name, tell)
      return { removed: name, isTold }
    },
  )

  async function shown(name: string): Promise<PeerShown> {
    const view = await state.fresh()
    const peer = peerNamed(view, name)
    return shownPeer(peer, inTheWay(view, peer))
  }

  /** Of what is told to the other, and of the way of packets; null when nothing is. */
  function inTheWay(view: View, peer: PeerRecord): string | null {
    const telling = trouble(peer.uid)
    const all = [...(telling === null ? [] : [telling]), ...linkTroubles(view, peer)]
    return all.length === 0 ? null : all.join('; ')
  }
}
