// Where the index keeps what in its store. Within a bucket the order of the store's keys is that of
// the objects' keys, by their UTF-8 bytes.

/** Below every character that a key of an object may have, as NUL is none. */
const LOWEST = '\u0001'
/** No hex digit comes after it. */
const AFTER_HEX = 'g'
const ORDER_DIGITS = 14
const PART_DIGITS = 5
const ROW_DIGITS = 4
const TIME_DIGITS = 15
const RANDOM_BYTES = 9
const MICROSECONDS = 1000

/** The current version, when it is no delete marker. */
export function objectKey(bucket: string, key: string): string {
  return `object/${bucket}/${key}`
}

/** The current version, when it is a delete marker. */
export function markerKey(bucket: string, key: string): string {
  return `marker/${bucket}/${key}`
}

/** A version that is kept: markers, and all that versioning has made or has pushed aside. */
export function versionKey(bucket: string, key: string, order: string): string {
  return `version/${bucket}/${ended(key)}${order}`
}

/** After all versions of a key. */
export function versionsEnd(bucket: string, key: string): string {
  return versionKey(bucket, key, AFTER_HEX)
}

export function versionPrefix(bucket: string, prefix: string): string {
  return `version/${bucket}/${escaped(prefix)}`
}

/** The order of the kept version whose id is `null`. */
export function nullKey(bucket: string, key: string): string {
  return `null/${bucket}/${key}`
}

export function inlineKey(bucket: string, id: string): string {
  return `inline/${bucket}/${id}`
}

export function manifestPrefix(bucket: string, id: string): string {
  return `manifest/${bucket}/${id}/`
}

export function manifestKey(bucket: string, id: string, row: number): string {
  return `${manifestPrefix(bucket, id)}${digits(row, ROW_DIGITS)}`
}

/** Who refers to a blob. */
export function blobKey(store: string, id: string): string {
  return `blob/${store}/${id}`
}

/** Those who refer to a blob besides the one in its row: they were copied from others. */
export function sharePrefix(store: string, id: string): string {
  return `share/${store}/${id}/`
}

export function shareKey(store: string, id: string, share: string): string {
  return `${sharePrefix(store, id)}${share}`
}

export function uploadKey(bucket: string, key: string, uploadId: string): string {
  return `upload/${bucket}/${ended(key)}${uploadId}`
}

/** After all uploads of a key. */
export function uploadsEnd(bucket: string, key: string): string {
  return uploadKey(bucket, key, AFTER_HEX)
}

export function uploadPrefix(bucket: string, prefix: string): string {
  return `upload/${bucket}/${escaped(prefix)}`
}

export function partPrefix(uploadId: string): string {
  return `part/${uploadId}/`
}

export function partKey(uploadId: string, number: number): string {
  return `${partPrefix(uploadId)}${digits(number, PART_DIGITS)}`
}

export const GARBAGE = 'garbage/'

export function garbageKey(dueMs: number, id: string): string {
  return `${GARBAGE}${digits(dueMs, TIME_DIGITS)}/${id}`
}

/** When garbage of that key may be taken away, in milliseconds since 1970. */
export function dueMsOf(key: string): number {
  return Number(key.slice(GARBAGE.length, GARBAGE.length + TIME_DIGITS))
}

/** Everything that waits to be told, by target. */
export const OUTBOX = 'event/'

export function outboxPrefix(target: string): string {
  return `${OUTBOX}${target}/`
}

export function outboxKey(target: string, dueMs: number, id: string): string {
  return `${outboxPrefix(target)}${digits(dueMs, TIME_DIGITS)}/${id}`
}

/** Of a key in the outbox: for whom, when (milliseconds since 1970), and which. */
export function outboxParts(key: string): { target: string; dueMs: number; id: string } {
  const [target = '', due, id = ''] = key.slice(OUTBOX.length).split('/')
  return { target, dueMs: Number(due), id }
}

/** Which gateway tells that target. */
export function outboxLeaseKey(target: string): string {
  return `event-lease/${target}`
}

/** Why that target was not told when it was last tried. */
export function outboxTroubleKey(target: string): string {
  return `event-trouble/${target}`
}

/** What buckets hold, where quotas want it counted. */
export const COUNTS = 'count/'

export function countKey(bucket: string): string {
  return `${COUNTS}${bucket}`
}

/** What transactions added since, and took away. */
export const DELTAS = 'delta/'

export function deltaPrefix(bucket: string): string {
  return `${DELTAS}${bucket}/`
}

export function deltaKey(bucket: string, id: string): string {
  return `${deltaPrefix(bucket)}${id}`
}

/** The bucket of such a key. */
export function deltaBucket(key: string): string {
  return key.slice(DELTAS.length).split('/')[0] ?? ''
}

/** Where a round of the scrubber is. */
export function scrubKey(store: string): string {
  return `scrub/${store}`
}

/** What the scrubber found of a blob. */
export function damageKey(store: string, id: string): string {
  return `damage/${store}/${id}`
}

export const LIFECYCLES = 'lifecycle/'

/** How far the lifecycle rules of a bucket got. */
export function lifecycleKey(bucket: string): string {
  return `${LIFECYCLES}${bucket}`
}

/** A bucket that takes no writes any more. */
export function closedKey(bucket: string): string {
  return `closed/${bucket}`
}

/** Sorts a version before everything that is older, also when the clock went back. */
export function orderAfter(nowMs: number, newest: string | null): string {
  const before = newest === null ? 0 : microsecondsOf(newest)
  const at = Math.max(nowMs * MICROSECONDS, before + 1)
  return (Number.MAX_SAFE_INTEGER - at).toString(16).padStart(ORDER_DIGITS, '0')
}

/** The time in an order, in microseconds since 1970. */
export function microsecondsOf(order: string): number {
  return Number.MAX_SAFE_INTEGER - Number.parseInt(order, 16)
}

/** Nobody guesses it, and it tells where the version is. */
export function versionIdOf(order: string, randomHex: (bytes: number) => string): string {
  return `${order}${randomHex(RANDOM_BYTES)}`
}

/** The order in a version id that is not `null`; null when it is none of ours. */
export function orderOf(versionId: string): string | null {
  return /^[0-9a-f]{32}$/.test(versionId) ? versionId.slice(0, ORDER_DIGITS) : null
}

/** Sorts after everything older. */
export function uploadIdAt(nowMs: number, randomHex: (bytes: number) => string): string {
  const time = (nowMs * MICROSECONDS).toString(16).padStart(ORDER_DIGITS, '0')
  return `${time}${randomHex(RANDOM_BYTES)}`
}

export function isUploadId(text: string): boolean {
  return /^[0-9a-f]{32}$/.test(text)
}

/** By UTF-8 bytes; JavaScript's own order is another one beyond U+FFFF. */
export function compareKeys(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

// Ends a key so that no other one begins with it, and keeps the order: what ends sorts before
// everything that goes on.
function ended(key: string): string {
  return `${escaped(key)}${LOWEST}${LOWEST}`
}

function escaped(key: string): string {
  return key.replaceAll(LOWEST, `${LOWEST}\u0002`)
}

function digits(n: number, count: number): string {
  return String(n).padStart(count, '0')
}
