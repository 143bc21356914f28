// The chain in which statements go to a peer cloud, without I/O: what the next link is, and whether
// a link that came is the next one. Each link has the hash of the one before; a new chain begins
// with all that is stated, and is greater than every one before it.

import { createHash } from 'node:crypto'
import { create, toBinary } from '@bufbuild/protobuf'
import { MalleeError } from '../../common/errors.ts'
import {
  type Batch,
  BatchSchema,
  type Statement,
  StatementSchema,
} from '../../proto/gen/mallee/v1/peering_pb.js'
import type { ChainHead } from '../store/peer-records.ts'

/** Statements, and bytes of them, in one link: one transaction, one value of the store. */
export const MAX_LINK_STATEMENTS = 2_000
const MAX_LINK_BYTES = 384 << 10
const EPOCH_NUMBER_DIGITS = 16
/** In the order in which they are told when one link has no room for all. */
const KINDS: readonly string[] = ['cloud', 'border', 'connection', 'group', 'member', 'name']

export interface Link {
  readonly head: ChainHead
  /** A Batch; its hash is the head's. */
  readonly bytes: Uint8Array
}

/** What one side knows of the other's receipts, and states now. */
export interface Sender {
  readonly from: string
  readonly to: string
  /** Of what was given a receipt for. */
  readonly head: ChainHead
  /** By key, the digest of what was given a receipt for in this chain. */
  readonly given: ReadonlyMap<string, string>
  readonly now: ReadonlyMap<string, Statement>
}

/** The next link of the chain that is; null when the other knows all. */
export function nextLink(sender: Sender, nowMs: number): Link | null {
  const { from, to, head, given, now } = sender
  if (head.epoch === '') return null
  const withdrawn = [...given.keys()]
    .filter((key) => !now.has(key))
    .map((key) => create(StatementSchema, { key }))
  const changed = [...now].flatMap(([key, one]) =>
    given.get(key) === statementDigest(one) ? [] : [one],
  )
  const statements = fitting([...withdrawn, ...inOrder(changed)])
  if (statements.length === 0) return null
  const sequence = head.sequence + 1
  return linkOf({ from, to, epoch: head.epoch, sequence, previous: head.hash, statements, nowMs })
}

/** The first link of a new chain: as much of all that is stated as it has room for. */
export function firstLink(
  { from, to, now }: Pick<Sender, 'from' | 'to' | 'now'>,
  epoch: string,
  nowMs: number,
): Link {
  const statements = fitting(inOrder([...now.values()]))
  return linkOf({ from, to, epoch, sequence: 1, previous: '', statements, nowMs })
}

/** Greater than all of those before. Throws Conflict at the end of all numbers. */
export function nextEpoch(
  before: readonly string[],
  nowMs: number,
  random: (bytes: number) => string,
): string {
  const numbers = before.filter((one) => one !== '').map(epochNumber)
  const number = [BigInt(nowMs), ...numbers.map((one) => one + 1n)].reduce((a, b) =>
    a > b ? a : b,
  )
  const digits = number.toString(16).padStart(EPOCH_NUMBER_DIGITS, '0')
  if (digits.length > EPOCH_NUMBER_DIGITS) {
    throw new MalleeError('Conflict', 'the other cloud leaves no number for another chain')
  }
  return digits + random(8)
}

/**
 * What a link is to who holds `heard`: the next, the same again, or neither. A chain that was left
 * for another one never comes back, as its number is smaller.
 */
export function placeOf(
  heard: ChainHead,
  { epoch, sequence, previousHash, snapshot }: Batch,
  hash: string,
): 'next' | 'again' | 'stale' {
  const [of, previous] = [toHex(epoch), toHex(previousHash)]
  const at = Number(sequence)
  if (of === heard.epoch) {
    if (at === heard.sequence) return hash === heard.hash ? 'again' : 'stale'
    const follows = at === heard.sequence + 1 && previous === heard.hash && !snapshot
    return follows ? 'next' : 'stale'
  }
  const isLater = heard.epoch === '' || epochNumber(of) > epochNumber(heard.epoch)
  return isLater && at === 1 && previous === '' && snapshot ? 'next' : 'stale'
}

/** Lower-case hex SHA-256. */
export function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** Whoever states something else makes another object (stated.ts). */
const digests = new WeakMap<Statement, string>()

export function statementDigest(statement: Statement): string {
  const digest = digests.get(statement) ?? hashOf(toBinary(StatementSchema, statement))
  digests.set(statement, digest)
  return digest
}

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}

export function sameHead(a: ChainHead, b: ChainHead): boolean {
  return a.epoch === b.epoch && a.sequence === b.sequence && a.hash === b.hash
}

interface Parts extends Pick<Sender, 'from' | 'to'> {
  readonly epoch: string
  readonly sequence: number
  readonly previous: string
  readonly statements: readonly Statement[]
  readonly nowMs: number
}

function linkOf({ from, to, epoch, sequence, previous, statements, nowMs }: Parts): Link {
  const batch = create(BatchSchema, {
    epoch: Buffer.from(epoch, 'hex'),
    sequence: BigInt(sequence),
    previousHash: Buffer.from(previous, 'hex'),
    snapshot: sequence === 1,
    statements: [...statements],
    statedAtMs: BigInt(nowMs),
    fromUid: from,
    toUid: to,
  })
  const bytes = toBinary(BatchSchema, batch)
  return { head: { epoch, sequence, hash: hashOf(bytes) }, bytes }
}

function epochNumber(epoch: string): bigint {
  return BigInt(`0x${epoch.slice(0, EPOCH_NUMBER_DIGITS)}`)
}

function inOrder(statements: readonly Statement[]): Statement[] {
  const rank = ({ key }: Statement): number => KINDS.indexOf(key.split('/')[0] ?? '')
  return [...statements].sort((a, b) => rank(a) - rank(b))
}

function fitting(statements: readonly Statement[]): Statement[] {
  let bytes = 0
  const over = statements.findIndex((one, i) => {
    bytes += toBinary(StatementSchema, one).length
    return i > 0 && (i >= MAX_LINK_STATEMENTS || bytes > MAX_LINK_BYTES)
  })
  return over < 0 ? [...statements] : statements.slice(0, over)
}
