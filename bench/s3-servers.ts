// Servers that take the same objects: those that speak S3, and those of plain files.

import { crc32 } from 'node:zlib'
import { signed } from '../test/gateway/s3/wire/support.ts'
import type { Target } from './load.ts'
import type { RawCall } from './raw-http.ts'

export interface ObjectServer {
  readonly name: string
  readonly port: number
  readonly call: (method: 'GET' | 'PUT', key: string, body: Body) => RawCall
}

/** One that speaks S3, with a bucket for all this. */
export interface S3Server extends ObjectServer {
  readonly makeBucket: () => Promise<void>
  /** A page of a list; the query in the order of names. */
  readonly list: (query: string) => Promise<string>
}

export interface Body {
  readonly bytes: Buffer
  readonly proof: Proof
}

/** How a body is vouched for. */
export type Proof = 'crc' | 'sha256'

const BUCKET = 'bench'
const CRC_BYTES = 4

export function signedServer(name: string, target: Target): S3Server {
  const { port } = target
  const sign = (method: 'GET' | 'PUT', key: string, wish: object = {}): RawCall => {
    const path = `/${BUCKET}${key}`
    const { headers } = signed(port, { ...target, method, path, ...wish })
    return { method, path, headers }
  }
  return {
    ...{ name, port },
    call: (method, key, { bytes, proof }) => {
      if (method === 'GET') return sign(method, `/${key}`)
      const payload = proof === 'crc' ? { payload: 'UNSIGNED-PAYLOAD' } : {}
      const headers = proof === 'crc' ? { 'x-amz-checksum-crc32': crcOf(bytes) } : {}
      return { ...sign(method, `/${key}`, { ...payload, headers, body: bytes }), body: bytes }
    },
    makeBucket: async () => void (await asked(port, sign('PUT', ''))),
    list: async (query) => {
      const call = sign('GET', '', { query })
      return await asked(port, { ...call, path: `${call.path}?${query}` })
    },
  }
}

/** nginx's, which ask for no signature. */
export function fileServer(name: string, port: number): ObjectServer {
  return {
    ...{ name, port },
    call: (method, key, { bytes }) => ({
      ...{ method, path: `/${key}` },
      ...(method === 'PUT' && { body: bytes }),
    }),
  }
}

async function asked(port: number, { method, path, headers = {} }: RawCall): Promise<string> {
  const { host: _, ...others } = headers
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method, headers: others })
  const text = await answer.text()
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`)
  return text
}

function crcOf(bytes: Buffer): string {
  const crc = Buffer.alloc(CRC_BYTES)
  crc.writeUInt32BE(crc32(bytes))
  return crc.toString('base64')
}
