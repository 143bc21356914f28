// Whether the log about a peer cloud is whole: each entry follows from the one before, receipts are
// signed by who gave them, and what the other side holds is what was stated to it.

import { fromJson, type JsonValue } from '@bufbuild/protobuf'
import { MalleeError, messageOf } from '../../common/errors.ts'
import {
  type Receipt,
  ReceiptSchema,
  StatementSchema,
} from '../../proto/gen/mallee/v1/peering_pb.js'
import type {
  CaBundleRecord,
  ChainHead,
  PeerAuditRecord,
  PeerRecord,
} from '../store/peer-records.ts'
import type { View } from '../store/state.ts'
import { auditHash } from './audit.ts'
import { toHex } from './chain.ts'
import { checkReceipt, type Signer } from './receipt.ts'

/** Receipts that the other side has given, of one chain, in their order; none at its end. */
export type AskReceipts = (epoch: string, afterSequence: number) => Promise<readonly Receipt[]>

export interface AuditReport {
  readonly entries: number
  /** Sequence of the oldest entry that is kept; 0 when there is none. */
  readonly first: number
  /** The first entry that does not fit. */
  readonly fault: AuditFault | null
  /** Links of this side's chain that the other's receipts were compared with. */
  readonly compared: number
  /** The first link where the other holds something else; null when there is none. */
  readonly difference: AuditFault | null
}

export interface AuditFault {
  readonly sequence: number
  readonly why: string
}

const MAX_ASKED = 100

/** `ask` null: nothing is compared with the other side. Throws what asking throws. */
export async function checkAudit(
  view: View,
  peer: PeerRecord,
  ask: AskReceipts | null,
): Promise<AuditReport> {
  const entries = view.withPrefix('peer-audit', `${peer.uid}/`)
  const fault = ownFault(view, peer, entries)
  const stated = entries.filter(({ what }) => what === 'stated')
  const difference = ask === null ? null : await differenceOf(stated, ask)
  const compared = ask === null ? 0 : stated.length
  return { entries: entries.length, first: entries[0]?.sequence ?? 0, fault, compared, difference }
}

function ownFault(
  view: View,
  peer: PeerRecord,
  entries: readonly PeerAuditRecord[],
): AuditFault | null {
  const own = view.get('cloud', 'self')
  const uid = own?.uid ?? ''
  const mine = { name: own?.name ?? '', cas: casIn(entries, 'stated', own?.caBundle?.certificates) }
  const theirs = { name: peer.card.name, cas: casIn(entries, 'heard', peer.ca.certificates) }
  let before: PeerAuditRecord | null = null
  for (const entry of entries) {
    const { sequence, hash, ...rest } = entry
    if (before !== null && sequence !== before.sequence + 1) {
      return { sequence, why: `it does not follow entry ${before.sequence}` }
    }
    if (before !== null && rest.previousHash !== before.hash) {
      return { sequence, why: 'it was not made after the entry before it' }
    }
    if (auditHash({ sequence, ...rest }) !== hash) return { sequence, why: 'it was changed' }
    const why =
      entry.what === 'heard'
        ? receiptFault(entry, { from: peer.uid, to: uid }, mine)
        : receiptFault(entry, { from: uid, to: peer.uid }, theirs)
    if (why !== null) return { sequence, why }
    before = entry
  }
  const last = { sequence: before?.sequence ?? 0, hash: before?.hash ?? '' }
  if (last.sequence === peer.audit.sequence && last.hash === peer.audit.hash) return null
  return {
    sequence: last.sequence,
    why: `entries after it are missing, up to ${peer.audit.sequence}`,
  }
}

function receiptFault(
  { what, receipt, detail }: PeerAuditRecord,
  between: { from: string; to: string },
  signer: Signer,
): string | null {
  if (what !== 'heard' && what !== 'stated') return null
  try {
    checkReceipt(read(receipt), between, headIn(detail), signer)
    return null
  } catch (error) {
    return messageOf(error)
  }
}

/** Of each chain in the order in which they were begun. */
async function differenceOf(
  stated: readonly PeerAuditRecord[],
  ask: AskReceipts,
): Promise<AuditFault | null> {
  for (const [epoch, links] of Map.groupBy(stated, ({ detail }) => headIn(detail).epoch)) {
    const first = headIn(links[0]?.detail).sequence
    const given = await allOf(epoch, first - 1, ask)
    for (const { sequence, detail } of links) {
      const { sequence: at, hash } = headIn(detail)
      const there = given.get(at)
      if (there === hash) continue
      const why = there === undefined ? 'has no receipt for' : 'holds something else as'
      return { sequence, why: `the other cloud ${why} link ${at} of the chain ${epoch}` }
    }
  }
  return null
}

async function allOf(epoch: string, after: number, ask: AskReceipts): Promise<Map<number, string>> {
  const given = new Map<number, string>()
  let last = after
  for (let asked = 0; asked < MAX_ASKED; asked++) {
    const receipts = await ask(epoch, last)
    if (receipts.length === 0) return given
    for (const { sequence, hash } of receipts) {
      given.set(Number(sequence), toHex(hash))
      if (Number(sequence) <= last) throw notInOrder()
      last = Number(sequence)
    }
  }
  return given
}

/** Those pinned now and those stated before: a receipt may be of a CA that is pinned no more. */
function casIn(
  entries: readonly PeerAuditRecord[],
  what: 'heard' | 'stated',
  now: readonly string[] = [],
): string[] {
  const said = entries.flatMap((entry) => {
    const { act, ca } = entry.detail as { readonly act?: string; readonly ca?: CaBundleRecord }
    if (act === 'agreed' && what === 'heard') return ca?.certificates ?? []
    if (entry.what !== what) return []
    const { statements = [] } = entry.detail as { readonly statements?: readonly JsonValue[] }
    return statements.flatMap((one) => {
      const { body } = fromJson(StatementSchema, one, { ignoreUnknownFields: true })
      return body.case === 'cloud' ? (body.value.card?.ca?.certificates ?? []) : []
    })
  })
  return [...new Set([...now, ...said])]
}

function headIn(detail: unknown): ChainHead {
  const { epoch = '', sequence = 0, hash = '' } = detail as Partial<ChainHead>
  return { epoch, sequence, hash }
}

function read(receipt: unknown): Receipt | undefined {
  return receipt === undefined ? undefined : fromJson(ReceiptSchema, receipt as JsonValue)
}

function notInOrder(): MalleeError {
  return new MalleeError('BadMessage', 'the other cloud tells its receipts in no order')
}
