// The REST protocol of EBS direct APIs, ruled by its model: members in the path, in the query, in
// headers, in a document of JSON, or as the body itself ("AWS restJson1" of Smithy).

import type { Http, Member, Model, Ref } from '../../aws/model.ts'
import { DirectError, invalid } from './errors.ts'

export interface Parts {
  readonly query: string
  /** By names in lower case. */
  readonly headers: ReadonlyMap<string, readonly string[]>
  readonly body: Uint8Array
}

export interface Routed {
  readonly operation: string
  readonly labels: ReadonlyMap<string, string>
}

export interface Encoded {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array | string
}

export interface DirectCodec {
  /** Throws UnknownOperationException where there is nothing. `path` is as on the wire. */
  readonly route: (method: string, path: string) => Routed
  /** Whether its body is bytes, and not a document. */
  readonly takesBytes: (operation: string) => boolean
  /** Input of the SDK's type. Throws ValidationException for what does not fit. */
  readonly decode: (routed: Routed, parts: Parts) => object
  readonly encode: (operation: string, output: object) => Encoded
}

const MAX_SHOWN = 100
const INTEGER = /^-?\d{1,15}$/
const JSON_TYPE = { 'content-type': 'application/json' }
const BYTES_TYPE = { 'content-type': 'application/octet-stream' }

export function createDirectCodec(model: Model): DirectCodec {
  const places = Object.entries(model.ops).map(([operation, { http }]) => {
    const [method, uri] = httpOf(operation, http)
    return { operation, method, parts: uri.split('/') }
  })

  return {
    route(method, path) {
      const parts = path.split('/').map(decodedPart)
      for (const place of places) {
        const labels = place.method === method ? labelsOf(place.parts, parts) : null
        if (labels !== null) return { operation: place.operation, labels }
      }
      const text = `There is no ${method.slice(0, 20)} ${path.slice(0, MAX_SHOWN)}.`
      throw new DirectError('UnknownOperationException', text, 404)
    },

    takesBytes: (operation) => inputOf(model, operation).some(({ pl }) => pl === 1),

    decode({ operation, labels }, { query, headers, body }) {
      const members = inputOf(model, operation)
      const parameters = new URLSearchParams(query)
      const hasDocument = members.some(isInDocument)
      const document = hasDocument ? documentOf(model, members.filter(isInDocument), body) : {}
      const input: Record<string, unknown> = { ...document }
      for (const member of members) {
        const { n, lb, hq, h, pl } = member
        if (pl === 1) input[n] = body
        const text =
          lb === 1
            ? labels.get(n)
            : hq === undefined
              ? h === undefined
                ? undefined
                : headers.get(h)?.[0]
              : (parameters.get(hq) ?? undefined)
        if (text !== undefined) input[n] = scalarOf(member, text)
        if (member.req === 1 && input[n] === undefined) {
          throw invalid('INVALID_PARAMETER_VALUE', `The request must contain ${n}.`)
        }
        checkEnum(model, member, input[n])
      }
      return input
    },

    encode(operation, output) {
      const { o, http } = model.ops[operation] ?? { o: null }
      const [, , status] = httpOf(operation, http)
      const values = output as Readonly<Record<string, unknown>>
      const headers: Record<string, string> = {}
      const document: Record<string, unknown> = {}
      let body: Uint8Array | null = null
      for (const { n, h, pl } of membersOf(model, o ?? 's')) {
        const value = values[n]
        if (value === undefined || value === null) continue
        if (pl === 1) body = value as Uint8Array
        else if (h === undefined) document[n] = jsonOf(value)
        else headers[h] = String(value)
      }
      if (body !== null) return { status, headers: { ...headers, ...BYTES_TYPE }, body }
      return { status, headers: { ...headers, ...JSON_TYPE }, body: JSON.stringify(document) }
    },
  }
}

function httpOf(operation: string, http: Http | undefined): Http {
  if (http === undefined) throw new RangeError(`${operation} is nowhere in HTTP`)
  return http
}

