// The operator's API as an OpenAPI 3.1 document, made of what its routes say of themselves.

import type { FastifyInstance } from 'fastify'
import { VERSION } from '../../common/version.ts'
import { ERROR, statusOf } from './refusals.ts'
import { type Operation, route } from './route.ts'
import type { Schema } from './schema.ts'

const PATH = '/v1/openapi.json'
const JSON_TYPE = 'application/json'
const BYTES_TYPE = 'application/octet-stream'
const DESCRIPTION =
  "What operators do, on the gateway's local socket: `mallee` calls it, and so does " +
  '`curl --unix-socket /run/mallee/gateway.sock http://localhost/v1/status`. ' +
  'A gateway that is not there for a moment answers 503: ask again.'

interface ObjectSchema {
  readonly required?: readonly string[]
  readonly properties?: Readonly<Record<string, Schema<unknown>>>
}

/** Answers with the document of all routes that `app` gets after this call. */
export function addOpenApiRoute(app: FastifyInstance): void {
  const operations: Operation[] = []
  app.addHook('onRoute', ({ config, method, url }) => {
    // Fastify adds HEAD to every GET.
    if (method === 'HEAD') return
    if (config?.operation === undefined) throw new RangeError(`${method} ${url} is not described`)
    operations.push(config.operation)
  })
  route(
    app,
    {
      id: 'getDocument',
      summary: 'This document',
      method: 'GET',
      path: PATH,
      answer: { type: 'object', description: 'OpenAPI 3.1' } as Schema<object>,
      example: { openapi: '3.1.0' },
    },
    () => documentOf(operations),
  )
}

function documentOf(operations: readonly Operation[]): object {
  const schemas: Record<string, unknown> = {}
  const paths: Record<string, Record<string, unknown>> = {}
  for (const one of operations) {
    const described = referring(operationOf(one), schemas)
    paths[one.path] = { ...paths[one.path], [one.method.toLowerCase()]: described }
  }
  return {
    openapi: '3.1.0',
    info: { title: "Mallee operator's API", version: VERSION, description: DESCRIPTION },
    servers: [{ url: 'http://localhost', description: "The gateway's local socket" }],
    paths,
    components: { schemas },
  }
}

function operationOf(one: Operation): object {
  const parameters = [...parametersOf('path', one.params), ...parametersOf('query', one.query)]
  const example = one.bodyExample === undefined ? {} : { example: one.bodyExample }
  const body = one.isBinary
    ? { [BYTES_TYPE]: { schema: { type: 'string', format: 'binary' } } }
    : { [JSON_TYPE]: { schema: one.body, ...example } }
  const hasBody = one.isBinary || one.body !== undefined
  return {
    operationId: one.id,
    summary: one.summary,
    ...(parameters.length > 0 && { parameters }),
    ...(hasBody && { requestBody: { required: one.isBodyOptional !== true, content: body } }),
    responses: {
      200: {
        description: 'Done',
        content: { [JSON_TYPE]: { schema: one.answer, example: one.example } },
      },
      ...refusalsOf(one, hasBody || parameters.length > 0),
      default: { description: 'Not done, and why', content: { [JSON_TYPE]: { schema: ERROR } } },
    },
  }
}

/** By status, with the codes that it stands for. */
function refusalsOf({ refusals = [] }: Operation, takesAnything: boolean): object {
  const codes = [...(takesAnything ? (['BadArgument'] as const) : []), ...refusals]
  const byStatus = Map.groupBy(new Set(codes), statusOf)
  const entries = [...byStatus].map(([status, of]) => {
    const example = { code: of[0], message: 'what was wrong, and with what' }
    return [
      String(status),
      { description: of.join(', '), content: { [JSON_TYPE]: { schema: ERROR, example } } },
    ]
  })
  return Object.fromEntries(entries)
}

function parametersOf(place: 'path' | 'query', schema: Schema<unknown> = {}): object[] {
  const { properties = {}, required = [] } = schema as ObjectSchema
  return Object.entries(properties).map(([name, one]) => ({
    name,
    in: place,
    required: required.includes(name),
    ...(typeof one['description'] === 'string' && { description: one['description'] }),
    schema: one,
  }))
}

/** Puts each schema with a title in its place in the components, and a reference in its own. */
function referring(value: unknown, schemas: Record<string, unknown>): unknown {
  if (Array.isArray(value)) return value.map((one) => referring(one, schemas))
  if (typeof value !== 'object' || value === null) return value
  const walked = Object.fromEntries(
    Object.entries(value).map(([name, one]) => [
      name,
      name === 'example' ? one : referring(one, schemas),
    ]),
  )
  const { title } = walked
  if (typeof title !== 'string') return walked
  schemas[title] = walked
  return { $ref: `#/components/schemas/${title}` }
}
