// A listening endpoint for tests: one account, a few handlers, what it logged.

import { randomUUID } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { systemClock } from '../../../common/clock.ts'
import { MalleeError } from '../../../common/errors.ts'
import type { Fields, Log } from '../../../common/log.ts'
import { ApiError, DRY_RUN_MESSAGE } from '../../../gateway/aws/api-error.ts'
import type { CallContext, Ec2Handlers, StsHandlers } from '../../../gateway/aws/handlers.ts'
import { createApiServer } from '../../../gateway/http/server.ts'
import type { SecretOf } from '../../../gateway/http/sigv4.ts'
import { createMetrics, type Metrics } from '../../../gateway/metrics.ts'
import type { Ending } from '../../support/cloud.ts'

export const REGION = 'mallee-1'
export const KEY = { accessKeyId: 'AKIAMALLEETEST000001', secretAccessKey: 'not/a+secret=at~all' }
export const CALLER = {
  account: '000000000001',
  userArn: 'arn:aws:iam::000000000001:root',
  userId: '000000000001',
  accessKeyId: KEY.accessKeyId,
}

export const secretOf: SecretOf = async (id) =>
  id === KEY.accessKeyId ? { secret: KEY.secretAccessKey, caller: CALLER } : null

/** Handlers that show one way of ending each. */
const ec2: Ec2Handlers = {
  DescribeRegions: (_context, input) => ({
    Regions: [{ RegionName: input.RegionNames?.[0] ?? REGION, Endpoint: 'é <&> \u{1F428}' }],
  }),
  DeleteVpc: (_context, input) => {
    if (input.DryRun === true) throw new ApiError('DryRunOperation', DRY_RUN_MESSAGE, 412)
    return {}
  },
  DescribeVpcs: () => {
    throw new Error('the secret of the cloud')
  },
  DescribeTags: () => {
    throw new MalleeError('StoreFull', 'no space left on device')
  },
  CreateTags: () => {
    throw new MalleeError('StoreUnavailable', 'connection refused')
  },
}
const sts: StsHandlers = {
  GetCallerIdentity: ({ caller }) => ({
    Account: caller.account,
    Arn: caller.userArn,
    UserId: caller.userId,
  }),
}

export interface Line {
  readonly level: string
  readonly event: string
  readonly fields: Fields
}

export interface Endpoint {
  readonly app: ReturnType<typeof createApiServer>
  readonly url: string
  readonly port: number
  readonly lines: readonly Line[]
  readonly contexts: readonly CallContext[]
  readonly metrics: Metrics
}

/** Listens on a free port of 127.0.0.1 until the test ends. */
export async function startEndpoint(
  t: Ending,
  options: Partial<Parameters<typeof createApiServer>[0]> = {},
): Promise<Endpoint> {
  const lines: Line[] = []
  const contexts: CallContext[] = []
  const metrics = createMetrics()
  const app = createApiServer({
    ...{ ec2: { ...ec2, RunInstances: keep(contexts) }, sts, secretOf, region: REGION },
    authorize: async () => undefined,
    ...{ iam: {}, autoscaling: {}, elasticloadbalancing: {} },
    ...{ clock: systemClock, log: recordingLog(lines), metrics, requestId: randomUUID },
    ...options,
  })
  t.after(() => app.close())
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  return { app, url: `http://127.0.0.1:${port}`, port, lines, contexts, metrics }
}

/** A log that appends to `lines`. */
export function recordingLog(lines: Line[], base: Fields = {}): Log {
  const at =
    (level: string) =>
    (event: string, fields: Fields = {}) => {
      lines.push({ level, event, fields: { ...base, ...fields } })
    }
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    with: (fields) => recordingLog(lines, { ...base, ...fields }),
  }
}

/** The audit line of the only call so far that was for `action`. */
export function auditOf(lines: readonly Line[], action: string): Fields {
  const found = lines.filter(({ event, fields }) => {
    return event === 'api call' && fields['action'] === action
  })
  const [line] = found
  if (line === undefined || found.length > 1) throw new Error(`${found.length} calls of ${action}`)
  return line.fields
}

function keep(contexts: CallContext[]): NonNullable<Ec2Handlers['RunInstances']> {
  return (context) => {
    contexts.push(context)
    return { ReservationId: 'r-1', Instances: [] }
  }
}
