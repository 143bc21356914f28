// One route of the operator's API with all that its OpenAPI document says of it.

import type { IncomingMessage } from 'node:http'
import type { FastifyInstance } from 'fastify'
import type { Code } from '../../common/errors.ts'
import type { Schema } from './schema.ts'

export interface Operation<P = unknown, Q = unknown, B = unknown, A = unknown> {
  /** Unique, a verb and its thing: `listHosts`. */
  readonly id: string
  readonly summary: string
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** With parameters in braces: `/v1/racks/{rack}`. */
  readonly path: string
  /** One property for each parameter of the path. */
  readonly params?: Schema<P>
  readonly query?: Schema<Q>
  readonly body?: Schema<B>
  /** The body is bytes, which the route reads itself. */
  readonly isBinary?: boolean
  /** Nothing at all is sent in its place; `run` gets null then. */
  readonly isBodyOptional?: boolean
  /** It changes nothing, although it is no GET. */
  readonly isReading?: boolean
  readonly bodyExample?: NoInfer<B>
  readonly answer: Schema<A>
  readonly example: NoInfer<A>
  /** Refusals of its own; BadArgument has every route that takes anything. */
  readonly refusals?: readonly Code[]
}

interface Asked<P, Q, B> {
  readonly params: P
  readonly query: Q
  readonly body: B
  readonly raw: IncomingMessage
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Of every route of the operator's API. */
    operation?: Operation
  }
}

/** Adds a route: what comes in satisfies its schemas when `run` is called. */
export function route<P, Q, B, A>(
  app: FastifyInstance,
  operation: Operation<P, Q, B, A>,
  run: (asked: Asked<P, Q, B>) => Promise<A> | A,
): void {
  const { method, path, params, query: querystring, body, isBinary = false } = operation
  app.route({
    method,
    url: path.replaceAll(/\{(\w+)\}/g, ':$1'),
    schema: {
      ...(params && { params }),
      ...(querystring && { querystring }),
      ...(body && !isBinary && { body }),
    },
    config: { operation },
    handler: async (request) =>
      run({
        params: request.params as P,
        query: request.query as Q,
        body: (request.body ?? null) as B,
        raw: request.raw,
      }),
  })
}
