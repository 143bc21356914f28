// Takes aws-chunked off a body: sizes, data, signatures of the chunks and of the trailers (S3 API
// reference, "Transferring Payload in Multiple Chunks"). A state machine over buffers: what is
// split anywhere comes out the same.

import { createHash, createHmac, type Hash, hash, timingSafeEqual } from 'node:crypto'
import type { ChunkChain } from './authenticate.ts'
import { S3Error } from './error.ts'

export interface ChunkedOptions {
  /** Null: nothing is signed. */
  readonly chain: ChunkChain | null
  readonly hasTrailer: boolean
}

/** What the next bytes are. */
type State = 'size' | 'data' | 'end of data' | 'trailer' | 'done'

const EMPTY_HASH = hash('sha256', '')
/** A size, and a signature: some hundred bytes. */
const MAX_LINE = 1024
const MAX_TRAILERS = 16
const SIZE = /^([0-9a-fA-F]{1,10})(?:;chunk-signature=([0-9a-f]{64}))?$/
const TRAILER = /^([A-Za-z0-9-]{1,64}):(.*)$/
const CRLF = Buffer.from('\r\n')
const TRAILER_SIGNATURE = 'x-amz-trailer-signature'

/** Guards one body. Throws S3Error as soon as anything does not fit. */
export class ChunkedDecoder {
  readonly #chain: ChunkChain | null
  readonly #hasTrailer: boolean
  /** Of a line that is not whole yet. */
  #rest: Buffer = Buffer.alloc(0)
  #state: State = 'size'
  #left = 0
  #signature = ''
  #previous: string
  #hash: Hash | null = null
  readonly #trailers: [name: string, value: string][] = []
  #trailerSignature = ''

  constructor({ chain, hasTrailer }: ChunkedOptions) {
    this.#chain = chain
    this.#hasTrailer = hasTrailer
    this.#previous = chain?.seed ?? ''
  }

  /** The data among the next bytes; buffers are parts of what is given. */
  push(bytes: Buffer): Buffer[] {
    const data: Buffer[] = []
    let at = bytes
    while (at.length > 0) at = this.#take(at, data)
    return data
  }

  /** After the last bytes. Throws IncompleteBody when more were announced. Gives the trailers. */
  end(): ReadonlyMap<string, string> {
    const isAtEnd = this.#state === 'done' || this.#state === 'trailer'
    if (!isAtEnd || this.#rest.length > 0) throw incomplete()
    if (this.#state === 'trailer') this.#finish()
    return new Map(this.#trailers)
  }

  #take(bytes: Buffer, data: Buffer[]): Buffer {
    if (this.#state === 'data') {
      const part = bytes.subarray(0, this.#left)
      this.#hash?.update(part)
      data.push(part)
      this.#left -= part.length
      if (this.#left === 0) this.#state = 'end of data'
      return bytes.subarray(part.length)
    }
    const { line, after } = this.#line(bytes)
    if (line !== null) this.#read(line)
    return after
  }

  /** Up to the next CRLF; null when it is not there yet. */
  #line(bytes: Buffer): { line: string | null; after: Buffer } {
    const known = this.#rest.length
    const all = known === 0 ? bytes : Buffer.concat([this.#rest, bytes.subarray(0, MAX_LINE)])
    const end = all.indexOf(CRLF)
    if (end > MAX_LINE || (end < 0 && all.length > MAX_LINE)) throw badFraming()
    if (end < 0) {
      this.#rest = Buffer.from(all)
      return { line: null, after: bytes.subarray(bytes.length) }
    }
    this.#rest = Buffer.alloc(0)
    const after = bytes.subarray(end + CRLF.length - known)
    return { line: all.toString('latin1', 0, end), after }
  }

  #read(line: string): void {
    switch (this.#state) {
      case 'size':
        this.#readSize(line)
        return
      case 'end of data':
        if (line !== '') throw badFraming()
        this.#checkChunk()
        this.#state = 'size'
        return
      case 'trailer':
        if (line === '') this.#finish()
        else this.#readTrailer(line)
        return
      default:
        // Some clients end with an empty line more.
        if (line !== '') throw badFraming()
    }
  }

  #readSize(line: string): void {
    const match = SIZE.exec(line)
    const [, size = '', signature = ''] = match ?? []
    if (match === null || (this.#chain !== null) !== (signature !== '')) throw badFraming()
    this.#left = Number.parseInt(size, 16)
    this.#signature = signature
    if (this.#chain !== null) this.#hash = createHash('sha256')
    if (this.#left > 0) {
      this.#state = 'data'
      return
    }
    this.#checkChunk()
    this.#state = 'trailer'
  }

  #readTrailer(line: string): void {
    const match = TRAILER.exec(line)
    if (match === null || !this.#hasTrailer) throw malformedTrailer()
    const name = (match[1] ?? '').toLowerCase()
    const value = (match[2] ?? '').trim()
    if (name === TRAILER_SIGNATURE) this.#trailerSignature = value
    else this.#trailers.push([name, value])
    const isTwice = this.#trailers.some(
      ([each], i) => each === name && i + 1 < this.#trailers.length,
    )
    if (isTwice || this.#trailers.length > MAX_TRAILERS) throw malformedTrailer()
  }

  #checkChunk(): void {
    if (this.#chain === null || this.#hash === null) return
    const { timestamp, scope } = this.#chain
    const sums = `${EMPTY_HASH}\n${this.#hash.digest('hex')}`
    const text = `AWS4-HMAC-SHA256-PAYLOAD\n${timestamp}\n${scope}\n${this.#previous}\n${sums}`
    this.#previous = this.#expect(text, this.#signature)
  }

  #finish(): void {
    this.#state = 'done'
    if (this.#chain === null || !this.#hasTrailer) return
    const { timestamp, scope } = this.#chain
    const canonical = this.#trailers.map(([name, value]) => `${name}:${value}\n`).join('')
    const digest = hash('sha256', Buffer.from(canonical, 'latin1'))
    const text = `AWS4-HMAC-SHA256-TRAILER\n${timestamp}\n${scope}\n${this.#previous}\n${digest}`
    this.#expect(text, this.#trailerSignature)
  }

  #expect(text: string, signature: string): string {
    const right = createHmac('sha256', this.#chain?.key ?? '')
      .update(text)
      .digest()
    const given = Buffer.from(signature, 'hex')
    if (given.length === right.length && timingSafeEqual(given, right)) return signature
    const message =
      'The request signature we calculated does not match the signature you provided. Check your key and signing method.'
    throw new S3Error('SignatureDoesNotMatch', message, 403, {
      StringToSign: text,
      SignatureProvided: signature,
    })
  }
}

export function incomplete(): S3Error {
  const message =
    'You did not provide the number of bytes specified by the Content-Length HTTP header'
  return new S3Error('IncompleteBody', message, 400)
}

export function malformedTrailer(): S3Error {
  const message =
    'The request contained trailing data that was not well-formed or did not conform to our published schema.'
  return new S3Error('MalformedTrailerError', message, 400)
}

function badFraming(): S3Error {
  const message = 'The body is not as its Content-Encoding aws-chunked says.'
  return new S3Error('InvalidRequest', message, 400)
}