function decodedPart(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw invalid('INVALID_PARAMETER_VALUE', 'The path is no URL encoding of UTF-8.')
  }
}

function labelsOf(
  pattern: readonly string[],
  parts: readonly string[],
): ReadonlyMap<string, string> | null {
  if (pattern.length !== parts.length) return null
  const labels = new Map<string, string>()
  for (const [i, part] of parts.entries()) {
    const [, name] = /^\{(\w+)\}$/.exec(pattern[i] ?? '') ?? []
    if (name === undefined && pattern[i] !== part) return null
    if (name !== undefined && part === '') return null
    if (name !== undefined) labels.set(name, part)
  }
  return labels
}

function isInDocument({ lb, hq, h, pl }: Member): boolean {
  return lb === undefined && hq === undefined && h === undefined && pl === undefined
}

function inputOf(model: Model, operation: string): readonly Member[] {
  return membersOf(model, model.ops[operation]?.i ?? 's')
}

function membersOf(model: Model, ref: Ref): readonly Member[] {
  const shape = typeof ref === 'number' ? model.shapes[ref] : undefined
  return shape?.[0] === 'o' ? shape[2] : []
}

function documentOf(
  model: Model,
  members: readonly Member[],
  body: Uint8Array,
): Record<string, unknown> {
  if (body.length === 0) return {}
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(body).toString('utf8'))
  } catch {
    throw new DirectError('SerializationException', 'The body is no JSON.', 400)
  }
  return structureOf(model, members, value, '')
}

function structureOf(
  model: Model,
  members: readonly Member[],
  value: unknown,
  path: string,
): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw notOfType(path === '' ? 'The body' : path, 'an object')
  }
  const found: Record<string, unknown> = {}
  for (const [name, held] of Object.entries(value)) {
    const member = members.find(({ n }) => n === name)
    if (member === undefined) {
      const text = `There is no parameter ${`${path}${name}`.slice(0, MAX_SHOWN)}.`
      throw invalid('INVALID_PARAMETER_VALUE', text)
    }
    if (held !== null) found[name] = typed(model, member.r, held, `${path}${name}`)
  }
  return found
}

function typed(model: Model, ref: Ref, value: unknown, path: string): unknown {
  const shape = typeof ref === 'number' ? model.shapes[ref] : undefined
  if (shape?.[0] === 'l') {
    if (!Array.isArray(value)) throw notOfType(path, 'a list')
    return value.map((one, i) => typed(model, shape[2], one, `${path}.${i + 1}`))
  }
  if (shape?.[0] === 'o') return structureOf(model, shape[2], value, `${path}.`)
  if (ref === 'n' && Number.isSafeInteger(value)) return value
  if (ref === 'b' && typeof value === 'boolean') return value
  if (ref === 's' && typeof value === 'string') return value
  throw notOfType(path, { n: 'an integer', b: 'true or false' }[String(ref)] ?? 'a string')
}

function scalarOf({ n, r }: Member, text: string): unknown {
  if (r !== 'n') return text
  if (INTEGER.test(text)) return Number(text)
  throw notOfType(n, 'an integer')
}

function checkEnum(model: Model, { n, e }: Member, value: unknown): void {
  const values = e === undefined ? undefined : model.enums[e]
  if (value === undefined || values === undefined || values.includes(String(value))) return
  const text = `${n} is ${String(value).slice(0, MAX_SHOWN)}; expecting ${values.join(' or ')}.`
  throw invalid('INVALID_PARAMETER_VALUE', text)
}

function notOfType(what: string, type: string): DirectError {
  return invalid('INVALID_PARAMETER_VALUE', `${what} is not ${type}.`)
}

/** Times are seconds since 1970. */
function jsonOf(value: unknown): unknown {
  if (value instanceof Date) return value.getTime() / 1000
  if (Array.isArray(value)) return value.map(jsonOf)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, held]) => held !== undefined)
      .map(([name, held]) => [name, jsonOf(held)]),
  )
}
