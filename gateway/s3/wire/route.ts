// Which operation a request asks for: by method, bucket or object, query and headers, as the model
// has them. S3's names for what hangs on a bucket or an object are query parameters.

import type { Member, Model } from '../../aws/model.ts'
import { S3Error } from './error.ts'

export type Level = 'service' | 'bucket' | 'object'

export interface Routed {
  readonly method: string
  readonly level: Level
  /** Decoded. */
  readonly query: ReadonlyMap<string, string>
  /** By names in lower case. */
  readonly headers: ReadonlyMap<string, unknown>
}

interface Route {
  readonly operation: string
  readonly method: string
  readonly level: Level
  /** Parameters that must be there; null: with any value. */
  readonly literals: readonly (readonly [name: string, value: string | null])[]
  readonly neededQuery: readonly string[]
  readonly neededHeaders: readonly string[]
  readonly weight: number
}

/**
 * Throws MethodNotAllowed where the method has no operation, also when there is one without a
 * parameter that S3 gives a meaning: what a request does not ask for must not be done.
 */
export function createRouter(model: Model): (request: Routed) => string {
  const routes = Object.keys(model.ops).map((operation) => routeOf(model, operation))
  const places = new Map<string, Route[]>()
  const meanings = new Map<Level, Set<string>>()
  for (const route of routes) {
    const place = `${route.method} ${route.level}`
    places.set(place, [...(places.get(place) ?? []), route])
    const names = meanings.get(route.level) ?? new Set()
    for (const [name] of route.literals) names.add(name)
    for (const name of route.neededQuery) names.add(name)
    meanings.set(route.level, names)
  }
  for (const list of places.values()) list.sort((a, b) => b.weight - a.weight)
  const allowed = new Map<string, ReadonlySet<string>>(
    routes.map((route) => [route.operation, ownQuery(model, route)]),
  )

  return (request) => {
    const { method, level, query } = request
    const found = places.get(`${method} ${level}`)?.find((route) => fits(route, request))
    if (found === undefined) throw notAllowed(method, level)
    const own = allowed.get(found.operation)
    for (const name of query.keys()) {
      const hasMeaning = meanings.get(level)?.has(name) ?? false
      if (!hasMeaning || own?.has(name)) continue
      if (name === 'list-type') throw invalidListType(query.get(name) ?? '')
      throw notAllowed(method, level)
    }
    return found.operation
  }
}

function fits(route: Route, { query, headers }: Routed): boolean {
  return (
    route.literals.every(([name, value]) =>
      value === null ? query.has(name) : query.get(name) === value,
    ) &&
    route.neededQuery.every((name) => query.has(name)) &&
    route.neededHeaders.every((name) => headers.has(name))
  )
}

function routeOf(model: Model, operation: string): Route {
  const { http, i } = model.ops[operation] ?? { i: -1 }
  if (http === undefined) throw new RangeError(`${operation} is nowhere in HTTP`)
  const [method, uri] = http
  const [path = '', query = ''] = uri.split('?')
  const members = membersOf(model, i)
  const literals = query
    .split('&')
    .filter((each) => each !== '')
    .map((each): [string, string | null] => {
      const [name = '', value = null] = each.split('=')
      return [name, value]
    })
  const needed = members.filter(({ req }) => req === 1)
  const neededQuery = needed.flatMap(({ hq }) => (hq === undefined ? [] : [hq]))
  const neededHeaders = needed.flatMap(({ h }) => (h === undefined ? [] : [h]))
  return {
    ...{ operation, method, literals, neededQuery, neededHeaders },
    level: levelOf(path, members),
    weight: literals.length + neededQuery.length + neededHeaders.length,
  }
}

function levelOf(path: string, members: readonly Member[]): Level {
  if (path.includes('{Key+}')) return 'object'
  return members.some(({ n, lb }) => n === 'Bucket' && lb === 1) ? 'bucket' : 'service'
}

function ownQuery(model: Model, { operation, literals }: Route): Set<string> {
  const members = membersOf(model, model.ops[operation]?.i ?? -1)
  const named = members.flatMap(({ hq }) => (hq === undefined ? [] : [hq]))
  return new Set([...literals.map(([name]) => name), ...named])
}

function membersOf(model: Model, ref: unknown): readonly Member[] {
  const shape = typeof ref === 'number' ? model.shapes[ref] : undefined
  return shape?.[0] === 'o' ? shape[2] : []
}

const RESOURCES: Readonly<Record<Level, string>> = {
  service: 'SERVICE',
  bucket: 'BUCKET',
  object: 'OBJECT',
}

function notAllowed(method: string, level: Level): S3Error {
  const message = 'The specified method is not allowed against this resource.'
  const fields = { Method: method.slice(0, 20), ResourceType: RESOURCES[level] }
  return new S3Error('MethodNotAllowed', message, 405, fields)
}

function invalidListType(value: string): S3Error {
  const fields = { ArgumentName: 'list-type', ArgumentValue: value }
  return new S3Error('InvalidArgument', 'Invalid List Type specified in Query', 400, fields)
}
