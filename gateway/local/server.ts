// The operator's API, on a socket that only root can open: what the `mallee` command talks to.

import { chmod, mkdir, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { dirname } from 'node:path'
import Fastify, { type FastifyInstance } from 'fastify'
import { codeOf, MalleeError, messageOf } from '../../common/errors.ts'
import type { AccountParts } from '../accounts.ts'
import type { OperatorAudit } from '../audit/operator.ts'
import type { SnapshotReport } from '../ebs/chunks/open.ts'
import type { ObjectReport } from '../s3/keeping/keeper.ts'
import { addAccountRoutes } from './accounts.ts'
import { addAudit } from './audited.ts'
import { addBlobRoutes } from './blobs.ts'
import { addCloudRoutes } from './cloud.ts'
import { addDrainRoutes, type DrainParts } from './drains.ts'
import { addEventTargetRoutes, type EventTargetParts } from './event-targets.ts'
import { addHostRoutes } from './hosts.ts'
import { addKeyRoutes } from './keys.ts'
import { addLoadBalancerRoutes } from './load-balancers.ts'
import { addObjectRoutes } from './objects.ts'
import { addOpenApiRoute } from './openapi.ts'
import { addPeerRoutes, type PeerParts } from './peers.ts'
import { addPoolRoutes } from './pools.ts'
import { addQuotaRoutes } from './quotas.ts'
import { addRackRoutes, type RackParts } from './racks.ts'
import { schemaError, statusOf } from './refusals.ts'
import { addSnapshotRoutes } from './snapshots.ts'
import { addStatusRoute, type StatusParts } from './status.ts'
import { addTokenRoutes, type TokenParts } from './tokens.ts'
import { addTypeRoutes } from './types.ts'
import { addVolumeRoutes } from './volumes.ts'
import { addVpnRoutes } from './vpns.ts'
import { addWhyRoutes } from './why.ts'

export interface LocalParts
  extends StatusParts,
    DrainParts,
    TokenParts,
    PeerParts,
    AccountParts,
    EventTargetParts {
  readonly blobsDir: string
  readonly objectReport: () => Promise<ObjectReport>
  readonly snapshotReport: () => Promise<SnapshotReport>
  /** Stores that a bucket's bytes can be in. */
  readonly objectStores: () => readonly string[]
  /** The id of a bucket with bytes on a disk of a rack; null when there are none. */
  readonly bucketOn: RackParts['bucketOn']
  /** Absent: nothing is written down. */
  readonly audit?: OperatorAudit
}

/**
 * Listens on `socket`, mode 0600, in place of a dead gateway's. Throws Conflict for a live one's.
 */
export async function startLocalServer(
  socket: string,
  parts: LocalParts,
): Promise<{ close: () => Promise<void> }> {
  const app = createLocalServer(parts)
  await mkdir(dirname(socket), { recursive: true, mode: 0o755 })
  if (await isAnswered(socket)) {
    throw new MalleeError('Conflict', `another gateway listens on ${socket}, give this one its own`)
  }
  await rm(socket, { force: true })
  await app.listen({ path: socket })
  await chmod(socket, 0o600)
  return { close: () => app.close() }
}

export function createLocalServer(parts: LocalParts): FastifyInstance {
  const app = Fastify({
    bodyLimit: 64 << 10,
    forceCloseConnections: true,
    // What was misspelt is to be said, not left out or guessed.
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false, verbose: true } },
    schemaErrorFormatter: schemaError,
  })
  app.setErrorHandler((error, _request, reply) => {
    // What Fastify itself refuses (no JSON, too large, a field too many) is the caller's doing.
    const isTheirs = Number((error as { statusCode?: number }).statusCode ?? 500) < 500
    const code = codeOf(error) ?? (isTheirs ? 'BadArgument' : 'Unavailable')
    if (codeOf(error) === null && !isTheirs) parts.log.error('local call failed', { error })
    return reply.status(statusOf(code)).send({ code, message: messageOf(error) })
  })
  addAudit(app, parts)
  addOpenApiRoute(app)
  addAccountRoutes(app, parts)
  addKeyRoutes(app, parts)
  addQuotaRoutes(app, parts)
  addTokenRoutes(app, parts)
  addStatusRoute(app, parts)
  addRackRoutes(app, parts)
  addHostRoutes(app, parts)
  addDrainRoutes(app, parts)
  addLoadBalancerRoutes(app, parts)
  addVolumeRoutes(app, parts)
  addBlobRoutes(app, parts)
  addObjectRoutes(app, parts)
  addSnapshotRoutes(app, parts)
  addEventTargetRoutes(app, parts)
  addCloudRoutes(app, parts)
  addPeerRoutes(app, parts)
  addPoolRoutes(app, parts)
  addTypeRoutes(app, parts)
  addVpnRoutes(app, parts)
  addWhyRoutes(app, parts)
  return app
}

function isAnswered(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const caller = connect(socket)
    caller.on('connect', () => {
      caller.destroy()
      resolve(true)
    })
    caller.on('error', () => resolve(false))
  })
}
