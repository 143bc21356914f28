// What a simulation of policies may be asked: actions, resources, policies, a caller and what is
// known of the call. Its refusals are InvalidInput, as the API reference has them.

import type { ContextEntry } from '@aws-sdk/client-iam'
import { ApiError } from '../aws/api-error.ts'
import { sizeOf } from './documents.ts'
import { parsePolicy } from './policy.ts'
import type { PolicySource } from './policy-sources.ts'
import { resourceFault } from './resource-patterns.ts'
import type { Context } from './templates.ts'
import { bytesOf, instantOf, numberOf, prefixOf } from './values.ts'

const ACTION = /^[a-zA-Z0-9-]+:[a-zA-Z0-9]+$/
const ACTION_CHARACTERS = { least: 3, most: 128 }
const RESOURCE_CHARACTERS = 2_048
const KEY = /^[\w.-]+:[\w./:@=+-]+$/
const KEY_CHARACTERS = { least: 5, most: 256 }
/** Of what is simulated together: actions times resources. A page of answers has fewer. */
const MAX_PAIRS = 10_000
const MAX_POLICY = 131_072

const TYPES: Readonly<Record<string, (value: string) => boolean>> = {
  string: () => true,
  numeric: (value) => numberOf(value) !== null,
  boolean: (value) => /^(?:true|false)$/i.test(value),
  ip: (value) => prefixOf(value) !== null,
  binary: (value) => bytesOf(value) !== null,
  date: (value) => instantOf(value) !== null,
}

export interface Pair {
  readonly action: string
  readonly resource: string
}

/** Every action on every resource; on `*` when none is named. */
export function pairsOf(actions: readonly string[], resources: readonly string[] = []): Pair[] {
  const named = resources.length === 0 ? ['*'] : resources
  if (actions.length === 0) throw wrong('At least one action name is required')
  if (actions.length * named.length > MAX_PAIRS) {
    throw wrong(`${actions.length} actions on ${named.length} resources are too many at once`)
  }
  for (const action of actions) {
    const { least, most } = ACTION_CHARACTERS
    const fits = action.length >= least && action.length <= most
    if (!fits || !ACTION.test(action)) throw wrong(`Invalid action name: ${shown(action)}`)
  }
  for (const resource of named) {
    const isOne = resource === '*' || resourceFault(resource) === null
    if (resource.length > RESOURCE_CHARACTERS || !isOne) {
      throw wrong(`Invalid resource ARN: ${shown(resource)}`)
    }
  }
  return actions.flatMap((action) => named.map((resource) => ({ action, resource })))
}

/** Documents as sources, named by their place in the list. */
export function policiesIn(list: readonly string[], name: string): PolicySource[] {
  return list.map((document, index) => {
    const id = `${name}.${index + 1}`
    if (sizeOf(document) > MAX_POLICY) throw wrong(`${id} is too long`)
    const parsed = parsePolicy(document, 'identity')
    if (!parsed.ok) throw wrong(`Invalid policy ${id}: ${parsed.why}`)
    return { id, type: 'none', document }
  })
}

/** Keys in lower case. */
export function contextIn(entries: readonly ContextEntry[]): Context {
  const context = new Map<string, readonly string[]>()
  for (const {
    ContextKeyName: name = '',
    ContextKeyValues: values = [],
    ContextKeyType,
  } of entries) {
    const { least, most } = KEY_CHARACTERS
    if (name.length < least || name.length > most || !KEY.test(name)) {
      throw wrong(`Invalid context key name: ${shown(name)}`)
    }
    const type = ContextKeyType ?? ''
    const fits = TYPES[type.replace(/List$/, '')]
    if (fits === undefined) throw wrong(`Invalid type ${shown(type)} of context key ${name}`)
    if (!type.endsWith('List') && values.length !== 1) {
      throw wrong(`The context key ${name} of type ${type} must have one value`)
    }
    const bad = values.find((value) => !fits(value))
    if (bad !== undefined) throw wrong(`The context key ${name} has the value ${shown(bad)}`)
    if (context.has(name.toLowerCase())) throw wrong(`The context key ${name} is there twice`)
    context.set(name.toLowerCase(), values)
  }
  return context
}

export function wrong(message: string): ApiError {
  return new ApiError('InvalidInput', message)
}

function shown(text: string): string {
  return text.slice(0, 200)
}
