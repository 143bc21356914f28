// From an operation's output, of the SDK's type, to status, headers and XML, as the model says; and
// the document of an error.

import { escapeXml } from '../../aws/encode.ts'
import type { Member, Model, Ref, Scalar } from '../../aws/model.ts'
import type { S3Error } from './error.ts'
import { headerOf } from './values.ts'

export interface Encoded {
  readonly status: number
  /** Names in lower case; values as Node takes them. */
  readonly headers: Record<string, string>
  /** Null without a body, or where it is a stream. */
  readonly body: string | null
}

export const DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
const XML = 'application/xml'
const JSON_TYPE = 'application/json'

/** For all operations. Throws a plain Error for a member that the output does not have. */
export function createEncoder(model: Model): (operation: string, output: object) => Encoded {
  return (operation, output) => {
    const { o, http } = model.ops[operation] ?? { o: null }
    const status = http?.[2] ?? 0
    const shape = typeof o === 'number' ? model.shapes[o] : undefined
    if (shape?.[0] !== 'o') return { status, headers: {}, body: null }
    const [, name, members] = shape
    const values = output as Readonly<Record<string, unknown>>
    const unknown = Object.keys(values).find((key) => !members.some(({ n }) => n === key))
    if (unknown !== undefined) throw new Error(`${name} has no member ${unknown}`)
    const headers: Record<string, string> = {}
    for (const member of members) addHeaders(headers, member, values[member.n])
    const payload = members.find(({ pl }) => pl === 1)
    if (payload !== undefined) return withPayload(model, payload, values, { status, headers })
    if (!members.some(isInXml)) return { status, headers, body: null }
    headers['content-type'] = XML
    // The one answer whose root holds no elements.
    const inner =
      operation === 'GetBucketLocation'
        ? escapeXml(String(values['LocationConstraint'] ?? ''))
        : structure(model, members, values)
    return { status, headers, body: document(model, name, inner) }
  }
}

function withPayload(
  model: Model,
  member: Member,
  values: Readonly<Record<string, unknown>>,
  { status, headers }: Omit<Encoded, 'body'>,
): Encoded {
  const value = values[member.n]
  if (value === undefined || value === null || member.st === 1) {
    return { status, headers, body: null }
  }
  const shape = typeof member.r === 'number' ? model.shapes[member.r] : undefined
  if (shape?.[0] !== 'o') {
    // A policy is the only payload that is a text.
    headers['content-type'] = JSON_TYPE
    return { status, headers, body: String(value) }
  }
  headers['content-type'] = XML
  const inner = structure(model, shape[2], value as Readonly<Record<string, unknown>>)
  return { status, headers, body: document(model, member.x ?? shape[1], inner) }
}

function document(model: Model, root: string, inner: string): string {
  return `${DECLARATION}<${root} xmlns="${model.xmlns}">${inner}</${root}>`
}

function isInXml({ h, hp, pl }: Member): boolean {
  return h === undefined && hp === undefined && pl === undefined
}

function addHeaders(headers: Record<string, string>, member: Member, value: unknown): void {
  if (value === undefined || value === null) return
  if (member.hp !== undefined) {
    for (const [name, text] of Object.entries(value)) {
      headers[`${member.hp}${name}`] = headerOf(String(text))
    }
  } else if (member.h !== undefined) {
    headers[member.h] = headerOf(
      Array.isArray(value) ? value.join(', ') : headerText(member, value),
    )
  }
}

function headerText({ tf }: Member, value: unknown): string {
  if (!(value instanceof Date)) return String(value)
  return tf === 'i' ? value.toISOString() : value.toUTCString()
}

/** In the model's order, as S3 has it. */
function structure(
  model: Model,
  members: readonly Member[],
  values: Readonly<Record<string, unknown>>,
): string {
  let xml = ''
  for (const { name, encode } of elementsOf(model, members)) {
    const value = values[name]
    if (value !== undefined && value !== null) xml += encode(value)
  }
  return xml
}

type Encode = (value: unknown) => string

interface ElementEncoder {
  readonly name: string
  readonly encode: Encode
}

/** A page of a list has thousands of elements: what the model says of them is looked up once. */
const ELEMENTS = new WeakMap<readonly Member[], readonly ElementEncoder[]>()

function elementsOf(model: Model, members: readonly Member[]): readonly ElementEncoder[] {
  const known = ELEMENTS.get(members)
  if (known !== undefined) return known
  const elements = members
    .filter((member) => isInXml(member) && member.a !== 1)
    .map((member) => ({ name: member.n, encode: elementEncoder(model, member) }))
  ELEMENTS.set(members, elements)
  return elements
}

function elementEncoder(model: Model, member: Member): Encode {
  const tag = member.x ?? member.n
  const shape = typeof member.r === 'number' ? model.shapes[member.r] : undefined
  if (shape?.[0] === 'l' && (member.f === 1 || shape[3] === 1)) {
    return listEncoder(tag, contentEncoder(model, member, shape[2]))
  }
  const declared = member.ns === undefined ? '' : ` xmlns:${member.ns[0]}="${member.ns[1]}"`
  const attributes = shape?.[0] === 'o' ? shape[2].filter(({ a }) => a === 1) : []
  const inner = contentEncoder(model, member, member.r)
  const [open, close] = [`<${tag}${declared}`, `</${tag}>`]
  return (value) => `${open}${attributesOf(attributes, value)}>${inner(value)}${close}`
}

function listEncoder(tag: string, item: Encode): Encode {
  return (value) => {
    let xml = ''
    for (const each of value as readonly unknown[]) xml += `<${tag}>${item(each)}</${tag}>`
    return xml
  }
}

function attributesOf(members: readonly Member[], value: unknown): string {
  if (members.length === 0) return ''
  const values = value as Readonly<Record<string, unknown>>
  return members
    .filter(({ n }) => values[n] !== undefined)
    .map(({ n, x }) => ` ${x ?? n}="${escapeXml(String(values[n]))}"`)
    .join('')
}

function contentEncoder(model: Model, member: Member, ref: Ref): Encode {
  if (typeof ref === 'string') return scalarEncoder(member, ref)
  const shape = model.shapes[ref]
  if (shape?.[0] === 'o') {
    const [, , members] = shape
    return (value) => structure(model, members, value as Readonly<Record<string, unknown>>)
  }
  if (shape?.[0] === 'l') return listEncoder(shape[1], contentEncoder(model, member, shape[2]))
  return () => {
    throw new Error('no output of S3 has a map in its XML')
  }
}

function scalarEncoder({ tf }: Member, type: Scalar): Encode {
  if (type === 'x') return (value) => Buffer.from(value as Uint8Array).toString('base64')
  if (type === 'n' || type === 'd' || type === 'b') return String
  return (value) => {
    if (!(value instanceof Date)) return escapeXml(String(value))
    return tf === 'h' ? value.toUTCString() : value.toISOString()
  }
}

/** S3's error document, which has no namespace. */
export function encodeError(
  error: Pick<S3Error, 'code' | 'message' | 'fields'>,
  about: { readonly resource: string; readonly requestId: string; readonly hostId: string },
): string {
  const elements: Readonly<Record<string, string>> = {
    Code: error.code,
    Message: error.message,
    ...error.fields,
    Resource: about.resource,
    RequestId: about.requestId,
    HostId: about.hostId,
  }
  const inner = Object.entries(elements)
    .map(([name, text]) => `<${name}>${escapeXml(text)}</${name}>`)
    .join('')
  return `${DECLARATION}<Error>${inner}</Error>`
}
