// Which bytes of an object a request is about (RFC 9110, 14; S3 API reference, GetObject).

import type { ByteRange } from '../../../common/blobs/blobs.ts'
import type { ObjectVersion } from '../index/objects.ts'
import { S3Error } from '../wire/error.ts'
import { invalidArgument } from '../wire/values.ts'

const ONE_RANGE = /^bytes=(\d*)-(\d*)$/
const MAX_PARTS = 10_000

/**
 * Null: all of it. What is no range of bytes, or several, counts for nothing, as in S3. Throws
 * InvalidRange for one that begins after the end.
 */
export function rangeOf(header: string | undefined, sizeBytes: number): ByteRange | null {
  const [, from = '', to = ''] = ONE_RANGE.exec(header?.replaceAll(' ', '') ?? '') ?? []
  if (header === undefined || (from === '' && to === '')) return null
  const first = from === '' ? Math.max(0, sizeBytes - Number(to)) : Number(from)
  const last = from === '' || to === '' ? sizeBytes - 1 : Math.min(Number(to), sizeBytes - 1)
  if (from !== '' && to !== '' && Number(to) < Number(from)) return null
  if (first >= sizeBytes || (from === '' && Number(to) === 0)) throw beyond(header, sizeBytes)
  return { start: first, end: last + 1 }
}

/** The bytes of one part, and how many parts there are. */
export function partOf(
  number: number,
  { parts, partsCount, sizeBytes }: ObjectVersion,
): { readonly range: ByteRange; readonly count: number | undefined } {
  if (!Number.isInteger(number) || number < 1 || number > MAX_PARTS) {
    const message = `Part number must be an integer between 1 and ${MAX_PARTS}, inclusive`
    throw invalidArgument('partNumber', String(number), message)
  }
  if (partsCount === undefined) {
    if (number === 1) return { range: { start: 0, end: sizeBytes }, count: undefined }
    throw noSuchPart(number, 1)
  }
  let start = 0
  for (const part of parts) {
    const range = { start, end: start + part.sizeBytes }
    if (part.number === number) return { range, count: partsCount }
    start = range.end
  }
  throw noSuchPart(number, partsCount)
}

/** As in `bytes 0-9/100`. */
export function contentRange({ start, end }: ByteRange, sizeBytes: number): string {
  return `bytes ${start}-${end - 1}/${sizeBytes}`
}

function beyond(RangeRequested: string, sizeBytes: number): S3Error {
  const message = 'The requested range is not satisfiable'
  const fields = { RangeRequested, ActualObjectSize: String(sizeBytes) }
  const headers = { 'content-range': `bytes */${sizeBytes}` }
  return new S3Error('InvalidRange', message, 416, fields, headers)
}

function noSuchPart(PartNumberRequested: number, ActualPartCount: number): S3Error {
  const message = 'The requested partnumber is not satisfiable'
  const fields = {
    PartNumberRequested: String(PartNumberRequested),
    ActualPartCount: String(ActualPartCount),
  }
  return new S3Error('InvalidPartNumber', message, 416, fields)
}
