// The words of NBD that a server needs (NetworkBlockDevice/nbd, doc/proto.md): fixed newstyle
// negotiation, simple replies.

export const HANDSHAKE = { fixedNewstyle: 1, noZeroes: 2 } as const
export const OPTION = { exportName: 1, abort: 2, list: 3, info: 6, go: 7 } as const
export const COMMAND = { read: 0, write: 1, disconnect: 2, flush: 3, trim: 4, zero: 6 } as const
/** Linux' errno values, which the protocol took. */
export const ERROR = { notPermitted: 1, io: 5, invalid: 22, noSpace: 28, notSupported: 95 } as const
export const REPLY = {
  ack: 1,
  server: 2,
  info: 3,
  unsupported: 2 ** 31 + 1,
  invalid: 2 ** 31 + 3,
  unknown: 2 ** 31 + 6,
} as const

/** Bytes of one read or write, at most. */
export const MAX_PAYLOAD_BYTES = 4 << 20
export const GREETING_BYTES = 18
export const OPTION_BYTES = 16
export const REQUEST_BYTES = 28

const OPTION_MAGIC = 0x49484156454f5054n
const REPLY_MAGIC = 0x0003e889045565a9n
const REQUEST_MAGIC = 0x25609513
const SIMPLE_MAGIC = 0x67446698
/** HAS_FLAGS, READ_ONLY, CAN_MULTI_CONN. */
const READ_ONLY_FLAGS = 1 | 2 | (1 << 8)
/** HAS_FLAGS, SEND_FLUSH, SEND_FUA, SEND_TRIM, SEND_WRITE_ZEROES. */
const WRITABLE_FLAGS = 1 | (1 << 2) | (1 << 3) | (1 << 5) | (1 << 6)
/** Of a request: its bytes are on disk when it is answered. */
const FUA = 1
const INFO = { export: 0, blockSize: 3 } as const
const PREFERRED_BLOCK_BYTES = 64 << 10
const OLD_PADDING_BYTES = 124

export interface OptionHead {
  readonly option: number
  readonly length: number
}

/** What of an export its client is told. */
export interface ExportFacts {
  readonly sizeBytes: number
  readonly isWritable: boolean
}

export interface Request {
  readonly command: number
  readonly isDurable: boolean
  /** Sent back as it came. */
  readonly cookie: bigint
  readonly offset: bigint
  readonly length: number
}

export function greeting(): Buffer {
  const bytes = Buffer.alloc(GREETING_BYTES)
  bytes.write('NBDMAGIC', 0, 'latin1')
  bytes.writeBigUInt64BE(OPTION_MAGIC, 8)
  bytes.writeUInt16BE(HANDSHAKE.fixedNewstyle | HANDSHAKE.noZeroes, 16)
  return bytes
}

/** Null for what is no option. */
export function parseOption(bytes: Buffer): OptionHead | null {
  if (bytes.readBigUInt64BE(0) !== OPTION_MAGIC) return null
  return { option: bytes.readUInt32BE(8), length: bytes.readUInt32BE(12) }
}

export function optionReply(option: number, reply: number, data = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(20)
  head.writeBigUInt64BE(REPLY_MAGIC, 0)
  head.writeUInt32BE(option, 8)
  head.writeUInt32BE(reply, 12)
  head.writeUInt32BE(data.length, 16)
  return Buffer.concat([head, data])
}

/** The export's name in an INFO or GO; null when it is cut short. */
export function nameIn(data: Buffer): string | null {
  if (data.length < 6) return null
  const length = data.readUInt32BE(0)
  return length > data.length - 6 ? null : data.toString('utf8', 4, 4 + length)
}

/** What an INFO or GO is answered with before its ACK. */
export function exportInfo(option: number, { sizeBytes, isWritable }: ExportFacts): Buffer {
  const size = Buffer.alloc(12)
  size.writeUInt16BE(INFO.export, 0)
  size.writeBigUInt64BE(BigInt(sizeBytes), 2)
  size.writeUInt16BE(isWritable ? WRITABLE_FLAGS : READ_ONLY_FLAGS, 10)
  const blocks = Buffer.alloc(14)
  blocks.writeUInt16BE(INFO.blockSize, 0)
  blocks.writeUInt32BE(1, 2)
  blocks.writeUInt32BE(PREFERRED_BLOCK_BYTES, 6)
  blocks.writeUInt32BE(MAX_PAYLOAD_BYTES, 10)
  return Buffer.concat([
    optionReply(option, REPLY.info, size),
    optionReply(option, REPLY.info, blocks),
  ])
}

/** What EXPORT_NAME is answered with, which has no other answer. */
export function oldExportInfo({ sizeBytes, isWritable }: ExportFacts, noZeroes: boolean): Buffer {
  const bytes = Buffer.alloc(10 + (noZeroes ? 0 : OLD_PADDING_BYTES))
  bytes.writeBigUInt64BE(BigInt(sizeBytes), 0)
  bytes.writeUInt16BE(isWritable ? WRITABLE_FLAGS : READ_ONLY_FLAGS, 8)
  return bytes
}

/** One export of a LIST. */
export function listed(name: string): Buffer {
  const bytes = Buffer.alloc(4 + Buffer.byteLength(name))
  bytes.writeUInt32BE(bytes.length - 4, 0)
  bytes.write(name, 4)
  return optionReply(OPTION.list, REPLY.server, bytes)
}

/** Null for what is no request. */
export function parseRequest(bytes: Buffer): Request | null {
  if (bytes.readUInt32BE(0) !== REQUEST_MAGIC) return null
  return {
    command: bytes.readUInt16BE(6),
    isDurable: (bytes.readUInt16BE(4) & FUA) !== 0,
    cookie: bytes.readBigUInt64BE(8),
    offset: bytes.readBigUInt64BE(16),
    length: bytes.readUInt32BE(24),
  }
}

/** The head of an answer, behind which the bytes of a read come when `error` is 0. */
export function simpleReply(cookie: bigint, error: number): Buffer {
  const bytes = Buffer.alloc(16)
  bytes.writeUInt32BE(SIMPLE_MAGIC, 0)
  bytes.writeUInt32BE(error, 4)
  bytes.writeBigUInt64BE(cookie, 8)
  return bytes
}
