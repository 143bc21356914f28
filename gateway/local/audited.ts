// Hands every call of an operator that changes something, also a refused one, to the audit log
// before it is answered.

import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Clock } from '../../common/clock.ts'
import type { OperatorAudit } from '../audit/operator.ts'
import { USER_HEADER } from '../files.ts'
import { type Schema, SECRET } from './schema.ts'

interface AuditParts {
  readonly clock: Clock
  readonly audit?: OperatorAudit
}

const FIRST_ERROR_STATUS = 400
const USER_NAME = /^[\w.@-]{1,64}$/

/** For all routes that `app` gets after this call. */
export function addAudit(app: FastifyInstance, { clock, audit }: AuditParts): void {
  if (audit === undefined) return
  app.addHook('onSend', async (request, reply, payload) => {
    const { operation } = request.routeOptions.config
    if (operation === undefined || operation.isReading || operation.method === 'GET') return payload
    const said = parsed(payload)
    const isRefused = reply.statusCode >= FIRST_ERROR_STATUS
    await audit({
      operation: operation.id,
      ...whoAsks(request),
      account: accountOf(request.params, said),
      request: requestOf(request),
      answer: isRefused ? null : said,
      error: isRefused ? { code: textOf(said, 'code'), message: textOf(said, 'message') } : null,
      secrets: new Set([...secretsOf(operation.body), ...secretsOf(operation.answer)]),
      endedAtMs: clock.nowMs(),
    })
    return payload
  })
}

function whoAsks({ headers }: FastifyRequest): { userName: string; userAgent: string } {
  const said = String(headers[USER_HEADER] ?? '')
  return {
    userName: USER_NAME.test(said) ? said : '',
    userAgent: headers['user-agent'] ?? '',
  }
}

/** A body that is no object was refused for that. */
function requestOf({ params, query, body }: FastifyRequest): object {
  const given = typeof body === 'object' && !Array.isArray(body) ? body : {}
  return { ...(params as object), ...(query as object), ...given }
}

function accountOf(params: unknown, answer: object): string | null {
  return textOf(params as object, 'account') || textOf(answer, 'account') || null
}

function parsed(payload: unknown): object {
  if (typeof payload !== 'string') return {}
  const value: unknown = JSON.parse(payload)
  return typeof value === 'object' && value !== null ? value : {}
}

function textOf(structure: object, name: string): string {
  const value: unknown = (structure as Record<string, unknown>)[name]
  return typeof value === 'string' ? value : ''
}

function secretsOf(schema: Schema<unknown> = {}): string[] {
  const { properties } = schema as { properties?: Readonly<Record<string, Schema<unknown>>> }
  return Object.entries(properties ?? {})
    .filter(([, one]) => one['format'] === SECRET)
    .map(([name]) => name)
}
