// Form parameters of a query or a body: parsed within bounds, and hung up as the tree that their
// dotted names describe (`Filter.1.Value.2`).

import { ApiError } from './api-error.ts'

/** 1000 instance ids are 1000 parameters; nothing that AWS allows comes near this. */
export const MAX_PARAMETERS = 20_000
const MAX_DEPTH = 32

/** One name's part: a value, or more parts below it, or (badly) both. */
export interface Node {
  value: string | null
  children: Map<string, Node> | null
}

/**
 * Adds the parameters of one `a=b&c=d` string to `into`. Throws MalformedQueryString for bad
 * escapes, a name twice (AWS would have to guess which is meant) and too many parameters.
 */
export function parseForm(
  text: string,
  into: Map<string, string> = new Map(),
): Map<string, string> {
  let at = 0
  while (at < text.length) {
    const next = text.indexOf('&', at)
    const end = next < 0 ? text.length : next
    if (end > at) addParameter(text.slice(at, end), into)
    at = end + 1
  }
  return into
}

/** Parameters of every request, not of its action: action, version and signature. */
const COMMON: ReadonlySet<string> = new Set([
  ...['Action', 'Version', 'AWSAccessKeyId', 'Expires', 'SecurityToken'],
  ...['Signature', 'SignatureMethod', 'SignatureVersion', 'Timestamp'],
])

/** What is the action's own: the rest of the parameters. */
export function ownParameters(all: ReadonlyMap<string, string>): Map<string, string> {
  const own = new Map<string, string>()
  for (const [name, value] of all) {
    if (!COMMON.has(name) && !name.startsWith('X-Amz-')) own.set(name, value)
  }
  return own
}

/** Hangs parameters up by the parts of their names. Throws InvalidParameter when too deep. */
export function treeOf(parameters: ReadonlyMap<string, string>): Node {
  const root: Node = { value: null, children: new Map() }
  for (const [name, value] of parameters) {
    const parts = name.split('.', MAX_DEPTH + 1)
    if (parts.length > MAX_DEPTH) {
      throw new ApiError('InvalidParameter', `The parameter ${shorten(name)} is nested too deeply.`)
    }
    let node = root
    for (const part of parts) node = childOf(node, part)
    node.value = value
  }
  return root
}

/** Enough of a caller's text to be recognised in a message. */
export function shorten(text: string): string {
  return text.length <= 200 ? text : `${text.slice(0, 200)}...`
}

function childOf(node: Node, part: string): Node {
  node.children ??= new Map()
  const known = node.children.get(part)
  if (known !== undefined) return known
  const child: Node = { value: null, children: null }
  node.children.set(part, child)
  return child
}

function addParameter(text: string, into: Map<string, string>): void {
  const equals = text.indexOf('=')
  const name = unescapeForm(equals < 0 ? text : text.slice(0, equals))
  if (into.has(name)) throw malformed(`The parameter ${shorten(name)} is there twice.`)
  if (into.size >= MAX_PARAMETERS) throw malformed(`More than ${MAX_PARAMETERS} parameters.`)
  into.set(name, equals < 0 ? '' : unescapeForm(text.slice(equals + 1)))
}

function unescapeForm(text: string): string {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text
  if (!spaced.includes('%')) return spaced
  try {
    return decodeURIComponent(spaced)
  } catch {
    throw malformed(`${shorten(text)} is no URL encoding of UTF-8.`)
  }
}

function malformed(detail: string): ApiError {
  return new ApiError('MalformedQueryString', `The query string contains a syntax error. ${detail}`)
}
