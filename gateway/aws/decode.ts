// Parameter tree → typed input, as the model says. Shapes are compiled to closures when an
// operation first needs them, so that starting costs only the reading of the model.

import { ApiError } from './api-error.ts'
import { type Node, shorten } from './form.ts'
import type { Member, Model, Ref, Scalar, Shape } from './model.ts'

/** `path` names the parameter in messages: `Filter.1.Value`. */
type Decode = (node: Node, path: string) => unknown

/** Items of one list; beyond what any action of AWS takes. */
const MAX_INDEX = 100_000
const INDEX = /^(?:0|[1-9]\d{0,5})$/
const INTEGER = /^[+-]?\d{1,16}$/
const NUMBER = /^[+-]?\d{1,16}(?:\.\d{1,16})?(?:[eE][+-]?\d{1,2})?$/
const BASE64 = /^[A-Za-z0-9+/\s]*={0,2}$/
const SECONDS = /^\d{1,11}(?:\.\d{1,9})?$/
const ISO_TIME = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?$/

/**
 * A decoder for every shape of `model`: input of the SDK's type, or ApiError UnknownParameter,
 * MissingParameter, InvalidParameterValue, InvalidParameter.
 */
export function createDecoder(model: Model): (ref: Ref, root: Node) => unknown {
  const made = new Map<string, Decode>()

  function decoderOf(ref: Ref, enumName: string | undefined): Decode {
    // The enum belongs to the member, the list shape to everybody: both make the key.
    const key = `${ref} ${enumName ?? ''}`
    const known = made.get(key)
    if (known !== undefined) return known
    const decode = typeof ref === 'string' ? scalarDecoder(ref, enumName) : lazily(ref, enumName)
    made.set(key, decode)
    return decode
  }

  // Compiled at first use: shapes may contain themselves, and most are never used.
  function lazily(ref: number, enumName: string | undefined): Decode {
    let decode: Decode | null = null
    return (node, path) => {
      decode ??= compile(shapeOf(model, ref), enumName)
      return decode(node, path)
    }
  }

  function scalarDecoder(type: Scalar, enumName: string | undefined): Decode {
    const decode = SCALARS[type]
    const values = enumName === undefined ? null : new Set(model.enums[enumName])
    return (node, path) => {
      const below = node.children?.keys().next().value
      if (below !== undefined) throw unknown(`${path}.${below}`)
      const value = decode(node.value ?? '', path)
      if (values !== null && typeof value === 'string' && !values.has(value)) {
        throw invalid(path, value, 'is invalid')
      }
      return value
    }
  }

  function compile(shape: Shape, enumName: string | undefined): Decode {
    switch (shape[0]) {
      case 'l':
        return listDecoder(decoderOf(shape[2], enumName), listTag(model, shape))
      case 'm':
        return mapDecoder(shape[1], shape[2], decoderOf(shape[3], undefined))
      case 'o':
        return structureDecoder(shape[2])
    }
  }

  function structureDecoder(members: readonly Member[]): Decode {
    const byWire = new Map(
      members.map(({ r, e, ...member }) => {
        const decode = decoderOf(r, e)
        return [wireName(model, member), { name: member.n, decode }]
      }),
    )
    const required = members.filter((member) => member.req === 1)
    return (node, path) => {
      if (node.value !== null && node.value !== '') throw invalid(path, node.value, 'is invalid')
      const output: Record<string, unknown> = {}
      for (const [wire, child] of node.children ?? []) {
        const member = byWire.get(wire)
        if (member === undefined) throw unknown(join(path, wire))
        output[member.name] = member.decode(child, join(path, wire))
      }
      for (const member of required) {
        if (output[member.n] === undefined) throw missing(join(path, wireName(model, member)))
      }
      return output
    }
  }

  return (ref, root) => decoderOf(ref, undefined)(root, '')
}

/** How a member is called in a request. */
function wireName(model: Model, member: Omit<Member, 'r'>): string {
  if (model.protocol === 'query') return member.x ?? member.n
  const name = member.x ?? member.n
  return member.q ?? name.charAt(0).toUpperCase() + name.slice(1)
}

