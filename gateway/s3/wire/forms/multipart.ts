// A form as browsers send it (RFC 7578): its fields first, then its file as a stream, at the pace
// of whoever takes it. What is behind the file is looked at only to see that there is no other.

import { once } from 'node:events'
import { Busboy, type BusboyFileStream, type BusboyInstance } from '@fastify/busboy'
import { S3Error } from '../error.ts'
import { invalidArgument } from '../values.ts'

export interface PostedForm {
  /** By names in lower case, in their order. */
  readonly fields: ReadonlyMap<string, string>
  /** As the browser calls the file, without folders; null when it says nothing. */
  readonly filename: string | null
  /** Of the file, to be taken once. Throws MalformedPOSTRequest, and what the raw bytes throw. */
  readonly bytes: AsyncIterable<Buffer>
  /** In place of taking the bytes, or after that: nothing more is read. */
  readonly drop: () => void
}

/** All but the file, in bytes (S3 user guide, "HTML forms"). */
export const MAX_FIELDS_BYTES = 20_480
const MAX_FIELDS = 200
const MAX_PART_HEADER_BYTES = 4_096
const FILE = 'file'
/** Fields that nobody looks at. */
export const IGNORED = 'x-ignore-'

/**
 * Resolves when the file begins. Throws PreconditionFailed, MalformedPOSTRequest,
 * MaxPostPreDataLengthExceeded, InvalidArgument, and what the raw bytes throw.
 */
export async function readForm(
  raw: AsyncIterable<Buffer>,
  contentType: string | undefined,
): Promise<PostedForm> {
  const parser = parserOf(contentType)
  const fields = new Map<string, string>()
  const begun = Promise.withResolvers<string | null>()
  const stop = new AbortController()
  let stream: BusboyFileStream | null = null
  let fieldsBytes = 0
  let error: Error | null = null

  function fail(cause: Error): void {
    error ??= cause
    begun.reject(error)
    stream?.destroy(error)
    stop.abort()
  }

  parser.on('field', (name: string | undefined, value, _isNameCut, isCut) => {
    if (stream !== null || error !== null) return
    if (name === undefined) return fail(malformedForm())
    fieldsBytes += Buffer.byteLength(name) + Buffer.byteLength(value)
    if (isCut || fieldsBytes > MAX_FIELDS_BYTES) return fail(tooMuch())
    const lower = name.toLowerCase()
    if (fields.has(lower) && !lower.startsWith(IGNORED)) fail(repeated(name))
    fields.set(lower, value)
  })
  parser.on('file', (_name, file, filename: string | undefined) => {
    stream = file
    // A stream must not end the program because nobody listens to it any more.
    file.on('error', () => undefined)
    begun.resolve(filename ?? null)
  })
  parser.on('fieldsLimit', () => fail(tooMuch()))
  parser.on('filesLimit', () => fail(oneFile('2')))
  parser.on('error', () => fail(malformedForm()))

  async function pump(): Promise<void> {
    let fedBytes = 0
    for await (const chunk of raw) {
      if (stop.signal.aborted) return
      if (!parser.write(chunk)) await once(parser, 'drain', { signal: stop.signal })
      fedBytes += chunk.length
      if (stream === null && fedBytes > MAX_FIELDS_BYTES) throw tooMuch()
    }
    const finished = once(parser, 'finish', { signal: stop.signal })
    parser.end()
    await finished
    // Without effect when there was one.
    begun.reject(oneFile('0'))
  }

  const pumped = pump().catch((cause: Error) => fail(cause))
  const filename = await begun.promise

  async function* bytes(): AsyncGenerator<Buffer> {
    try {
      for await (const chunk of stream ?? []) yield chunk
      await pumped
    } catch (cause) {
      throw error ?? cause
    } finally {
      stop.abort()
    }
    if (error !== null) throw error
  }
  return { fields, filename, bytes: bytes(), drop: () => stop.abort() }
}

function parserOf(contentType = ''): BusboyInstance {
  if (!/^multipart\/form-data(?:;|\s|$)/i.test(contentType)) throw notMultipart()
  try {
    return new Busboy({
      headers: { 'content-type': contentType },
      isPartAFile: (name) => name?.toLowerCase() === FILE,
      limits: {
        ...{ fields: MAX_FIELDS, fieldSize: MAX_FIELDS_BYTES, files: 1 },
        ...{ headerPairs: 20, headerSize: MAX_PART_HEADER_BYTES },
      },
    })
  } catch {
    throw malformedForm()
  }
}

function malformedForm(): S3Error {
  const message = 'The body of your POST request is not well-formed multipart/form-data.'
  return new S3Error('MalformedPOSTRequest', message, 400)
}

function notMultipart(): S3Error {
  const message = 'At least one of the pre-conditions you specified did not hold'
  const Condition = 'Bucket POST must be of the enclosure-type multipart/form-data'
  return new S3Error('PreconditionFailed', message, 412, { Condition })
}

function tooMuch(): S3Error {
  const message = 'Your POST request fields preceeding the upload file was too large.'
  return new S3Error('MaxPostPreDataLengthExceeded', message, 400, {
    MaxPostPreDataLengthBytes: String(MAX_FIELDS_BYTES),
  })
}

function oneFile(count: string): S3Error {
  return invalidArgument(FILE, count, 'POST requires exactly one file upload per request.')
}

function repeated(name: string): S3Error {
  return invalidArgument(name, '', 'A field of a form can be there once only.')
}
