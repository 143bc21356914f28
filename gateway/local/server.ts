// The operator's API, on a socket that only root can open: what the `mallee` command talks to.

import { chmod, mkdir, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import Fastify, { type FastifyInstance } from 'fastify'
import { type Code, codeOf, messageOf } from '../../common/errors.ts'
import type { Log } from '../../common/log.ts'
import { addBlobRoutes } from './blobs.ts'
import { addRackRoutes, type RackParts } from './racks.ts'
import { addTokenRoutes, type TokenParts } from './tokens.ts'

export interface LocalParts extends RackParts, TokenParts {
  readonly blobsDir: string
  readonly log: Log
}

/** Listens on `socket`, mode 0600. A socket file that nobody listens on is replaced. */
export async function startLocalServer(
  socket: string,
  parts: LocalParts,
): Promise<{ close: () => Promise<void> }> {
  const app = createLocalServer(parts)
  await mkdir(dirname(socket), { recursive: true, mode: 0o755 })
  await rm(socket, { force: true })
  await app.listen({ path: socket })
  await chmod(socket, 0o600)
  return { close: () => app.close() }
}

export function createLocalServer(parts: LocalParts): FastifyInstance {
  const app = Fastify({ bodyLimit: 64 << 10, forceCloseConnections: true })
  app.setErrorHandler((error, _request, reply) => {
    const code = codeOf(error)
    const invalid = (error as { validation?: unknown }).validation !== undefined
    if (code === null && !invalid) parts.log.error('local call failed', { error })
    const answer = { code: code ?? (invalid ? 'BadArgument' : 'Unavailable') }
    return reply.status(statusOf(answer.code)).send({ ...answer, message: messageOf(error) })
  })
  addTokenRoutes(app, parts)
  addRackRoutes(app, parts)
  addBlobRoutes(app, parts)
  return app
}

function statusOf(code: Code): number {
  switch (code) {
    case 'BadArgument':
      return 400
    case 'NotFound':
    case 'RackNotFound':
    case 'HostNotFound':
      return 404
    case 'Conflict':
    case 'NameTaken':
      return 409
    case 'StoreFull':
      return 507
    default:
      return 503
  }
}
