// One request to tgtd(8) over its management socket, as tgtadm(8) makes it: a C struct of fixed
// size, then text, both ways (tgt, usr/tgtadm.h). Spoken here because tgtadm takes secrets in its
// argv, where every user of the host sees them.

import { connect } from 'node:net'
import { type Code, MalleeError } from '../../common/errors.ts'

/** Of usr/tgtadm.h, in its order. */
const OP = { create: 0, delete: 1, show: 2, bind: 3, unbind: 4, update: 5 } as const
const MODE = { system: 0, target: 1, lun: 2, connection: 6, account: 7 } as const

export interface TgtRequest {
  readonly mode: keyof typeof MODE
  readonly op: keyof typeof OP
  /** -1, all of them, when not given. */
  readonly tid?: number
  readonly sid?: number
  readonly lun?: number
  readonly cid?: number
  /** `name=value` with commas between. May hold a secret: it appears in no error. */
  readonly text?: string
}

/** What is asked for is wrong in a way that tgtd has a word for. */
interface Refusal {
  readonly code: Code
  readonly why: string
}

const ANSWER_MS = 5_000
/** Of a listing: some 1,000 bytes for each target and 150 for each session. */
const MAX_ANSWER_BYTES = 32 << 20
/** tgtd refuses more (MAX_MGT_BUFSIZE). */
const MAX_TEXT_BYTES = 8 << 10
const ANSWER_HEAD_BYTES = 8
const DRIVER = 'iscsi'

/** Offsets of struct tgtadm_req where integers have 4 bytes and uint64_t is aligned to 8. */
const AT = { mode: 0, op: 4, driver: 8, length: 72, tid: 76, sid: 80, lun: 88, cid: 96 } as const
const REQUEST_BYTES = 120

/** Of usr/tgtadm_error.h, by number. What is not here stays CommandFailed. */
const REFUSALS: ReadonlyMap<number, Refusal> = new Map([
  [4, { code: 'NotFound', why: 'no such target' }],
  [5, { code: 'NotFound', why: 'no such logical unit' }],
  [6, { code: 'NotFound', why: 'no such session' }],
  [7, { code: 'NotFound', why: 'no such connection' }],
  [9, { code: 'NameTaken', why: 'there is a target of that number or name' }],
  [10, { code: 'NameTaken', why: 'there is a logical unit of that number' }],
  [12, { code: 'NameTaken', why: 'the initiator is allowed already' }],
  [13, { code: 'NotFound', why: 'the initiator is not allowed' }],
  [14, { code: 'NameTaken', why: 'there is an account of that name' }],
  [15, { code: 'NotFound', why: 'no such account' }],
  [17, { code: 'CommandFailed', why: 'invalid request' }],
  [19, { code: 'Conflict', why: 'the target has sessions' }],
  [20, { code: 'Conflict', why: 'the logical unit has commands under way' }],
])

/**
 * The text of the answer. Throws Unavailable when no tgtd listens or it hangs up, CommandTimeout,
 * NotFound, NameTaken, Conflict or CommandFailed as tgtd says, and BadArgument for too much text.
 */
export function askTgtd(socketFile: string, request: TgtRequest): Promise<string> {
  const what = `${request.op} ${request.mode}`
  const message = encodeRequest(request)
  return new Promise((resolve, reject) => {
    const socket = connect(socketFile)
    const chunks: Buffer[] = []
    let bytes = 0
    const fail = (code: Code, why: string, cause?: Error) => {
      socket.destroy()
      reject(new MalleeError(code, `tgtd at ${socketFile}, ${what}: ${why}`, { cause }))
    }
    socket.setTimeout(ANSWER_MS, () => fail('CommandTimeout', `no answer within ${ANSWER_MS} ms`))
    socket.on('error', (error) => fail('Unavailable', error.message, error))
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes > MAX_ANSWER_BYTES) fail('CommandFailed', 'an endless answer')
      else chunks.push(chunk)
    })
    // It closes when it has said everything. An end of ours before that would be an error to it.
    socket.on('end', () => {
      const answer = decodeAnswer(Buffer.concat(chunks))
      if (answer === null) fail('Unavailable', 'it hung up before it answered')
      else if (typeof answer === 'string') {
        socket.destroy()
        resolve(answer)
      } else fail(answer.code, answer.why)
    })
    socket.write(message)
  })
}

export function encodeRequest(request: TgtRequest): Buffer {
  const { mode, op, tid = -1, sid = 0, lun = 0, cid = 0, text = '' } = request
  // Its texts end with a zero byte.
  const tail = text === '' ? Buffer.alloc(0) : Buffer.from(`${text}\0`)
  if (tail.length > MAX_TEXT_BYTES || text.includes('\0')) {
    throw new MalleeError('BadArgument', `tgtd does not take a text of ${tail.length} bytes`)
  }
  const head = Buffer.alloc(REQUEST_BYTES)
  head.writeUInt32LE(MODE[mode], AT.mode)
  head.writeUInt32LE(OP[op], AT.op)
  head.write(DRIVER, AT.driver, 'latin1')
  head.writeUInt32LE(REQUEST_BYTES + tail.length, AT.length)
  head.writeInt32LE(tid, AT.tid)
  head.writeBigUInt64LE(BigInt(sid), AT.sid)
  head.writeBigUInt64LE(BigInt(lun), AT.lun)
  head.writeUInt32LE(cid, AT.cid)
  return Buffer.concat([head, tail])
}

/** Null for less than a whole answer. */
export function decodeAnswer(answer: Buffer): string | Refusal | null {
  if (answer.length < ANSWER_HEAD_BYTES) return null
  const error = answer.readUInt32LE(0)
  if (error !== 0) {
    return REFUSALS.get(error) ?? { code: 'CommandFailed', why: `refused with error ${error}` }
  }
  if (answer.length < answer.readUInt32LE(4)) return null
  const text = answer.subarray(ANSWER_HEAD_BYTES).toString()
  const end = text.indexOf('\0')
  return end === -1 ? text : text.slice(0, end)
}
