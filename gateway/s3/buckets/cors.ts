// What pages of other origins may do with a bucket: its rules, and what browsers are told by them
// (S3 user guide, "Using cross-origin resource sharing").

import type { BucketRecord, CorsRule } from '../../store/bucket-records.ts'
import type { State } from '../../store/state.ts'
import type { S3Handlers } from '../wire/call.ts'
import { S3Error } from '../wire/error.ts'
import { malformed } from '../wire/xml.ts'
import { type BucketParts, bucketOf, changeBucket } from './bucket.ts'

export interface Cors {
  /** What OPTIONS is answered. Throws AccessForbidden, BadRequest. */
  readonly preflight: (bucket: string | null, headers: Sent) => Headers
  /** What any other answer has for the browser; nothing when no rule fits. */
  readonly headers: (bucket: string | null, method: string, headers: Sent) => Headers
}

interface CorsAsked {
  readonly origin: string
  readonly method: string
  /** Of the request that is to come; lower case. */
  readonly headers: readonly string[]
}

/** By names in lower case. */
type Sent = ReadonlyMap<string, readonly string[]>
type Headers = Readonly<Record<string, string>>

interface AskedRule {
  readonly ID?: string | undefined
  readonly AllowedMethods?: readonly string[] | undefined
  readonly AllowedOrigins?: readonly string[] | undefined
  readonly AllowedHeaders?: readonly string[] | undefined
  readonly ExposeHeaders?: readonly string[] | undefined
  readonly MaxAgeSeconds?: number | undefined
}

const MAX_RULES = 100
const MAX_ID = 255
const METHODS: ReadonlySet<string> = new Set(['GET', 'PUT', 'POST', 'DELETE', 'HEAD'])
const VARY = 'Origin, Access-Control-Request-Headers, Access-Control-Request-Method'

export function corsHandlers(parts: BucketParts): S3Handlers {
  return {
    async PutBucketCors(call) {
      const cors = checkRules(call.input.CORSConfiguration?.CORSRules ?? [])
      await changeBucket(parts, call, (bucket) => ({ ...bucket, cors }))
      return { output: {} }
    },

    async GetBucketCors(call) {
      const { name, cors } = bucketOf(call)
      if (cors === undefined) {
        const message = 'The CORS configuration does not exist'
        throw new S3Error('NoSuchCORSConfiguration', message, 404, { BucketName: name })
      }
      return { output: { CORSRules: cors.map(shownRule) } }
    },

    async DeleteBucketCors(call) {
      await changeBucket(parts, call, ({ cors: _, ...bucket }) => bucket)
      return { output: {} }
    },
  }
}

export function createCors(state: Pick<State, 'view'>): Cors {
  const find = (name: string | null) => (name === null ? null : state.view().get('bucket', name))
  return {
    preflight(name, headers) {
      const origin = headers.get('origin')?.[0]
      const method = headers.get('access-control-request-method')?.[0]
      if (origin === undefined) {
        throw badRequest('Insufficient information. Origin request header needed.')
      }
      if (method === undefined || !METHODS.has(method)) {
        throw badRequest(`Invalid Access-Control-Request-Method: ${method?.slice(0, 20) ?? null}`)
      }
      const names = headers.get('access-control-request-headers')?.join(',') ?? ''
      const list = names.split(',').map((each) => each.trim().toLowerCase())
      const asked = { origin, method, headers: list.filter((each) => each !== '') }
      const bucket = find(name)
      if (bucket === null) throw forbidden('CORSResponse: Bucket not found', asked)
      return preflight(bucket, asked)
    },

    headers(name, method, headers) {
      const origin = headers.get('origin')?.[0]
      if (origin === undefined) return {}
      const asked = { origin, method, headers: [] }
      const found = find(name)?.cors?.find((rule) => fits(rule, asked))
      return found === undefined ? {} : allowing(found, asked)
    },
  }
}

