// Where the bytes of snapshots are noted: rows in the store of the index of objects, which no
// gateway has a copy of in its memory.

import type { PageKind } from '../../../common/snapshot-manifest.ts'

/** What is kept by its SHA-256. */
export type ItemKind = 'block' | PageKind | 'root'
export const ITEM_KINDS: readonly ItemKind[] = ['block', 'leaf', 'branch', 'root']

const TIME_DIGITS = 15
/** The last block of the largest volume has 9. */
const INDEX_DIGITS = 9

export function itemPrefix(kind: ItemKind): string {
  return `ebs/${kind}/`
}

export function itemKey(kind: ItemKind, sha256: string): string {
  return `${itemPrefix(kind)}${sha256}`
}

export const IDLE = 'ebs/idle/'

/** What nobody refers to, and until when it is kept all the same. */
export function idleKey(dueMs: number, kind: ItemKind, sha256: string): string {
  return `${IDLE}${String(dueMs).padStart(TIME_DIGITS, '0')}/${kind}/${sha256}`
}

export interface IdleParts {
  readonly dueMs: number
  readonly kind: ItemKind
  readonly sha256: string
}

/** What a key of something idle says; null for one of a kind that is not known here. */
export function idleParts(key: string): IdleParts | null {
  const [due = '', name = '', sha256 = ''] = key.slice(IDLE.length).split('/')
  const kind = ITEM_KINDS.find((one) => one === name)
  return kind === undefined ? null : { dueMs: Number(due), kind, sha256 }
}

export const HELD = 'ebs/held/'

/** Which manifest a snapshot has. */
export function heldKey(snapshot: string): string {
  return `${HELD}${snapshot}`
}

export function holderPrefix(manifest: string): string {
  return `ebs/holder/${manifest}/`
}

/** That a snapshot has this manifest. */
export function holderKey(manifest: string, snapshot: string): string {
  return `${holderPrefix(manifest)}${snapshot}`
}

export const STAGED = 'ebs/staged/'

export function stagedPrefix(snapshot: string): string {
  return `${STAGED}${snapshot}/`
}

/** A block of a snapshot that is being put together. */
export function stagedKey(snapshot: string, index: number): string {
  return `${stagedPrefix(snapshot)}${String(index).padStart(INDEX_DIGITS, '0')}`
}

export function stagedParts(key: string): { snapshot: string; index: number } {
  const [snapshot = '', index] = key.slice(STAGED.length).split('/')
  return { snapshot, index: Number(index) }
}

export const DAMAGE = 'ebs/damage/'

/** That the bytes of something were found to be others, or gone. */
export function damagedKey(kind: ItemKind, sha256: string): string {
  return `${DAMAGE}${kind}/${sha256}`
}

/** How far the scrubber got. */
export const SCRUB = 'ebs/scrub'
