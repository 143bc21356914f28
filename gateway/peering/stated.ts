// What this side states about itself for a peer cloud now: a function of what the store says, so
// that nothing needs to be remembered to tell the difference.

import { create } from '@bufbuild/protobuf'
import { codeOf } from '../../common/errors.ts'
import {
  BorderSchema,
  CloudStatementSchema,
  type Statement,
  StatementSchema,
} from '../../proto/gen/mallee/v1/peering_pb.js'
import type { PeerRecord } from '../store/peer-records.ts'
import type { View } from '../store/state.ts'
import { ownBorders } from './borders.ts'
import { checkStatement, MOST_OF_KIND } from './checked.ts'
import { ownCard } from './cloud-card.ts'
import { connectionStatements } from './connection-statements.ts'
import { Kept } from './kept.ts'
import { limitsMessage } from './limits.ts'

type Part = (view: View, peer: PeerRecord) => readonly Statement[]

const PARTS: readonly Part[] = [statedBorders, (view, { uid }) => connectionStatements(view, uid)]

/** By key. Nothing is in it that the other side would refuse for its form or its number. */
export function stated(view: View, uid: string): ReadonlyMap<string, Statement> {
  const peer = view.get('peer', uid)
  if (peer === null) return new Map()
  // Who has ended the agreement states nothing more.
  const parts = peer.state === 'removing' ? [] : PARTS
  const fits = [statedCloud(view, peer), ...parts.flatMap((part) => part(view, peer))]
  const counts = new Map<string, number>()
  const all = fits.filter((one) => {
    if (!isFitting(one)) return false
    const kind = one.body.case ?? ''
    const count = (counts.get(kind) ?? 0) + 1
    counts.set(kind, count)
    return count <= (MOST_OF_KIND[kind] ?? 0)
  })
  return new Map(all.map((one) => [one.key, one]))
}

const clouds = new Kept<PeerRecord, Statement>()

function statedCloud(view: View, peer: PeerRecord): Statement {
  const { terms, state } = peer
  const card = ownCard(view)
  return clouds.get(peer, [card], () => {
    const value = create(CloudStatementSchema, {
      ...{ card, limits: limitsMessage(terms.limits) },
      ...{ suspended: state !== 'active', ended: state === 'removing' },
    })
    return create(StatementSchema, { key: 'cloud', body: { case: 'cloud', value } })
  })
}

/** Exactly those that this side chooses from for what they carry: the other chooses alike. */
function statedBorders(view: View, peer: PeerRecord): Statement[] {
  return ownBorders(view, peer).map(({ rack, host, endpoints, heard, ...rest }) => {
    const lists = { endpoints: [...endpoints], heard: [...heard] }
    const value = create(BorderSchema, { rack, host, ...lists, ...rest })
    return create(StatementSchema, {
      key: `border/${rack}/${host}`,
      body: { case: 'border', value },
    })
  })
}

/** Most are the same objects the next time. */
const fitting = new WeakMap<Statement, boolean>()

function isFitting(statement: Statement): boolean {
  const known = fitting.get(statement) ?? isAccepted(statement)
  fitting.set(statement, known)
  return known
}

function isAccepted(statement: Statement): boolean {
  try {
    checkStatement(statement)
    return true
  } catch (error) {
    if (codeOf(error) === null) throw error
    return false
  }
}