function preflight(bucket: BucketRecord, asked: CorsAsked): Headers {
  const rules = bucket.cors ?? []
  if (rules.length === 0)
    throw forbidden('CORSResponse: CORS is not enabled for this bucket.', asked)
  const found = rules.find(
    (rule) => fits(rule, asked) && asked.headers.every((name) => isListed(rule.headers, name)),
  )
  if (found === undefined) {
    const message =
      "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec."
    throw forbidden(message, asked)
  }
  const { maxAgeSeconds } = found
  return {
    ...allowing(found, asked),
    ...(asked.headers.length > 0 && {
      'access-control-allow-headers': asked.headers.join(', '),
    }),
    ...(maxAgeSeconds !== undefined && { 'access-control-max-age': String(maxAgeSeconds) }),
  }
}

function allowing({ origins, methods, exposed }: CorsRule, { origin }: CorsAsked): Headers {
  const isAny = origins.includes('*')
  return {
    'access-control-allow-origin': isAny ? '*' : origin,
    'access-control-allow-methods': methods.join(', '),
    ...(exposed.length > 0 && { 'access-control-expose-headers': exposed.join(', ') }),
    ...(!isAny && { 'access-control-allow-credentials': 'true' }),
    vary: VARY,
  }
}

function fits({ methods, origins }: CorsRule, { origin, method }: CorsAsked): boolean {
  return methods.includes(method) && origins.some((one) => matchesOne(one, origin))
}

function isListed(headers: readonly string[], name: string): boolean {
  return headers.some((one) => matchesOne(one.toLowerCase(), name))
}

/** With at most one `*` in the pattern. */
function matchesOne(pattern: string, text: string): boolean {
  const star = pattern.indexOf('*')
  if (star < 0) return pattern === text
  const [start, end] = [pattern.slice(0, star), pattern.slice(star + 1)]
  return text.length >= start.length + end.length && text.startsWith(start) && text.endsWith(end)
}

/** Throws MalformedXML, InvalidRequest. */
function checkRules(rules: readonly AskedRule[]): CorsRule[] {
  if (rules.length === 0 || rules.length > MAX_RULES) {
    throw malformed()
  }
  return rules.map((rule) => {
    const { ID: id, AllowedMethods: methods = [], AllowedOrigins: origins = [] } = rule
    const { AllowedHeaders: headers = [], ExposeHeaders: exposed = [], MaxAgeSeconds: age } = rule
    const bad = methods.find((method) => !METHODS.has(method))
    if (bad !== undefined) {
      throw invalid(`Found unsupported HTTP method in CORS config. Unsupported method is ${bad}`)
    }
    const wild = [...origins, ...headers].find((one) => one.split('*').length > 2)
    if (wild !== undefined) {
      const what = origins.includes(wild) ? 'AllowedOrigin' : 'AllowedHeader'
      throw invalid(`${what} "${wild}" can not have more than one wildcard.`)
    }
    const star = exposed.find((one) => one.includes('*'))
    if (star !== undefined) {
      throw invalid(
        `ExposeHeader "${star}" contains wildcard. We currently do not support wildcard for ExposeHeader.`,
      )
    }
    if (id !== undefined && id.length > MAX_ID) throw invalid(`ID is longer than ${MAX_ID}.`)
    return {
      ...{ methods, origins, headers, exposed },
      ...(id !== undefined && { id }),
      ...(age !== undefined && { maxAgeSeconds: age }),
    }
  })
}

function shownRule({ id, methods, origins, headers, exposed, maxAgeSeconds }: CorsRule) {
  return {
    ...(id !== undefined && { ID: id }),
    ...(headers.length > 0 && { AllowedHeaders: [...headers] }),
    AllowedMethods: [...methods],
    AllowedOrigins: [...origins],
    ...(exposed.length > 0 && { ExposeHeaders: [...exposed] }),
    ...(maxAgeSeconds !== undefined && { MaxAgeSeconds: maxAgeSeconds }),
  }
}

function forbidden(message: string, { method }: CorsAsked): S3Error {
  return new S3Error('AccessForbidden', message, 403, { Method: method, ResourceType: 'BUCKET' })
}

function badRequest(message: string): S3Error {
  return new S3Error('BadRequest', message, 400)
}

function invalid(message: string): S3Error {
  return new S3Error('InvalidRequest', message, 400)
}
