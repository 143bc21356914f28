// From a request to an operation's input of the SDK's type, as the model says: labels, query and
// headers before the body is looked at, the XML after.

import type { Member, Model, Ref, Scalar } from '../../aws/model.ts'
import { S3Error } from './error.ts'
import { invalidArgument, missingHeader, textOf } from './values.ts'
import { type Element, malformed, parseXml } from './xml.ts'

export interface RequestParts {
  readonly bucket: string | null
  readonly key: string | null
  readonly query: ReadonlyMap<string, string>
  /** By names in lower case; the values as Node gives them. */
  readonly headers: ReadonlyMap<string, readonly string[]>
}

/** What the body of an operation is. */
export type Payload =
  | { readonly kind: 'none' }
  | { readonly kind: 'stream'; readonly member: string }
  /** `isRequired`: a request without it is refused. */
  | { readonly kind: 'text' | 'xml'; readonly isRequired: boolean }

export interface Decoder {
  readonly payloadOf: (operation: string) => Payload
  /** All but what the body holds. Throws InvalidArgument, InvalidRequest, MetadataTooLarge. */
  readonly head: (operation: string, parts: RequestParts) => Record<string, unknown>
  /** What a body of `text` or `xml` holds. Throws MalformedXML, MissingRequestBodyError. */
  readonly body: (operation: string, bytes: Uint8Array) => Record<string, unknown>
}

const MAX_METADATA_BYTES = 2048
/** Its values come in capitals too, as S3 itself gives them out. */
const EITHER_CASE = 'FilterRuleName'
const INTEGER = /^-?\d{1,16}$/
const ISO_TIME = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?)?$/

export function createDecoder(model: Model): Decoder {
  function membersOf(operation: string): readonly Member[] {
    return structureOf(model, model.ops[operation]?.i) ?? []
  }

  function head(operation: string, parts: RequestParts): Record<string, unknown> {
    const input: Record<string, unknown> = {}
    for (const member of membersOf(operation)) {
      const value = headValue(model, member, parts)
      if (value !== undefined) input[member.n] = value
      else if (member.req === 1 && member.h !== undefined) throw missingHeader(member.h)
    }
    return input
  }

  function body(operation: string, bytes: Uint8Array): Record<string, unknown> {
    const members = membersOf(operation)
    const payload = members.find(({ pl }) => pl === 1)
    if (bytes.length === 0) {
      if (payload?.req === 1) throw emptyBody()
      return {}
    }
    if (payload === undefined) {
      return structure(model, members.filter(isInXml), parseXml(bytes))
    }
    if (typeof payload.r === 'string') {
      return { [payload.n]: Buffer.from(bytes).toString('utf8') }
    }
    const root = parseXml(bytes)
    const shape = model.shapes[payload.r]
    if (shape?.[0] !== 'o' || root.name !== (payload.x ?? shape[1])) throw malformed()
    return { [payload.n]: structure(model, shape[2], root) }
  }

  return { payloadOf: (operation) => payloadIn(membersOf(operation)), head, body }
}

function payloadIn(members: readonly Member[]): Payload {
  const payload = members.find(({ pl }) => pl === 1)
  if (payload?.st === 1) return { kind: 'stream', member: payload.n }
  if (payload !== undefined) {
    const kind = typeof payload.r === 'string' ? 'text' : 'xml'
    return { kind, isRequired: payload.req === 1 }
  }
  return members.some(isInXml) ? { kind: 'xml', isRequired: false } : { kind: 'none' }
}

function isInXml({ lb, h, hp, hq }: Member): boolean {
  return lb === undefined && h === undefined && hp === undefined && hq === undefined
}

function headValue(model: Model, member: Member, parts: RequestParts): unknown {
  if (member.lb === 1) return (member.n === 'Key' ? parts.key : parts.bucket) ?? undefined
  if (member.hp !== undefined) return prefixed(member.hp, parts.headers)
  if (member.hq !== undefined) {
    const text = parts.query.get(member.hq)
    return text === undefined ? undefined : textValue(model, member, member.hq, text)
  }
  if (member.h === undefined) return undefined
  const values = parts.headers.get(member.h)
  if (values === undefined) return undefined
  return textValue(model, member, member.h, values.map(textOf).join(','))
}

/** Metadata of users, by the rest of the name. */
function prefixed(
  prefix: string,
  headers: RequestParts['headers'],
): Record<string, string> | undefined {
  const found: [string, string][] = []
  let bytes = 0
  for (const [name, values] of headers) {
    if (!name.startsWith(prefix) || name === prefix) continue
    const value = values.map(textOf).join(',')
    found.push([name.slice(prefix.length), value])
    bytes += name.length - prefix.length + Buffer.byteLength(value)
  }
  if (bytes > MAX_METADATA_BYTES) {
    const message = 'Your metadata headers exceed the maximum allowed metadata size'
    const sizes = { Size: String(bytes), MaxSizeAllowed: String(MAX_METADATA_BYTES) }
    throw new S3Error('MetadataTooLarge', message, 400, sizes)
  }
  return found.length === 0 ? undefined : Object.fromEntries(found)
}

