// A bucket as a website (S3 user guide, "Hosting a static website using Amazon S3"): pages for
// whoever the bucket's policy lets read them, index documents, redirects, and errors as pages.

import { STATUS_CODES } from 'node:http'
import { escapeXml } from '../../aws/encode.ts'
import type { WebsiteRecord, WebsiteRule } from '../../store/bucket-records.ts'
import { type Answer, answerOf } from './answer.ts'
import type { Decoder } from './decode.ts'
import type { Encoded } from './encode.ts'
import { S3Error, s3ErrorOf } from './error.ts'
import type { RunningCall, Websites } from './running.ts'
import { hostIdOf } from './served.ts'
import type { Steps } from './steps.ts'
import { headerOf, pathOf, REDIRECT } from './values.ts'

export interface WebsiteParts {
  readonly siteOf: Websites['siteOf']
  readonly decoder: Decoder
  readonly encode: (operation: string, output: object) => Encoded
  readonly steps: Steps
}

interface Request {
  readonly method: string
  /** As on the wire, without the query. */
  readonly path: string
  readonly query: string
  readonly headers: ReadonlyMap<string, readonly string[]>
}

/** In logs; the model has no such operation. */
const OPERATION = 'WebsiteGetObject'
const READS: ReadonlySet<string> = new Set(['GET', 'HEAD'])
const HTML = 'text/html; charset=utf-8'
const MOVED_PERMANENTLY = 301
const FOUND = 302
const NO_HEADERS: Request['headers'] = new Map()

export function createWebsite(
  parts: WebsiteParts,
): (call: RunningCall, bucket: string, request: Request) => Promise<Answer> {
  const { siteOf, decoder, encode, steps } = parts

  /** An object as everybody may have it. Throws as GetObject. */
  async function read(
    call: RunningCall,
    key: string,
    { method, headers }: Pick<Request, 'method' | 'headers'>,
  ): Promise<Answer> {
    const { bucket } = call.target
    const operation = method === 'HEAD' ? 'HeadObject' : 'GetObject'
    const query = new Map<string, string>()
    const input = decoder.head(operation, { bucket, key, query, headers })
    const wanted = { operation, bucket, key, input }
    const leave = await steps.allow(call, wanted)
    const answer = await steps.perform(call, wanted, { leave, body: null, headers })
    return answerOf(encode(operation, answer.output), answer)
  }

  async function isThere(call: RunningCall, key: string): Promise<boolean> {
    try {
      await read(call, key, { method: 'HEAD', headers: NO_HEADERS })
      return true
    } catch {
      return false
    }
  }

  async function page(call: RunningCall, site: WebsiteRecord, request: Request): Promise<Answer> {
    const asked = call.target.key ?? ''
    const { indexSuffix = '', rules = [] } = site
    const isFolder = asked === '' || asked.endsWith('/')
    const before = rules.find((rule) => rule.errorStatus === undefined && fits(rule, asked))
    if (before !== undefined) return redirected(call, before, asked)
    const key = isFolder ? `${asked}${indexSuffix}` : asked
    try {
      const answer = await read(call, key, request)
      const location = answer.headers[REDIRECT]
      return location === undefined ? answer : redirectTo(location)
    } catch (error) {
      const { status } = s3ErrorOf(error)
      const isMissing = status === 404 || status === 403
      if (isMissing && !isFolder && (await isThere(call, `${asked}/${indexSuffix}`))) {
        return foundAt(call, `/${pathOf(asked)}/`)
      }
      const rule = rules.find((one) => one.errorStatus === status && fits(one, asked))
      if (rule === undefined) throw error
      return redirected(call, rule, asked)
    }
  }

  async function refusal(
    call: RunningCall,
    error: S3Error,
    { errorKey }: WebsiteRecord,
  ): Promise<Answer> {
    if (errorKey === undefined || error.status >= 500) return errorPage(call, error)
    try {
      const method = call.request.message.method === 'HEAD' ? 'HEAD' : 'GET'
      const document = await read(call, errorKey, { method, headers: NO_HEADERS })
      const headers = { ...document.headers, ...error.headers, ...errorHeaders(error) }
      return { ...document, status: error.status, headers }
    } catch (thrown) {
      return errorPage(call, error, s3ErrorOf(thrown))
    }
  }

  return async (call, bucket, request) => {
    const { method, path, query } = request
    call.operation = OPERATION
    const site = await siteOf(bucket)
    if (!READS.has(method)) throw notAllowed(method)
    if (site.redirectAll !== undefined) {
      const { host, protocol = schemeOf(call) } = site.redirectAll
      const rest = query === '' ? path : `${path}?${query}`
      return redirectTo(`${protocol}://${host}${rest}`)
    }
    call.refusal = (error) => refusal(call, error, site)
    return await page(call, site, request)
  }
}

