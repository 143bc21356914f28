// The log about a peer cloud for operators: its entries, and whether it is whole.

import type { FastifyInstance } from 'fastify'
import { peerNamed } from '../peering/acts.ts'
import { checkAudit } from '../peering/audit-check.ts'
import type { PeerAuditRecord } from '../store/peer-records.ts'
import { EXAMPLE_DIGEST, peerName } from './peer-schemas.ts'
import type { PeerParts } from './peers.ts'
import { route } from './route.ts'
import {
  integer,
  list,
  named,
  nullable,
  object,
  oneOf,
  type Schema,
  type Typed,
  text,
  time,
} from './schema.ts'

const ONE = object({ name: peerName })
const AT_MS = 1_785_000_000_000

const ENTRY = named(
  'PeerAuditEntry',
  object({
    sequence: integer({ minimum: 1, description: 'From 1, without a gap' }),
    atMs: time('When'),
    what: oneOf('stated', 'heard', 'operator', 'user'),
    detail: { type: 'object', description: 'What was done' } as Schema<object>,
    previousHash: text({ description: 'Of the entry before' }),
    hash: text({ description: 'SHA-256 over all the rest' }),
    receipt: nullable(
      { type: 'object' } as Schema<object>,
      "The other cloud's for what was stated, one's own for what was heard",
    ),
  }),
)
export type AuditEntryShown = Typed<typeof ENTRY>

const FAULT = object({ sequence: integer({ minimum: 0 }), why: text({}) })
const CHECK = named(
  'PeerAuditCheck',
  object({
    entries: integer({ minimum: 0 }),
    first: integer({ minimum: 0, description: 'The oldest entry that is kept' }),
    fault: nullable(FAULT, 'The first entry that does not fit'),
    compared: integer({ minimum: 0, description: "Links compared with the other's receipts" }),
    difference: nullable(FAULT, 'The first link where the other cloud holds something else'),
  }),
)
export type AuditCheck = Typed<typeof CHECK>

const EXAMPLE: AuditEntryShown = {
  ...{ sequence: 1, atMs: AT_MS, what: 'operator', detail: { act: 'agreed' }, previousHash: '' },
  ...{ hash: EXAMPLE_DIGEST, receipt: null },
}

export function addPeerAuditRoutes(app: FastifyInstance, { peering }: PeerParts): void {
  const { state } = peering.inviting
  route(
    app,
    {
      id: 'listPeerAudit',
      summary: 'The log of everything between this cloud and a peer',
      method: 'GET',
      path: '/v1/peers/{name}/audit',
      params: ONE,
      answer: object({ entries: list(ENTRY) }),
      example: { entries: [EXAMPLE] },
      refusals: ['NotFound'],
    },
    async ({ params: { name } }) => {
      const view = await state.fresh()
      const { uid } = peerNamed(view, name)
      return { entries: view.withPrefix('peer-audit', `${uid}/`).map(shown) }
    },
  )

  route(
    app,
    {
      id: 'checkPeerAudit',
      summary: "Compute a peer's log anew, and compare it with the other side's receipts",
      method: 'POST',
      path: '/v1/peers/{name}/audit/check',
      params: ONE,
      isReading: true,
      answer: CHECK,
      example: { entries: 12, first: 1, fault: null, compared: 5, difference: null },
      refusals: ['NotFound', 'Unavailable', 'CaMismatch', 'NotAllowed'],
    },
    async ({ params: { name } }) => {
      const view = await state.fresh()
      const peer = peerNamed(view, name)
      return await checkAudit(view, peer, (epoch, after) =>
        peering.receipts(peer.uid, epoch, after),
      )
    },
  )
}

function shown({ sequence, atMs, what, detail, ...rest }: PeerAuditRecord): AuditEntryShown {
  const { previousHash, hash, receipt } = rest
  const said = { sequence, atMs, what, detail: detail as object, previousHash, hash }
  return { ...said, receipt: (receipt ?? null) as object | null }
}
