// The log that this side keeps of everything between it and a peer cloud: each entry has the hash
// of the one before, so that none can be changed, left out or added later without its being seen.

import { createHash } from 'node:crypto'
import type { PeerAuditRecord, PeerRecord } from '../store/peer-records.ts'
import type { Transaction } from '../store/state.ts'

/** Entries of one peer that are kept; the log begins with the oldest of them then. */
export const MAX_AUDIT_ENTRIES = 10_000
const SEQUENCE_DIGITS = 12

export type AuditEntry = Pick<PeerAuditRecord, 'atMs' | 'what' | 'detail' | 'receipt'>

/** Writes the next entry. The peer that comes back has its head, and is for the caller to put. */
export async function appendAudit(
  tx: Transaction,
  peer: PeerRecord,
  entry: AuditEntry,
): Promise<PeerRecord> {
  const { uid, audit: before } = peer
  const sequence = before.sequence + 1
  const unhashed = { uid, sequence, ...entry, previousHash: before.hash }
  const hash = auditHash(unhashed)
  await tx.put('peer-audit', [uid, auditKey(sequence)], { ...unhashed, hash })
  const oldest = sequence - MAX_AUDIT_ENTRIES
  if (oldest > 0) await tx.delete('peer-audit', uid, auditKey(oldest))
  return { ...peer, audit: { sequence, hash } }
}

/** Lower-case hex SHA-256 over all of the entry but its own hash. */
export function auditHash(entry: Omit<PeerAuditRecord, 'hash'>): string {
  const { uid, sequence, atMs, what, detail, previousHash, receipt } = entry
  const hashed = { uid, sequence, atMs, what, detail, previousHash, receipt }
  return createHash('sha256').update(canonical(hashed)).digest('hex')
}

/** So that entries stand in their order. */
export function auditKey(sequence: number): string {
  return String(sequence).padStart(SEQUENCE_DIGITS, '0')
}

/** JSON with members in the order of their names, as it is after any store. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_name, one: unknown) => {
    if (typeof one !== 'object' || one === null || Array.isArray(one)) return one
    return Object.fromEntries(Object.entries(one).sort(([a], [b]) => (a < b ? -1 : 1)))
  })
}