/** The part of a name between a list and its indexes; null where there is none. */
function listTag(model: Model, shape: Shape & readonly ['l', ...unknown[]]): string | null {
  return model.protocol === 'ec2' || shape[3] === 1 ? null : shape[1]
}

function listDecoder(item: Decode, tag: string | null): Decode {
  return (node, path) => {
    if (node.value !== null && node.value !== '') throw invalid(path, node.value, 'is not a list')
    for (const key of tag === null ? [] : (node.children?.keys() ?? [])) {
      if (key !== tag) throw unknown(`${path}.${key}`)
    }
    const items = tag === null ? node.children : node.children?.get(tag)?.children
    const base = tag === null ? path : `${path}.${tag}`
    return indexed(items, base).map(([index, child]) => item(child, `${base}.${index}`))
  }
}

/** Children in the order of their indexes; gaps do not matter (EC2 does not mind them either). */
function indexed(children: ReadonlyMap<string, Node> | null | undefined, path: string) {
  const items: [index: number, node: Node][] = []
  for (const [key, child] of children ?? []) {
    if (!INDEX.test(key) || Number(key) > MAX_INDEX) {
      throw new ApiError(
        'InvalidParameter',
        `The index of ${shorten(`${path}.${key}`)} is invalid.`,
      )
    }
    items.push([Number(key), child])
  }
  return items.sort((a, b) => a[0] - b[0])
}

function mapDecoder(keyTag: string, valueTag: string, value: Decode): Decode {
  return (node, path) => {
    const output: Record<string, unknown> = Object.create(null)
    const base = `${path}.entry`
    for (const [index, entry] of indexed(node.children?.get('entry')?.children, base)) {
      const name = entry.children?.get(keyTag)?.value ?? null
      const held = entry.children?.get(valueTag)
      if (name === null) throw missing(`${base}.${index}.${keyTag}`)
      if (held === undefined) throw missing(`${base}.${index}.${valueTag}`)
      output[name] = value(held, `${base}.${index}.${valueTag}`)
    }
    return output
  }
}

const SCALARS: Readonly<Record<Scalar, (text: string, path: string) => unknown>> = {
  s: (text) => text,
  n: (text, path) => {
    if (!INTEGER.test(text) || !Number.isSafeInteger(Number(text))) {
      throw invalid(path, text, 'is not an integer')
    }
    return Number(text)
  },
  d: (text, path) => {
    if (!NUMBER.test(text)) throw invalid(path, text, 'is not a number')
    return Number(text)
  },
  b: (text, path) => {
    const lower = text.toLowerCase()
    if (lower === 'true' || lower === '1') return true
    if (lower === 'false' || lower === '0') return false
    throw invalid(path, text, 'is not a boolean')
  },
  x: (text, path) => {
    if (!BASE64.test(text.trimEnd())) throw invalid(path, text, 'is not base64')
    return new Uint8Array(Buffer.from(text, 'base64'))
  },
  t: (text, path) => {
    const time = SECONDS.test(text) ? new Date(Number(text) * 1000) : isoTime(text)
    if (time === null || Number.isNaN(time.getTime())) throw invalid(path, text, 'is not a time')
    return time
  },
}

/** Without a zone it is UTC. */
function isoTime(text: string): Date | null {
  if (!ISO_TIME.test(text)) return null
  return new Date(/T.*(?:Z|[+-]\d\d:?\d\d)$/.test(text) || !text.includes('T') ? text : `${text}Z`)
}

function shapeOf(model: Model, ref: number): Shape {
  const shape = model.shapes[ref]
  if (shape === undefined) throw new RangeError(`the model has no shape ${ref}`)
  return shape
}

function join(path: string, part: string): string {
  return path === '' ? part : `${path}.${part}`
}

function unknown(path: string): ApiError {
  return new ApiError('UnknownParameter', `The parameter ${shorten(path)} is not recognized`)
}

function missing(path: string): ApiError {
  return new ApiError('MissingParameter', `The request must contain the parameter ${path}`)
}

function invalid(path: string, value: string, why: string): ApiError {
  const message = `Value (${shorten(value)}) for parameter ${shorten(path)} ${why}.`
  return new ApiError('InvalidParameterValue', message)
}
