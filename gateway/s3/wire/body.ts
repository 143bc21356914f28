// A body on its way in: length, signatures, digests and checksums are held against what the request
// says of them, in one pass, before the last byte counts.

import { createHash, type Hash } from 'node:crypto'
import type { Clock } from '../../../common/clock.ts'
import type { BodyProof } from './authenticate.ts'
import type { ChecksumAlgorithm, S3Body } from './call.ts'
import { isSum, type Summing, startSum } from './checksums.ts'
import { ChunkedDecoder, incomplete, malformedTrailer } from './chunked.ts'
import { S3Error } from './error.ts'
import type { Expected } from './expected.ts'
import { incoming } from './incoming.ts'
import type { RunningCall } from './running.ts'
import { countedIn } from './served.ts'

export interface BodyParts {
  /** As the socket gives it. */
  readonly raw: AsyncIterable<Buffer>
  readonly proof: BodyProof
  readonly expected: Expected
  /** Bytes after decoding that may come. */
  readonly maxBytes: number
}

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
export function createBody({ raw, proof, expected, maxBytes }: BodyParts): S3Body {
  let fallback: ChecksumAlgorithm = 'CRC64NVME'
  let sums: ReturnType<S3Body['sums']> | null = null

  async function* checked(): AsyncGenerator<Buffer> {
    const sum = await startSum(expected.algorithm ?? fallback)
    const md5 = createHash('md5')
    const whole = proof.kind === 'sha256' ? createHash('sha256') : null
    const decoder = proof.kind === 'chunked' ? new ChunkedDecoder(proof) : null
    let bytes = 0
    let isEnded = false
    try {
      for await (const chunk of raw) {
        for (const part of decoder === null ? [chunk] : decoder.push(chunk)) {
          bytes += part.length
          if (bytes > (expected.sizeBytes ?? maxBytes)) throw tooMuch(bytes, expected, maxBytes)
          md5.update(part)
          whole?.update(part)
          sum.update(part)
          yield part
        }
      }
      const trailers = decoder?.end() ?? new Map()
      if (expected.sizeBytes !== null && bytes !== expected.sizeBytes) throw incomplete()
      if (proof.kind === 'sha256') checkSha256(proof.hex, whole)
      const md5Hex = md5.digest('hex')
      checkMd5(expected.md5, md5Hex)
      isEnded = true
      sums = { md5Hex, checksum: ended(sum, expected, trailers) }
    } finally {
      if (!isEnded) sum.drop()
    }
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

/** All of a small body. Throws what its bytes throw. */
export async function wholeBody(body: S3Body): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const part of body.bytes) parts.push(part)
  return Buffer.concat(parts)
}

function ended(
  sum: Summing,
  { algorithm, checksum, trailer }: Expected,
  trailers: ReadonlyMap<string, string>,
): ReturnType<S3Body['sums']>['checksum'] {
  const base64 = sum.base64()
  const names = [...trailers.keys()]
  if (names.some((name) => name !== trailer) || (trailer !== null && names.length === 0)) {
    throw malformedTrailer()
  }
  const said = trailer === null ? checksum : (trailers.get(trailer) ?? null)
  if (trailer !== null && (said === null || !isSum(sum.algorithm, said))) {
    const message = `Value for ${trailer} trailing header is invalid.`
    throw new S3Error('InvalidRequest', message, 400)
  }
  if (said !== null && algorithm !== null && said !== base64) {
    const message = `The ${algorithm} you specified did not match the calculated checksum.`
    throw new S3Error('BadDigest', message, 400)
  }
  return { algorithm: sum.algorithm, base64 }
}

function checkSha256(said: string, hash: Hash | null): void {
  const computed = hash?.digest('hex') ?? ''
  if (computed === said) return
  const message = "The provided 'x-amz-content-sha256' header does not match what was computed."
  throw new S3Error('XAmzContentSHA256Mismatch', message, 400, {
    ClientComputedContentSHA256: said,
    S3ComputedContentSHA256: computed,
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
