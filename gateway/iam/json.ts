// JSON as a policy document must be: read strictly, because JSON.parse keeps the last of two equal
// keys without a word, and the one that a reader sees may be the other.

import { no, ok, type Result } from '../../topology/result.ts'

export type Json = string | number | boolean | null | readonly Json[] | JsonObject
export type JsonObject = ReadonlyMap<string, Json>

const MAX_DEPTH = 16
const SPACE = /[ \t\r\n]*/y
/** Control characters and escapes that are none are left to JSON.parse to refuse. */
const STRING = /"(?:[^"\\]|\\.)*"/y
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const WORD = /true|false|null/y

/** One whole JSON text (RFC 8259) of at most 16 levels, in which no object has a key twice. */
export function parseJson(text: string): Result<Json, 'BadJson'> {
  const reader = new Reader(text)
  try {
    const value = reader.value(0)
    return reader.atEnd() ? ok(value) : no('BadJson')
  } catch (error) {
    if (error instanceof SyntaxError) return no('BadJson')
    throw error
  }
}

export function isObject(value: Json | undefined): value is JsonObject {
  return value instanceof Map
}

/** Where in the text we are. */
class Reader {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  value(depth: number): Json {
    if (depth > MAX_DEPTH) throw new SyntaxError('too deep')
    if (this.#skip('{')) return this.#object(depth)
    if (this.#skip('[')) return this.#array(depth)
    const plain = this.#take(STRING) ?? this.#take(WORD) ?? this.#take(NUMBER)
    if (plain === null) throw new SyntaxError(`no value at ${this.#at}`)
    return JSON.parse(plain)
  }

  atEnd(): boolean {
    this.#take(SPACE)
    return this.#at === this.#text.length
  }

  #object(depth: number): JsonObject {
    const object = new Map<string, Json>()
    if (this.#skip('}')) return object
    do {
      this.#take(SPACE)
      const name = JSON.parse(this.#take(STRING) ?? '') as string
      if (object.has(name)) throw new SyntaxError(`${name} twice`)
      this.#expect(':')
      object.set(name, this.value(depth + 1))
    } while (this.#skip(','))
    this.#expect('}')
    return object
  }

  #array(depth: number): Json[] {
    const array: Json[] = []
    if (this.#skip(']')) return array
    do array.push(this.value(depth + 1))
    while (this.#skip(','))
    this.#expect(']')
    return array
  }

  /** Goes past spaces, and past `mark` when it is next. */
  #skip(mark: string): boolean {
    this.#take(SPACE)
    if (this.#text[this.#at] !== mark) return false
    this.#at += 1
    return true
  }

  #expect(mark: string): void {
    if (!this.#skip(mark)) throw new SyntaxError(`no ${mark} at ${this.#at}`)
  }

  #take(pattern: RegExp): string | null {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#text)
    if (found === null) return null
    this.#at = pattern.lastIndex
    return found[0]
  }
}
