// A body on its way in: length, signatures, digests and checksums are held against what the request
// says of them, in one pass, before the last byte counts.

import type { Clock } from '../../../common/clock.ts'
import { discardBytes, lend, PIECE_BYTES, putPiece, takePiece } from '../../../common/lent-bytes.ts'
import type { BodyProof } from './authenticate.ts'
import { type HashSums, type HashWish, startHashes } from './body-hashes.ts'
import type { ChecksumAlgorithm, S3Body } from './call.ts'
import { isSum } from './checksums.ts'
import { ChunkedDecoder, incomplete, malformedTrailer } from './chunked.ts'
import { S3Error } from './error.ts'
import type { Expected } from './expected.ts'
import { startFarHashes } from './hash-threads.ts'
import { incoming } from './incoming.ts'
import type { RunningCall } from './running.ts'
import { countedIn } from './served.ts'

/** Bytes of a body that is not worth a thread of its own. */
const SMALL_BYTES = 256 << 10

export interface BodyParts {
  readonly raw: AsyncIterable<Buffer>
  /** Nobody else has the buffers of `raw`: they may be freed. */
  readonly isOurs?: boolean
  readonly proof: BodyProof
  readonly expected: Expected
  /** Bytes after decoding that may come. */
  readonly maxBytes: number
}

/** A piece of the pool, and how much of it has bytes. */
interface Filled {
  readonly piece: Uint8Array
  readonly length: number
}

/** Takes off what is around the bytes. */
type Decode = (chunk: Buffer) => readonly Buffer[]

/** Of one PUT, one part or the file of a form. */
export const MAX_BODY_BYTES = 5 * 2 ** 30

/** As it comes. A client that waits is told to go on when somebody wants what it has. */
export function rawBody({ request, tally }: RunningCall, clock: Clock): AsyncIterable<Buffer> {
  const { message, response, waits } = request
  async function* awaited(): AsyncGenerator<Buffer> {
    if (waits && !response.headersSent) response.writeContinue()
    yield* incoming(message)
  }
  return tally === null ? awaited() : countedIn(awaited(), tally, clock)
}

/** Throws nothing: what is wrong is found while the bytes are pulled. */
export function createBody(parts: BodyParts): S3Body {
  const { raw, proof, expected, maxBytes, isOurs = false } = parts
  let fallback: ChecksumAlgorithm = 'CRC64NVME'
  let sums: ReturnType<S3Body['sums']> | null = null

  async function* checked(): AsyncGenerator<Uint8Array> {
    const algorithm = expected.algorithm ?? fallback
    const decoder = proof.kind === 'chunked' ? new ChunkedDecoder(proof) : null
    let bytes = 0
    const decode = (chunk: Buffer): readonly Buffer[] => {
      const parts = decoder === null ? [chunk] : decoder.push(chunk)
      for (const { length } of parts) bytes += length
      if (bytes > (expected.sizeBytes ?? maxBytes)) throw tooMuch(bytes, expected, maxBytes)
      return parts
    }
    const wish = { algorithm, sha256: proof.kind === 'sha256' }
    const isSmall = expected.sizeBytes !== null && expected.sizeBytes <= SMALL_BYTES
    const hashed = isSmall
      ? yield* hashedHere(raw, decode, wish)
      : yield* hashedBeside(gathered(raw, decode, isOurs), wish)
    const trailers = decoder?.end() ?? new Map()
    if (expected.sizeBytes !== null && bytes !== expected.sizeBytes) throw incomplete()
    if (proof.kind === 'sha256') checkSha256(proof.hex, hashed.sha256Hex)
    checkMd5(expected.md5, hashed.md5Hex)
    const checksum = ended(algorithm, hashed.checksum, expected, trailers)
    sums = { md5Hex: hashed.md5Hex, checksum }
  }

  return {
    bytes: checked(),
    sizeBytes: expected.sizeBytes,
    announced: expected.algorithm,
    assume: (algorithm) => {
      fallback = algorithm
    },
    sums: () => {
      if (sums === null) throw new RangeError('the body has not ended')
      return sums
    },
  }
}

