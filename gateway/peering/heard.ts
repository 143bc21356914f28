// A link of a peer cloud's chain comes in: what it states replaces what it stated, in one
// transaction with the new head and the entry of the log, and a receipt says so. Nothing else of
// this cloud is ever touched by what a peer says.

import { create, fromJson, type JsonValue, toJson } from '@bufbuild/protobuf'
import { isIssuedBy } from '../../common/ca-bundle.ts'
import { type Clock, MAX_JOIN_SKEW_MS } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import type { Log } from '../../common/log.ts'
import {
  type Batch,
  BatchSchema,
  type DeliverRequest,
  type DeliverResponse,
  DeliverResponseSchema,
  type Receipt,
  ReceiptSchema,
  type Statement,
  StatementSchema,
} from '../../proto/gen/mallee/v1/peering_pb.js'
import { parsed } from '../../proto/peering-service.ts'
import type { TlsIdentity } from '../../proto/tls.ts'
import type { ChainHead, PeerRecord } from '../store/peer-records.ts'
import type { State, Transaction, View } from '../store/state.ts'
import { appendAudit } from './audit.ts'
import { hashOf, placeOf, toHex } from './chain.ts'
import { checkStatement, MOST_OF_KIND } from './checked.ts'
import { withCloud } from './heard-cloud.ts'
import { checkPeerClock } from './invitations.ts'
import { signReceipt } from './receipt.ts'

export interface HearingParts {
  readonly state: State
  readonly clock: Clock
  readonly identity: () => TlsIdentity
  readonly log: Log
}

const MAX_BATCH_BYTES = 1 << 20
/** What is a grant or an announcement. */
const WORDY: readonly string[] = ['cloud', 'border', 'connection']
/** Of one entry of the log. */
const MAX_WORD_CHARS = 16 << 10
/** One transaction: with what else it writes. */
const MAX_STATEMENTS = 3_000

/**
 * Throws StaleGeneration when it is not the next link, BadMessage for what cannot be stated,
 * ClockSkew, NotAllowed when there is no agreement (any more).
 */
export async function heard(
  { state, clock, identity, log }: HearingParts,
  uid: string,
  { batch: bytes, clockMs }: DeliverRequest,
): Promise<DeliverResponse> {
  const { name = '', uid: own = '', caBundle } = state.view().get('cloud', 'self') ?? {}
  const caller = state.view().get('peer', uid)?.card.name ?? uid
  checkPeerClock({ name: caller, clockMs }, { name, nowMs: clock.nowMs() })
  if (bytes.length > MAX_BATCH_BYTES) {
    throw new MalleeError('BadMessage', `a batch of ${bytes.length} bytes, 1 MiB is the most`)
  }
  const batch = parsed(BatchSchema, bytes)
  const hash = hashOf(bytes)
  checkBatch(batch, { from: uid, to: own, nowMs: clock.nowMs() })
  const receipt = await state.update(async (tx) => {
    const peer = await tx.get('peer', uid)
    if (peer === null || peer.state === 'removing') throw noAgreement()
    const place = placeOf(peer.heard, batch, hash)
    const nowMs = clock.nowMs()
    const head = { epoch: toHex(batch.epoch), sequence: Number(batch.sequence), hash }
    const sign = () => signReceipt(identity(), { from: uid, to: own }, head, nowMs)
    if (place === 'again') return await receiptAgain(tx, uid, caBundle?.certificates ?? [], sign)
    if (place === 'stale') throw stale(peer, batch)
    const given = sign()
    const view = await state.fresh()
    await putStatements(tx, view, peer, batch)
    await tx.put('peer', [uid], await nextPeer(tx, view, peer, { batch, head, given, nowMs }))
    const chain = await tx.get('peer-chain', uid)
    const receipt = toJson(ReceiptSchema, given)
    await tx.put('peer-chain', [uid], { uid, pending: chain?.pending ?? null, receipt })
    return given
  })
  log.debug('peer heard', { uid, sequence: Number(batch.sequence), of: batch.statements.length })
  return create(DeliverResponseSchema, { receipt })
}

interface Heard {
  readonly batch: Batch
  readonly head: ChainHead
  readonly given: Receipt
  readonly nowMs: number
}

async function nextPeer(
  tx: Transaction,
  view: View,
  peer: PeerRecord,
  { batch, head, given, nowMs }: Heard,
): Promise<PeerRecord> {
  const cloud = batch.statements.find(({ key }) => key === 'cloud')?.body
  const said = cloud?.case === 'cloud' ? withCloud(view, peer, cloud.value) : peer
  return await appendAudit(
    tx,
    { ...said, heard: head, heardAtMs: nowMs },
    {
      ...{ atMs: nowMs, what: 'heard', detail: auditDetail(batch, head) },
      receipt: toJson(ReceiptSchema, given),
    },
  )
}

