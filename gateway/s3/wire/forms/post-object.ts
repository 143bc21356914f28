// PostObject: an upload by a form of a web page (S3 API reference, "POST Object"). It is PutObject
// whose headers are fields, and whose signer is whoever made the form, within a policy.

import type { Clock } from '../../../../common/clock.ts'
import { escapeXml } from '../../../aws/encode.ts'
import type { Answer } from '../answer.ts'
import type { AuthenticateParts } from '../authenticate.ts'
import { createBody, MAX_BODY_BYTES, rawBody, tooLarge } from '../body.ts'
import type { S3Outputs } from '../call.ts'
import type { Decoder } from '../decode.ts'
import { DECLARATION, type Encoded } from '../encode.ts'
import { S3Error } from '../error.ts'
import { expectedSums, sizeOf } from '../expected.ts'
import type { Level } from '../route.ts'
import type { RunningCall } from '../running.ts'
import { POST_OBJECT, type Steps } from '../steps.ts'
import { headerOf, withoutChunking } from '../values.ts'
import { authenticateForm, missingField } from './form-signature.ts'
import { MAX_FIELDS_BYTES, type PostedForm, readForm } from './multipart.ts'
import { checkPostPolicy, parsePostPolicy, type SizeRange } from './post-policy.ts'

export interface FormParts {
  readonly decoder: Decoder
  readonly encode: (operation: string, output: object) => Encoded
  readonly steps: Steps
  readonly signing: AuthenticateParts
  readonly clock: Clock
}

type Headers = ReadonlyMap<string, readonly string[]>
type Fields = ReadonlyMap<string, string>
type Put = S3Outputs['PutObject']

/** In logs; the model has no such operation. */
const PUT_OBJECT = 'PutObject'
const SEE_OTHER = 303
const STATUSES: ReadonlySet<string> = new Set(['200', '201', '204'])
/** Parts of the form behind the file may be there, and are of no use. */
const MAX_EXTRA_BYTES = 4 * MAX_FIELDS_BYTES
/** Fields that are headers of PutObject, beside those that begin with `x-amz-`. */
const HEADERS: ReadonlySet<string> = new Set([
  ...['cache-control', 'content-disposition', 'content-encoding', 'content-language'],
  ...['content-md5', 'content-type', 'expires'],
])
/** Those of them that say who signed, and not what is uploaded. */
const OF_SIGNATURE: ReadonlySet<string> = new Set([
  ...['x-amz-algorithm', 'x-amz-credential', 'x-amz-date', 'x-amz-security-token'],
  'x-amz-signature',
])

// biome-ignore lint/suspicious/noTemplateCurlyInString: this is how a form writes it
const VARIABLE = '${filename}'
const ANY_SIZE: SizeRange = { minBytes: 0, maxBytes: MAX_BODY_BYTES }

/** A POST to a bucket that is no operation of the API: those are signed outside their body. */
export function isForm(
  method: string,
  level: Level,
  query: ReadonlyMap<string, string>,
  headers: Headers,
): boolean {
  const isPlain = query.size === 0 && !headers.has('authorization')
  return method === 'POST' && level === 'bucket' && isPlain
}

export function createPostObject(
  parts: FormParts,
): (call: RunningCall, headers: Headers) => Promise<Answer> {
  const { decoder, encode, steps } = parts

  async function take(call: RunningCall, form: PostedForm): Promise<Answer> {
    const { bucket } = call.target
    const { startedAtMs: nowMs } = call
    const fields = expanded(form)
    const key = fields.get('key')
    if (key === undefined || key === '') throw missingField('key')
    call.target = { bucket, key }
    const who = await authenticateForm(parts.signing, fields, nowMs)
    steps.signed(call, who)
    const range = who.caller === null ? ANY_SIZE : allowedSize(fields, bucket ?? '', nowMs)
    const headers = headersIn(fields)
    const request = { bucket, key, query: new Map<string, string>(), headers }
    const input = withoutChunking(decoder.head(PUT_OBJECT, request))
    const tags = fields.get('tagging')
    if (tags !== undefined) input['Tagging'] = taggingOf(decoder, tags)
    const wanted = { operation: PUT_OBJECT, bucket, key, input }
    const leave = await steps.allow(call, wanted)
    const sums = expectedSums(headers, who.proof, true)
    const maxBytes = Math.min(range.maxBytes, MAX_BODY_BYTES)
    const raw = atLeast(form.bytes, range.minBytes)
    const expected = { sizeBytes: null, ...sums }
    const body = createBody({ raw, proof: who.proof, expected, maxBytes })
    const { output } = await steps.perform(call, wanted, { leave, body, headers })
    const { headers: ofObject } = encode(PUT_OBJECT, output)
    return answerTo(call, fields, { key, etag: (output as Put).ETag ?? '', headers: ofObject })
  }

  return async (call, headers) => {
    call.operation = POST_OBJECT
    const sizeBytes = sizeOf(headers, { kind: 'none' }) ?? 0
    const most = MAX_BODY_BYTES + MAX_EXTRA_BYTES
    if (sizeBytes > most) throw tooLarge(sizeBytes, MAX_BODY_BYTES)
    const form = await readForm(rawBody(call, parts.clock), headers.get('content-type')?.[0])
    try {
      return await take(call, form)
    } finally {
      form.drop()
    }
  }
}

