// Reads the XML of requests: elements, attributes and text within bounds. Refuses what no client of
// S3 sends and attackers do: document types, entities of their own, processing instructions.

import { S3Error } from './error.ts'

export interface Element {
  /** Without the prefix of its namespace. */
  readonly name: string
  /** Without prefixes; namespace declarations left out. */
  readonly attributes: ReadonlyMap<string, string>
  readonly children: readonly Element[]
  /** All text directly in it. */
  readonly text: string
}

interface Open {
  readonly tag: string
  readonly element: { name: string; attributes: Map<string, string>; children: Element[] }
  text: string
}

/** 10,000 parts with their checksums have some 30,000. */
const MAX_ELEMENTS = 100_000
const MAX_DEPTH = 32
const MAX_ATTRIBUTES = 16
const NAME = /[A-Za-z_][\w.-]*(?::[A-Za-z_][\w.-]*)?/y
const SPACE = /[ \t\r\n]*/y
const NO_TEXT = /^[ \t\r\n]*$/
const ENTITY = /&(?:(lt|gt|amp|quot|apos)|#(\d{1,7})|#x([0-9a-fA-F]{1,6}));|&/g
const ENTITIES: Readonly<Record<string, string>> = {
  lt: '<',
  gt: '>',
  amp: '&',
  quot: '"',
  apos: "'",
}

/** The root element. Throws MalformedXML for anything but one well-formed document. */
export function parseXml(bytes: Uint8Array): Element {
  const text = decodeUtf8(bytes)
  let at = text.startsWith('\ufeff') ? 1 : 0
  let elements = 0
  let root: Element | null = null
  const open: Open[] = []

  function take(pattern: RegExp): string {
    pattern.lastIndex = at
    const found = pattern.exec(text)?.[0] ?? ''
    at += found.length
    return found
  }

  function until(end: string): string {
    const found = text.indexOf(end, at)
    if (found < 0) throw malformed()
    const part = text.slice(at, found)
    at = found + end.length
    return part
  }

  function expect(what: string): void {
    if (!text.startsWith(what, at)) throw malformed()
    at += what.length
  }

  function attributes(): Map<string, string> {
    const found = new Map<string, string>()
    for (let count = 0; ; count++) {
      const space = take(SPACE)
      const name = take(NAME)
      if (name === '') return found
      if (space === '' || count >= MAX_ATTRIBUTES) throw malformed()
      take(SPACE)
      expect('=')
      take(SPACE)
      const quote = text[at]
      if (quote !== '"' && quote !== "'") throw malformed()
      at++
      const value = until(quote)
      if (value.includes('<')) throw malformed()
      if (name === 'xmlns' || name.startsWith('xmlns:')) continue
      const local = localName(name)
      if (found.has(local)) throw malformed()
      found.set(local, resolved(value))
    }
  }

  function startTag(): void {
    const tag = take(NAME)
    elements++
    if (tag === '' || elements > MAX_ELEMENTS || open.length >= MAX_DEPTH) throw malformed()
    if (open.length === 0 && root !== null) throw malformed()
    const element = { name: localName(tag), attributes: attributes(), children: [] }
    const isEmpty = text.startsWith('/>', at)
    expect(isEmpty ? '/>' : '>')
    open.push({ tag, element, text: '' })
    if (isEmpty) close()
  }

  function close(): void {
    const ended = open.pop()
    if (ended === undefined) throw malformed()
    const element = { ...ended.element, text: ended.text }
    const parent = open.at(-1)
    if (parent === undefined) root = element
    else parent.element.children.push(element)
  }

  function add(part: string): void {
    const parent = open.at(-1)
    if (parent !== undefined) parent.text += part
    else if (!NO_TEXT.test(part)) throw malformed()
  }

  if (text.startsWith('<?xml', at) && /[ \t\r\n]/.test(text[at + 5] ?? '')) until('?>')
  while (at < text.length) {
    const next = text.indexOf('<', at)
    if (next < 0) {
      add(text.slice(at))
      break
    }
    if (next > at) add(resolved(text.slice(at, next)))
    at = next + 1
    if (text.startsWith('!--', at)) {
      at += 3
      until('-->')
    } else if (text.startsWith('![CDATA[', at)) {
      if (open.length === 0) throw malformed()
      at += '![CDATA['.length
      add(until(']]>'))
    } else if (text[at] === '/') {
      at++
      const tag = take(NAME)
      take(SPACE)
      expect('>')
      if (open.at(-1)?.tag !== tag) throw malformed()
      close()
    } else {
      startTag()
    }
  }
  if (root === null || open.length > 0) throw malformed()
  return root
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    return text.includes('\r') ? text.replaceAll(/\r\n?/g, '\n') : text
  } catch {
    throw malformed()
  }
}

function localName(name: string): string {
  return name.slice(name.indexOf(':') + 1)
}

function resolved(text: string): string {
  if (!text.includes('&')) return text
  return text.replace(ENTITY, (_all, name?: string, decimal?: string, hex?: string) => {
    if (name !== undefined) return ENTITIES[name] ?? ''
    const point = decimal === undefined ? Number.parseInt(hex ?? '', 16) : Number(decimal)
    const isCharacter = point > 0 && point <= 0x10_ffff && (point < 0xd800 || point > 0xdfff)
    // NaN, of a lone ampersand, is none either.
    if (!isCharacter) throw malformed()
    return String.fromCodePoint(point)
  })
}

export function malformed(): S3Error {
  const message =
    'The XML you provided was not well-formed or did not validate against our published schema'
  return new S3Error('MalformedXML', message, 400)
}