/** Of a header or a parameter called `name`. */
function textValue(model: Model, member: Member, name: string, text: string): unknown {
  const shape = typeof member.r === 'number' ? model.shapes[member.r] : undefined
  if (shape?.[0] === 'l' && typeof shape[2] === 'string') {
    const item = shape[2]
    return text.split(',').map((each) => scalarOf(item, member, model, name, each.trim()))
  }
  return scalarOf(member.r as Scalar, member, model, name, text)
}

function scalarOf(type: Scalar, member: Member, model: Model, name: string, text: string): unknown {
  switch (type) {
    case 'n':
    case 'd':
      if (INTEGER.test(text) && Number.isSafeInteger(Number(text))) return Number(text)
      throw invalidArgument(name, text, `Provided ${name} not an integer or within integer range`)
    case 'b':
      if (/^(?:true|false)$/i.test(text)) return text.toLowerCase() === 'true'
      throw invalidArgument(name, text)
    case 't':
      return timeOf(member, text)
    case 'x':
      return Buffer.from(text, 'base64')
    case 's':
      if (member.e === undefined || model.enums[member.e]?.includes(text)) return text
      // The model leaves it out; S3 has it.
      if (member.e === 'BucketCannedACL' && text === 'log-delivery-write') return text
      throw badChoice(member.e, name, text)
  }
}

/** S3 keeps an `Expires` as it is and ignores conditions that are no time: neither is refused. */
function timeOf({ tf }: Member, text: string): Date | undefined {
  if (tf === 'i' && !ISO_TIME.test(text)) return undefined
  const time = Date.parse(text)
  return Number.isNaN(time) ? undefined : new Date(time)
}

function badChoice(enumName: string, name: string, text: string): S3Error {
  if (enumName === 'StorageClass') {
    const message = 'The storage class you specified is not valid'
    return new S3Error('InvalidStorageClass', message, 400, { StorageClassRequested: text })
  }
  if (enumName === 'ServerSideEncryption') {
    const message =
      'The encryption request that you specified is not valid. The valid value is AES256.'
    return new S3Error('InvalidEncryptionAlgorithmError', message, 400)
  }
  const isEncoding = enumName === 'EncodingType'
  const message = isEncoding ? 'Invalid Encoding Method specified in Request' : undefined
  return invalidArgument(name, text, message)
}

function structure(
  model: Model,
  members: readonly Member[],
  element: Element,
): Record<string, unknown> {
  const output: Record<string, unknown> = {}
  const known = new Set<Element>()
  for (const member of members) {
    const tag = member.x ?? member.n
    if (member.a === 1) {
      const value = element.attributes.get(tag.slice(tag.indexOf(':') + 1))
      if (value !== undefined) output[member.n] = xmlScalar(model, member, 's', value)
      continue
    }
    const found = element.children.filter(({ name }) => name === tag)
    for (const each of found) known.add(each)
    const value = memberOf(model, member, found)
    if (value !== undefined) output[member.n] = value
    else if (member.req === 1) throw malformed()
  }
  if (element.children.some((each) => !known.has(each))) throw malformed()
  return output
}

function memberOf(model: Model, member: Member, found: readonly Element[]): unknown {
  const [first, ...more] = found
  if (first === undefined) return undefined
  const shape = typeof member.r === 'number' ? model.shapes[member.r] : undefined
  if (shape?.[0] === 'l' && (member.f === 1 || shape[3] === 1)) {
    return found.map((each) => xmlValue(model, member, shape[2], each))
  }
  if (more.length > 0) throw malformed()
  return xmlValue(model, member, member.r, first)
}

function xmlValue(model: Model, member: Member, ref: Ref, element: Element): unknown {
  if (typeof ref === 'string') {
    if (element.children.length > 0) throw malformed()
    return xmlScalar(model, member, ref, element.text)
  }
  const shape = model.shapes[ref]
  if (shape === undefined || /[^ \t\r\n]/.test(element.text)) throw malformed()
  switch (shape[0]) {
    case 'o':
      return structure(model, shape[2], element)
    case 'l':
      return element.children.map((each) => {
        if (each.name !== shape[1]) throw malformed()
        return xmlValue(model, member, shape[2], each)
      })
    case 'm':
      // No input of S3 has one in its XML.
      throw malformed()
  }
}

function xmlScalar(model: Model, member: Member, type: Scalar, raw: string): unknown {
  const text = type === 's' ? raw : raw.trim()
  switch (type) {
    case 'n':
    case 'd':
      if (INTEGER.test(text) && Number.isSafeInteger(Number(text))) return Number(text)
      throw malformed()
    case 'b':
      if (/^(?:true|false)$/i.test(text)) return text.toLowerCase() === 'true'
      throw malformed()
    case 't': {
      const time = Date.parse(text)
      const isFit = member.tf === 'h' || ISO_TIME.test(text)
      if (Number.isNaN(time) || !isFit) throw malformed()
      return new Date(time)
    }
    case 'x':
      return Buffer.from(text, 'base64')
    case 's': {
      const choice = member.e === EITHER_CASE ? text.toLowerCase() : text
      if (member.e === undefined || model.enums[member.e]?.includes(choice)) return choice
      throw malformed()
    }
  }
}

function structureOf(model: Model, ref: Ref | undefined): readonly Member[] | null {
  const shape = typeof ref === 'number' ? model.shapes[ref] : undefined
  return shape?.[0] === 'o' ? shape[2] : null
}

function emptyBody(): S3Error {
  return new S3Error('MissingRequestBodyError', 'Request Body is empty', 400)
}