/** With the file's name where a field wants it, if there is one. */
function expanded({ fields, filename }: PostedForm): Map<string, string> {
  if (filename === null) return new Map(fields)
  return new Map(
    [...fields].map(([name, value]) => [name, value.replaceAll(VARIABLE, () => filename)]),
  )
}

function allowedSize(fields: Fields, bucket: string, nowMs: number): SizeRange {
  const policy = parsePostPolicy(fields.get('policy') ?? '')
  return checkPostPolicy(policy, fields, { bucket, nowMs })
}

/** As PutObject has them: values are bytes, as Node gives those of headers. */
function headersIn(fields: Fields): Map<string, readonly string[]> {
  const headers = new Map<string, readonly string[]>()
  for (const [name, value] of fields) {
    const header = name === 'acl' ? 'x-amz-acl' : name
    const isHeader = HEADERS.has(header) || header.startsWith('x-amz-')
    if (!isHeader || OF_SIGNATURE.has(header)) continue
    headers.set(header, [Buffer.from(value, 'utf8').toString('latin1')])
  }
  return headers
}

/** The field is XML where the header is a query. Throws MalformedXML. */
function taggingOf(decoder: Decoder, xml: string): string {
  const { Tagging } = decoder.body('PutObjectTagging', Buffer.from(xml)) as {
    Tagging?: { TagSet?: { Key?: string; Value?: string }[] }
  }
  const pairs = (Tagging?.TagSet ?? []).map(
    ({ Key = '', Value = '' }) => [Key, Value] as [string, string],
  )
  return new URLSearchParams(pairs).toString()
}

/** Throws EntityTooSmall at the end. */
async function* atLeast(bytes: AsyncIterable<Buffer>, minBytes: number): AsyncGenerator<Buffer> {
  let seen = 0
  for await (const chunk of bytes) {
    seen += chunk.length
    yield chunk
  }
  if (seen >= minBytes) return
  const message = 'Your proposed upload is smaller than the minimum allowed size'
  throw new S3Error('EntityTooSmall', message, 400, {
    ProposedSize: String(seen),
    MinSizeAllowed: String(minBytes),
  })
}

interface Posted {
  readonly key: string
  /** In quotes. */
  readonly etag: string
  readonly headers: Readonly<Record<string, string>>
}

/** What the form wants to see: another page, a document, or nothing. */
function answerTo(call: RunningCall, fields: Fields, { key, etag, headers }: Posted): Answer {
  const bucket = call.target.bucket ?? ''
  const next = fields.get('success_action_redirect') ?? fields.get('redirect') ?? ''
  if (/^https?:\/\//i.test(next) && URL.canParse(next)) {
    const location = headerOf(withQuery(next, new URLSearchParams({ bucket, key, etag })))
    return { status: SEE_OTHER, headers: { ...headers, location }, body: '' }
  }
  const url = urlOf(call, key)
  const wished = fields.get('success_action_status') ?? ''
  const status = STATUSES.has(wished) ? Number(wished) : 204
  const all = { ...headers, location: url }
  if (status !== 201) return { status, headers: all, body: '' }
  const inner = Object.entries({ Location: url, Bucket: bucket, Key: key, ETag: etag })
    .map(([name, text]) => `<${name}>${escapeXml(text)}</${name}>`)
    .join('')
  return {
    status,
    headers: { ...all, 'content-type': 'application/xml' },
    body: `${DECLARATION}<PostResponse>${inner}</PostResponse>`,
  }
}

/** Behind what query there is, before a fragment. */
function withQuery(url: string, query: URLSearchParams): string {
  const hash = url.indexOf('#')
  const page = hash < 0 ? url : url.slice(0, hash)
  const mark = page.includes('?') ? '&' : '?'
  return `${page}${mark}${query}${hash < 0 ? '' : url.slice(hash)}`
}

/** Of the object, in the style in which its bucket was named. */
function urlOf({ request, target }: RunningCall, key: string): string {
  const { message, secure } = request
  const [path = ''] = (message.url ?? '').split('?')
  const inPath = path === '/' || path === '' ? '' : `/${target.bucket ?? ''}`
  const host = message.headers.host ?? ''
  return `${secure ? 'https' : 'http'}://${host}${inPath}/${encodeURIComponent(key)}`
}