/** The bytes as they come, hashed on the way. */
async function* hashedHere(
  raw: AsyncIterable<Buffer>,
  decode: Decode,
  wish: HashWish,
): AsyncGenerator<Uint8Array, HashSums> {
  const hashes = await startHashes(wish)
  let isEnded = false
  try {
    for await (const chunk of raw) {
      for (const part of decode(chunk)) {
        hashes.update(part)
        yield part
      }
    }
    isEnded = true
    return hashes.end()
  } finally {
    if (!isEnded) hashes.drop()
  }
}

/** In pieces that are used again, each hashed on a thread while it is written somewhere. */
async function* hashedBeside(
  pieces: AsyncIterable<Filled>,
  wish: HashWish,
): AsyncGenerator<Uint8Array, HashSums> {
  const hashes = startFarHashes(wish)
  let before: Promise<void> = Promise.resolve()
  try {
    for await (const { piece, length } of pieces) {
      const bytes = piece.subarray(0, length)
      const hashed = hashes.update(bytes)
      hashed.catch(() => undefined)
      const free = (): void => {
        void hashed.then(
          () => putPiece(piece),
          () => undefined,
        )
      }
      // Two are with the thread at most: the client goes at its pace.
      await before
      before = hashed
      yield lend(bytes, free)
    }
    return await hashes.end()
  } finally {
    hashes.drop()
  }
}

/** The decoded bytes in full pieces, but for the last one. */
async function* gathered(
  raw: AsyncIterable<Buffer>,
  decode: Decode,
  isOurs: boolean,
): AsyncGenerator<Filled> {
  let piece: Uint8Array | null = null
  let filled = 0
  for await (const chunk of raw) {
    for (const part of decode(chunk)) {
      for (let at = 0; at < part.length; ) {
        piece ??= takePiece()
        const taken = Math.min(part.length - at, PIECE_BYTES - filled)
        piece.set(part.subarray(at, at + taken), filled)
        filled += taken
        at += taken
        if (filled < PIECE_BYTES) continue
        yield { piece, length: filled }
        piece = null
        filled = 0
      }
    }
    if (isOurs) discardBytes(chunk)
  }
  if (piece !== null) yield { piece, length: filled }
}

/** All of a small body. Throws what its bytes throw. */
export async function wholeBody(body: S3Body): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const part of body.bytes) parts.push(part)
  return Buffer.concat(parts)
}

function ended(
  computed: ChecksumAlgorithm,
  base64: string,
  { algorithm, checksum, trailer }: Expected,
  trailers: ReadonlyMap<string, string>,
): ReturnType<S3Body['sums']>['checksum'] {
  const names = [...trailers.keys()]
  if (names.some((name) => name !== trailer) || (trailer !== null && names.length === 0)) {
    throw malformedTrailer()
  }
  const said = trailer === null ? checksum : (trailers.get(trailer) ?? null)
  if (trailer !== null && (said === null || !isSum(computed, said))) {
    const message = `Value for ${trailer} trailing header is invalid.`
    throw new S3Error('InvalidRequest', message, 400)
  }
  if (said !== null && algorithm !== null && said !== base64) {
    const message = `The ${algorithm} you specified did not match the calculated checksum.`
    throw new S3Error('BadDigest', message, 400)
  }
  return { algorithm: computed, base64 }
}

function checkSha256(said: string, computed: string | null): void {
  if (computed === said) return
  const message = "The provided 'x-amz-content-sha256' header does not match what was computed."
  throw new S3Error('XAmzContentSHA256Mismatch', message, 400, {
    ClientComputedContentSHA256: said,
    S3ComputedContentSHA256: computed ?? '',
  })
}

function checkMd5(said: string | null, md5Hex: string): void {
  const computed = Buffer.from(md5Hex, 'hex').toString('base64')
  if (said === null || said === computed) return
  const message = 'The Content-MD5 you specified did not match what we received.'
  throw new S3Error('BadDigest', message, 400, {
    ExpectedDigest: said,
    CalculatedDigest: computed,
  })
}

function tooMuch(bytes: number, { sizeBytes }: Expected, maxBytes: number): S3Error {
  return sizeBytes === null ? tooLarge(bytes, maxBytes) : incomplete()
}

export function tooLarge(bytes: number, maxBytes: number): S3Error {
  const message = 'Your proposed upload exceeds the maximum allowed size'
  return new S3Error('EntityTooLarge', message, 400, {
    ProposedSize: String(bytes),
    MaxSizeAllowed: String(maxBytes),
  })
}
