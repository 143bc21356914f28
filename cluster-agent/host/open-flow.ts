// How many flows a bridge has, and the cookie of one of them: OpenFlow 1.3 over the bridge's
// management socket. Only that; for all else there is ovs-ofctl(8), which takes a thousand times
// longer to start than to ask.

import { connect } from 'node:net'
import { MalleeError } from '../../common/errors.ts'

const ANSWER_MS = 2_000
/** OpenFlow Switch Specification 1.3.5, sections 7.1 and 7.3.5. */
const VERSION = 4
const TYPE = { hello: 0, error: 1, multipartRequest: 18, multipartReply: 19 } as const
const MULTIPART = { flow: 1, aggregate: 2 } as const
const ALL_TABLES = 0xff
const ANY = 0xffff_ffff
const HEADER_BYTES = 8
const MULTIPART_HEADER_BYTES = 16
/** Of ofp_flow_stats_request and ofp_aggregate_stats_request with an empty match. */
const REQUEST_BYTES = 40
const AT = { flowCount: 16, cookie: 24 } as const

/** Of all tables. Throws Unavailable, CommandTimeout, or CommandFailed for an error message. */
export async function countFlows(socketFile: string): Promise<number> {
  const body = await ask(socketFile, MULTIPART.aggregate, ALL_TABLES)
  return body.readUInt32BE(AT.flowCount)
}

/** Of the first flow of a table; null when it has none. Throws as `countFlows` does. */
export async function firstCookie(socketFile: string, table: number): Promise<bigint | null> {
  const body = await ask(socketFile, MULTIPART.flow, table)
  return body.length === 0 ? null : body.readBigUInt64BE(AT.cookie)
}

/** The body of the first part of the answer. */
function ask(
  socketFile: string,
  kind: (typeof MULTIPART)[keyof typeof MULTIPART],
  table: number,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketFile)
    let left: Buffer = Buffer.alloc(0)
    const fail = (code: 'Unavailable' | 'CommandTimeout' | 'CommandFailed', why: string) => {
      socket.destroy()
      reject(new MalleeError(code, `OpenFlow at ${socketFile}: ${why}`))
    }
    socket.setTimeout(ANSWER_MS, () => fail('CommandTimeout', `no answer within ${ANSWER_MS} ms`))
    socket.on('error', (error) => fail('Unavailable', error.message))
    socket.on('end', () => fail('Unavailable', 'it hung up'))
    socket.on('data', (chunk: Buffer) => {
      left = Buffer.concat([left, chunk])
      while (left.length >= HEADER_BYTES && left.length >= left.readUInt16BE(2)) {
        const length = left.readUInt16BE(2)
        if (length < HEADER_BYTES) return fail('CommandFailed', `a message of ${length} bytes`)
        const [type, message] = [left.readUInt8(1), left.subarray(0, length)]
        left = left.subarray(length)
        if (type === TYPE.error) return fail('CommandFailed', message.toString('hex'))
        if (type !== TYPE.multipartReply) continue
        socket.destroy()
        return resolve(message.subarray(MULTIPART_HEADER_BYTES))
      }
    })
    socket.write(Buffer.concat([header(TYPE.hello, HEADER_BYTES), request(kind, table)]))
  })
}

function request(kind: number, table: number): Buffer {
  const multipart = Buffer.alloc(MULTIPART_HEADER_BYTES - HEADER_BYTES)
  multipart.writeUInt16BE(kind, 0)
  const body = Buffer.alloc(REQUEST_BYTES)
  body.writeUInt8(table, 0)
  body.writeUInt32BE(ANY, 4)
  body.writeUInt32BE(ANY, 8)
  // A match of type OXM without fields; its length is without the padding.
  body.writeUInt16BE(1, 32)
  body.writeUInt16BE(4, 34)
  const length = MULTIPART_HEADER_BYTES + REQUEST_BYTES
  return Buffer.concat([header(TYPE.multipartRequest, length), multipart, body])
}

function header(type: number, length: number): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES)
  bytes.writeUInt8(VERSION, 0)
  bytes.writeUInt8(type, 1)
  bytes.writeUInt16BE(length, 2)
  bytes.writeUInt32BE(1, 4)
  return bytes
}
