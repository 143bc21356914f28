// The admin endpoint: is this process alive, can it serve, what does it count. No secrets here, and
// no calls that change anything.

import { type FastifyInstance, fastify } from 'fastify'
import { messageOf } from '../../common/errors.ts'
import type { Log } from '../../common/log.ts'
import type { Metrics } from '../metrics.ts'
import { listenerOptions, type Tls } from './limits.ts'

export interface AdminOptions {
  readonly metrics: Metrics
  /** A sentence for each reason why the gateway cannot serve now; empty when it can. */
  readonly ready: () => Promise<readonly string[]>
  readonly log: Log
  readonly tls?: Tls
}

/** Milliseconds until a readiness check that does not end counts as a problem. */
const READY_TIMEOUT_MS = 5_000

/** Makes the endpoint; the caller listens on it and closes it. */
export function createAdminServer(options: AdminOptions): FastifyInstance {
  const app = fastify({ ...listenerOptions(options.tls, () => false), bodyLimit: 1024 })
  app.get('/healthz', () => ({ status: 'alive' }))
  app.get('/readyz', async (_request, reply) => {
    const problems = await problemsOf(options.ready)
    if (problems.length > 0) options.log.warn('not ready', { problems })
    return reply
      .code(problems.length === 0 ? 200 : 503)
      .send({ ready: problems.length === 0, problems })
  })
  app.get('/metrics', async (_request, reply) => {
    const { contentType, text } = await options.metrics.scrape()
    return reply.header('content-type', contentType).send(text)
  })
  return app
}

async function problemsOf(ready: AdminOptions['ready']): Promise<readonly string[]> {
  const late = Promise.withResolvers<readonly string[]>()
  const timer = setTimeout(
    () => late.resolve([`the readiness check did not end within ${READY_TIMEOUT_MS} ms`]),
    READY_TIMEOUT_MS,
  )
  try {
    return await Promise.race([ready(), late.promise])
  } catch (error) {
    return [messageOf(error)]
  } finally {
    clearTimeout(timer)
  }
}