/**
 * Grants and announcements word by word, as far as there is room; of the rest how many. The hash
 * covers all of them.
 */
export function auditDetail({ statements, snapshot }: Batch, head: ChainHead): object {
  const counts: Record<string, number> = {}
  const words: unknown[] = []
  let room = MAX_WORD_CHARS
  for (const one of statements) {
    const [said = ''] = one.key.split('/')
    const kind = said in MOST_OF_KIND ? said : 'other'
    counts[kind] = (counts[kind] ?? 0) + 1
    if (!WORDY.includes(kind) || room <= 0) continue
    const word = toJson(StatementSchema, one)
    room -= JSON.stringify(word).length
    if (room > 0) words.push(word)
  }
  return { ...head, snapshot, counts, statements: words }
}

function checkBatch(
  batch: Batch,
  { from, to, nowMs }: { from: string; to: string; nowMs: number },
): void {
  if (batch.fromUid !== from || batch.toUid !== to) {
    throw new MalleeError('NotAllowed', 'the batch is not from the caller to this cloud')
  }
  if (batch.epoch.length !== 16) throw new MalleeError('BadMessage', 'the epoch is not 16 bytes')
  if (batch.sequence < 1n || batch.sequence > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new MalleeError('BadMessage', `the sequence ${batch.sequence} is out of range`)
  }
  if (Number(batch.statedAtMs) - nowMs > MAX_JOIN_SKEW_MS) {
    throw new MalleeError('ClockSkew', 'the batch was stated in the future')
  }
  const { statements } = batch
  if (statements.length > MAX_STATEMENTS) {
    const count = `${statements.length} statements, ${MAX_STATEMENTS} are the most`
    throw new MalleeError('BadMessage', `a batch of ${count}`)
  }
  for (const one of statements) checkStatement(one)
  if (new Set(statements.map(({ key }) => key)).size < statements.length) {
    throw new MalleeError('BadMessage', 'a batch states one thing twice')
  }
}

/** Throws BadMessage when there would be more of a kind than one side may have. */
async function putStatements(
  tx: Transaction,
  view: View,
  { uid, heard: before }: PeerRecord,
  batch: Batch,
): Promise<void> {
  const epoch = toHex(batch.epoch)
  const isNew = epoch !== before.epoch
  const held = isNew ? [] : view.withPrefix('peer-statement', `${uid}/`)
  const keys = new Set(held.filter((one) => one.epoch === epoch).map(({ key }) => key))
  for (const { key, body } of batch.statements) {
    if (body.case === undefined) keys.delete(key)
    else keys.add(key)
  }
  checkCounts(keys)
  for (const one of batch.statements) await putStatement(tx, uid, epoch, one)
}

async function putStatement(
  tx: Transaction,
  uid: string,
  epoch: string,
  one: Statement,
): Promise<void> {
  const id = [uid, ...one.key.split('/')]
  if (one.body.case === undefined) return await tx.delete('peer-statement', ...id)
  const statement = toJson(StatementSchema, one)
  await tx.put('peer-statement', id, { uid, key: one.key, epoch, statement })
}

function checkCounts(keys: ReadonlySet<string>): void {
  const counts = new Map<string, number>()
  for (const key of keys) {
    const kind = key.split('/')[0] ?? ''
    const count = (counts.get(kind) ?? 0) + 1
    counts.set(kind, count)
    const most = MOST_OF_KIND[kind] ?? 0
    if (count > most) {
      throw new MalleeError('BadMessage', `more than ${most} statements of the kind ${kind}`)
    }
  }
}

/** The same, unless it is of a CA that has ended: then it counts nowhere any more. */
async function receiptAgain(
  tx: Transaction,
  uid: string,
  cas: readonly string[],
  sign: () => Receipt,
): Promise<Receipt> {
  const chain = await tx.get('peer-chain', uid)
  const kept = fromJson(ReceiptSchema, (chain?.receipt ?? {}) as JsonValue)
  if (chain === null || cas.some((ca) => isIssuedBy(kept.certificatePem, ca))) return kept
  const given = sign()
  await tx.put('peer-chain', [uid], { ...chain, receipt: toJson(ReceiptSchema, given) })
  return given
}

function stale({ heard: { sequence } }: PeerRecord, batch: Batch): MalleeError {
  const sentence = `batch ${batch.sequence} does not follow batch ${sequence}, the last one here`
  return new MalleeError('StaleGeneration', sentence)
}

export function noAgreement(): MalleeError {
  return new MalleeError('NotAllowed', 'there is no agreement with the caller')
}