function fits({ prefix = '' }: WebsiteRule, key: string): boolean {
  return key.startsWith(prefix)
}

function redirected(call: RunningCall, rule: WebsiteRule, asked: string): Answer {
  const { protocol = schemeOf(call), status = MOVED_PERMANENTLY } = rule
  const host = rule.host ?? call.request.message.headers.host ?? ''
  const rest = asked.slice((rule.prefix ?? '').length)
  const key = rule.key ?? (rule.keyPrefix === undefined ? asked : `${rule.keyPrefix}${rest}`)
  return redirectTo(`${protocol}://${host}/${pathOf(key)}`, status)
}

function redirectTo(location: string, status = MOVED_PERMANENTLY): Answer {
  return { status, headers: { location: headerOf(location) }, body: '' }
}

/** A folder without its slash. */
function foundAt(call: RunningCall, location: string): Answer {
  const body = htmlOf(call, new S3Error('Found', 'Resource Found', FOUND), null)
  return { status: FOUND, headers: { location, 'content-type': HTML }, body }
}

export function errorPage(
  call: RunningCall,
  error: S3Error,
  further: S3Error | null = null,
): Answer {
  const headers = { ...error.headers, ...errorHeaders(error), 'content-type': HTML }
  return { status: error.status, headers, body: htmlOf(call, error, further) }
}

function errorHeaders({ code, message, fields }: S3Error): Record<string, string> {
  const details = Object.entries(fields).map(([name, value]) => [
    `x-amz-error-detail-${name.toLowerCase()}`,
    headerOf(value),
  ])
  return {
    'x-amz-error-code': code,
    'x-amz-error-message': headerOf(message),
    ...Object.fromEntries(details),
  }
}

/** As S3's own; `further` is why the error document could not be shown. */
function htmlOf({ requestId }: RunningCall, error: S3Error, further: S3Error | null): string {
  const title = `${error.status} ${STATUS_CODES[error.status] ?? ''}`
  const ids = { RequestId: requestId, HostId: hostIdOf(requestId) }
  return [
    '<html>',
    `<head><title>${title}</title></head>`,
    '<body>',
    `<h1>${title}</h1>`,
    listOf(error, ids),
    ...(further === null
      ? []
      : [
          '<h3>An Error Occurred While Attempting to Retrieve a Custom Error Document</h3>',
          listOf(further, {}),
        ]),
    '<hr/>',
    '</body>',
    '</html>',
    '',
  ].join('\n')
}

function listOf(
  { code, message, fields }: S3Error,
  more: Readonly<Record<string, string>>,
): string {
  const lines = Object.entries({ Code: code, Message: message, ...fields, ...more }).map(
    ([name, value]) => `<li>${name}: ${escapeXml(value)}</li>`,
  )
  return ['<ul>', ...lines, '</ul>'].join('\n')
}

function schemeOf({ request }: RunningCall): 'http' | 'https' {
  return request.secure ? 'https' : 'http'
}

function notAllowed(Method: string): S3Error {
  const message = 'The specified method is not allowed against this resource.'
  const fields = { Method: Method.slice(0, 20), ResourceType: 'OBJECT' }
  return new S3Error('MethodNotAllowed', message, 405, fields, { allow: 'GET, HEAD' })
}
