// What an operation of S3 gets and what it gives back: the door between HTTP and the operations.
// Types only: those of inputs and outputs are the official SDK's, which is not loaded.

import type { S3 } from '@aws-sdk/client-s3'
import type { Log } from '../../../common/log.ts'
import type { Caller, Inputs, Outputs } from '../../aws/handlers.ts'
import type { Arrival } from '../../iam/request-keys.ts'
import type { BucketRecord } from '../../store/bucket-records.ts'
import type { ObjectEntry } from '../index/objects.ts'

export type ChecksumAlgorithm = 'CRC32' | 'CRC32C' | 'CRC64NVME' | 'SHA1' | 'SHA256'

/** What was computed over a body. */
export interface BodySums {
  readonly md5Hex: string
  readonly checksum: { readonly algorithm: ChecksumAlgorithm; readonly base64: string }
}

/** The body of an upload while it arrives. */
export interface S3Body {
  /**
   * The decoded bytes (aws-chunked taken off), to be pulled once. A client that waits for `100
   * Continue` gets it with the first pull. Throws ApiError (BadDigest, IncompleteBody,
   * XAmzContentSHA256Mismatch, SignatureDoesNotMatch, RequestTimeout, ...) before its end when
   * anything does not fit: nothing may become visible then.
   */
  readonly bytes: AsyncIterable<Uint8Array>
  /** Bytes after decoding, when the client said it; held to it. */
  readonly sizeBytes: number | null
  /** The checksum that the client sends or announces; null when it sends none. */
  readonly announced: ChecksumAlgorithm | null
  /** What is computed when nothing is announced; CRC64NVME unless said before the first pull. */
  readonly assume: (algorithm: ChecksumAlgorithm) => void
  /** What was computed while it passed. Throws RangeError before the end. */
  readonly sums: () => BodySums
}

export interface S3Call<Input> {
  /** Decoded and checked against the model. Of a body that is a stream: `body`. */
  readonly input: Input
  /** Null: nobody signed. */
  readonly caller: Caller | null
  readonly requestId: string
  /** Milliseconds since 1970 at which the request arrived. */
  readonly nowMs: number
  /** Has the request's id and operation on every line. */
  readonly log: Log
  /** It came as a form of a web page; absent: as its operation says. */
  readonly isForm?: boolean
  /** A header as it came; null without. Name in lower case. */
  readonly header: (name: string) => string | null
  /** Of operations whose payload is a stream, else null. */
  readonly body: S3Body | null
  readonly arrival: Arrival
  /** The bucket of the path as it was when policies were asked; null where there is none. */
  readonly bucket: BucketRecord | null
  /**
   * What else the call needs leave for: `s3:GetObject` of a copy's source, each key of many that
   * are deleted, `s3:ListBucket` (key null) to be told that an object is not there.
   */
  readonly allows: (
    action: string,
    bucket: BucketRecord,
    key: string | null,
    /** What conditions may ask beside what they may of every call. */
    keys?: ReadonlyMap<string, readonly string[]>,
    /** What it is about, when that was read: it may have a list of grants, and tags. */
    object?: ObjectEntry,
  ) => boolean
  /**
   * There when the call's own leave hung on the object as it was then. Throws AccessDenied when it
   * has become one that this caller may not do this to.
   */
  readonly mayStill?: (object: ObjectEntry) => void
}

export interface S3Answer<Output> {
  readonly output: Output
  /** Sent as it comes. Its length is `ContentLength` of the output; without it: chunked. */
  readonly body?: AsyncIterable<Uint8Array>
  /** In place of the model's. 304 and answers to HEAD have no body, whatever is given. */
  readonly status?: number
  /** Beside those of the model, names in lower case. */
  readonly headers?: Readonly<Record<string, string>>
}

export type S3Inputs = Inputs<S3>
export type S3Outputs = Outputs<S3>

/**
 * Answers one call: checks, does, returns. It was signed well and policies allow it, and its bucket
 * is there. Throws ApiError for what S3 would refuse.
 */
export type S3Handler<Input, Output> = (call: S3Call<Input>) => Promise<S3Answer<Output>>

/** An operation without a handler answers NotImplemented. */
export type S3Handlers = {
  readonly [K in keyof S3Inputs]?: S3Handler<Omit<S3Inputs[K], 'Body'>, Omit<S3Outputs[K], 'Body'>>
}
