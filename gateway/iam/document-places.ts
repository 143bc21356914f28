// Where things are in the text of a policy document, for who reads it: the lines of its statements,
// and the context keys that it asks for, as they are written.

import { isObject, type Json, parseJson } from './json.ts'

export interface Place {
  readonly Line: number
  readonly Column: number
}

export interface StatementPlace {
  readonly StartPosition: Place
  readonly EndPosition: Place
}

/** Brackets that are open where a list of statements has its commas. */
const LIST_DEPTH = 2
const VARIABLE = /\$\{\s*([^\s{}',$*?]+)\s*(?:,[^}]*)?\}/g

/**
 * Of each statement of a document that parses: from after the mark before it to after its end, with
 * lines and columns from 1, as AWS counts them.
 */
export function statementPlaces(document: string): StatementPlace[] {
  const found: StatementPlace[] = []
  let depth = 0
  let begin = 0
  /** Whether the value of Statement is being read, and as what. */
  let within: 'nothing' | 'value' | 'list' = 'nothing'
  let name = ''
  for (let at = 0; at < document.length; at += 1) {
    switch (document[at]) {
      case '"': {
        const end = endOfString(document, at)
        if (depth === 1) name = document.slice(at + 1, end)
        at = end
        break
      }
      case ':':
        if (depth === 1) within = name === 'Statement' ? 'value' : 'nothing'
        if (depth === 1) begin = at + 1
        break
      case ',':
        if (depth === LIST_DEPTH && within === 'list') begin = at + 1
        break
      case '[':
      case '{':
        depth += 1
        if (document[at] === '[' && depth === LIST_DEPTH && within === 'value') {
          within = 'list'
          begin = at + 1
        }
        break
      case ']':
      case '}': {
        depth -= 1
        const ends = within === 'list' ? LIST_DEPTH : within === 'value' ? 1 : -1
        if (document[at] === '}' && depth === ends) found.push(between(document, begin, at + 1))
        break
      }
      default:
        break
    }
  }
  return found
}

function endOfString(text: string, at: number): number {
  let end = at + 1
  while (end < text.length && text[end] !== '"') end += text[end] === '\\' ? 2 : 1
  return end
}

function between(text: string, begin: number, end: number): StatementPlace {
  return { StartPosition: placeOf(text, begin), EndPosition: placeOf(text, end) }
}

function placeOf(text: string, at: number): Place {
  const lines = text.slice(0, at).split('\n')
  return { Line: lines.length, Column: (lines.at(-1)?.length ?? 0) + 1 }
}

/** Of a document that parses: by statement, each key once. */
export function contextKeysIn(document: string): string[][] {
  const json = parseJson(document)
  const statements = json.ok && isObject(json.value) ? json.value.get('Statement') : undefined
  return listOf(statements).map((statement) => (isObject(statement) ? keysOf(statement) : []))
}

function keysOf(statement: ReadonlyMap<string, Json>): string[] {
  const keys = new Map<string, string>()
  const add = (key: string): void => {
    if (!keys.has(key.toLowerCase())) keys.set(key.toLowerCase(), key)
  }
  const texts = ['Resource', 'NotResource'].flatMap((name) => listOf(statement.get(name)))
  const conditions = statement.get('Condition')
  for (const operator of isObject(conditions) ? conditions.values() : []) {
    for (const [key, values] of isObject(operator) ? operator : []) {
      add(key)
      texts.push(...listOf(values))
    }
  }
  for (const text of texts) {
    for (const [, variable = ''] of String(text).matchAll(VARIABLE)) add(variable)
  }
  return [...keys.values()]
}

function listOf(value: Json | undefined): readonly Json[] {
  if (value === undefined) return []
  return Array.isArray(value) ? (value as readonly Json[]) : [value]
}
