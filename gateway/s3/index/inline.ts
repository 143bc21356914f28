// Bytes of small objects in rows of the index, each with a CRC-32 that begins with the row's id:
// what the store's files have lost or mixed up is not given to anybody.

import { crc32 } from 'node:zlib'
import { MalleeError } from '../../../common/errors.ts'

/** CRC in hex, and the bytes in base64. Rows of before it have the bytes only. */
const ROW = /^([0-9a-f]{8}):(.*)$/s

export function inlineRow(id: string, bytes: Uint8Array): string {
  return `${sumOf(id, bytes)}:${Buffer.from(bytes).toString('base64')}`
}

/** Throws DataCorrupt when the row is not as it was written. */
export function inlineBytes(id: string, row: string): Buffer {
  const [, sum, base64 = row] = ROW.exec(row) ?? []
  const bytes = Buffer.from(base64, 'base64')
  if (sum === undefined || sum === sumOf(id, bytes)) return bytes
  throw new MalleeError('DataCorrupt', `the bytes in row ${id} of the index are damaged`)
}

function sumOf(id: string, bytes: Uint8Array): string {
  return crc32(bytes, crc32(id)).toString(16).padStart(8, '0')
}
