// The operations of S3 Control that are done here: the tags of a bucket by its ARN, as Terraform's
// provider asks for them (S3 Control API reference, "ListTagsForResource"). They have a path, a
// header and documents of their own; who may what is asked and done as everywhere in S3.

import type { Clock } from '../../../common/clock.ts'
import { escapeXml } from '../../aws/encode.ts'
import type { Answer } from './answer.ts'
import { type AuthenticateParts, authenticate, type BodyProof } from './authenticate.ts'
import { createBody, rawBody, wholeBody } from './body.ts'
import type { S3Handler } from './call.ts'
import { DECLARATION } from './encode.ts'
import { S3Error } from './error.ts'
import { expectedOf } from './expected.ts'
import type { RunningCall } from './running.ts'
import type { Steps } from './steps.ts'
import { type Element, malformed, parseXml } from './xml.ts'

export interface Tag {
  readonly Key: string
  readonly Value: string
}

/** What answers them, by their names in policies. */
export interface ControlHandlers {
  readonly ListTagsForResource: S3Handler<object, { readonly Tags: readonly Tag[] }>
  readonly TagResource: S3Handler<{ readonly Tags: readonly Tag[] }, object>
  readonly UntagResource: S3Handler<{ readonly TagKeys: readonly string[] }, object>
}

interface ControlParts {
  readonly steps: Steps
  readonly signing: AuthenticateParts
  readonly clock: Clock
}

interface Request {
  readonly method: string
  /** As on the wire, without the query. */
  readonly path: string
  readonly query: string
  readonly headers: Headers
}

type Headers = ReadonlyMap<string, readonly string[]>

/** Requests of S3 itself do not have it, those of S3 Control must. */
const ACCOUNT_ID = 'x-amz-account-id'
const TAGS = '/v20180820/tags/'
const BUCKET_ARN = /^arn:aws:s3:::([^/:]+)$/
const NAMESPACE = 'http://awss3control.amazonaws.com/doc/2018-08-20/'
const XML = { 'content-type': 'application/xml' }
/** Of 50 tags at most. */
const MAX_DOCUMENT_BYTES = 256 << 10
/** By the request's method. They are not in the model of S3 itself. */
export const CONTROL_OPERATIONS: ReadonlyMap<string, keyof ControlHandlers> = new Map([
  ['GET', 'ListTagsForResource'],
  ['POST', 'TagResource'],
  ['DELETE', 'UntagResource'],
])

/** The account's id may stand before the host's name, so nothing is read from that. */
export function isControl(path: string, headers: Headers): boolean {
  return headers.has(ACCOUNT_ID) && path.startsWith(TAGS)
}

export function createControl(
  parts: ControlParts,
): (call: RunningCall, request: Request) => Promise<Answer> {
  const { steps, signing, clock } = parts

  function bodyOf(call: RunningCall, headers: Headers, proof: BodyProof): Promise<Buffer> {
    const raw = rawBody(call, clock)
    const expected = expectedOf(headers, proof, true)
    return wholeBody(createBody({ raw, proof, expected, maxBytes: MAX_DOCUMENT_BYTES }))
  }

  return async (call, request) => {
    const { method, path, query, headers } = request
    call.refusal = async (error) => errorAnswer(call, error)
    const operation = CONTROL_OPERATIONS.get(method)
    if (operation !== undefined) call.operation = operation
    const signed = await authenticate(signing, request, call.startedAtMs)
    steps.signed(call, signed)
    if (operation === undefined) throw notAllowed(method)
    const bucket = bucketIn(path.slice(TAGS.length))
    call.level = 'bucket'
    call.target = { bucket, key: null }
    // Whose the bucket is has to be right, as with the header that S3 itself has for it.
    const [account = ''] = headers.get(ACCOUNT_ID) ?? []
    const input: Record<string, unknown> = { ExpectedBucketOwner: account }
    if (operation === 'UntagResource') input['TagKeys'] = keysIn(query)
    const wanted = { operation, bucket, key: null, input }
    const leave = await steps.allow(call, wanted)
    if (operation === 'TagResource') {
      input['Tags'] = tagsIn(await bodyOf(call, headers, signed.proof))
    }
    const { output, status = 200 } = await steps.perform(call, wanted, {
      ...{ leave, body: null, headers },
    })
    if (operation !== 'ListTagsForResource') return { status, headers: {}, body: '' }
    const { Tags } = output as { readonly Tags: readonly Tag[] }
    return { status, headers: XML, body: documentOf(Tags) }
  }
}

/** Throws InvalidRequest for what is no bucket. */
function bucketIn(encoded: string): string {
  const arn = decoded(encoded)
  const bucket = BUCKET_ARN.exec(arn)?.[1]
  if (bucket !== undefined) return bucket
  const message = `The resource ${arn.slice(0, 200)} has no tags here: only arn:aws:s3:::bucket has.`
  throw new S3Error('InvalidRequest', message, 400)
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new S3Error('InvalidURI', "Couldn't parse the specified URI.", 400)
  }
}

function keysIn(query: string): string[] {
  const keys = new URLSearchParams(query).getAll('tagKeys')
  if (keys.length > 0) return keys
  throw new S3Error('InvalidRequest', 'The parameter tagKeys is missing.', 400)
}

/** Throws MalformedXML. */
function tagsIn(bytes: Uint8Array): Tag[] {
  const root = parseXml(bytes)
  const [list, ...more] = root.children
  if (root.name !== 'TagResourceRequest' || list?.name !== 'Tags' || more.length > 0) {
    throw malformed()
  }
  return list.children.map((tag) => {
    if (tag.name !== 'Tag' || tag.children.length !== 2) throw malformed()
    return { Key: textIn(tag, 'Key'), Value: textIn(tag, 'Value') }
  })
}

function textIn({ children }: Element, name: string): string {
  const found = children.find((child) => child.name === name)
  if (found === undefined || found.children.length > 0) throw malformed()
  return found.text
}

function documentOf(tags: readonly Tag[]): string {
  const inner = tags.map(
    ({ Key, Value }) => `<Tag><Key>${escapeXml(Key)}</Key><Value>${escapeXml(Value)}</Value></Tag>`,
  )
  const root = 'ListTagsForResourceResult'
  return `${DECLARATION}<${root} xmlns="${NAMESPACE}"><Tags>${inner.join('')}</Tags></${root}>`
}

/** Errors of S3 Control stand in an element of their own. */
function errorAnswer({ requestId }: RunningCall, error: S3Error): Answer {
  const { code: Code, message: Message, fields, status } = error
  const inner = Object.entries({ Code, Message, ...fields })
    .map(([name, text]) => `<${name}>${escapeXml(text)}</${name}>`)
    .join('')
  const id = `<RequestId>${requestId}</RequestId>`
  const body = `${DECLARATION}<ErrorResponse><Error>${inner}</Error>${id}</ErrorResponse>`
  return { status, headers: { ...XML, ...error.headers }, body }
}

function notAllowed(Method: string): S3Error {
  const message = 'The specified method is not allowed against this resource.'
  const fields = { Method: Method.slice(0, 20), ResourceType: 'TAGS' }
  return new S3Error('MethodNotAllowed', message, 405, fields)
}
