// The operator's API over a cloud of records, called as on its socket.

import type { FastifyInstance } from 'fastify'
import { randomHex, systemClock } from '../../../common/clock.ts'
import { silentLog } from '../../../common/log.ts'
import { createCa } from '../../../common/pki.ts'
import { Sessions } from '../../../gateway/federation/sessions.ts'
import { createLocalServer, type LocalParts } from '../../../gateway/local/server.ts'
import type { Ending } from '../../support/cloud.ts'
import { answerChecker, type Checker } from '../../support/document.ts'
import { type Cloud, DIGEST } from '../ec2/support.ts'

/** The document says the same in every test of a file. */
let checker: Promise<Checker> | null = null

const { certificatePem: CA } = await createCa({ cloud: 'test', nowMs: systemClock.nowMs() })

export interface Answer {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

export interface LocalApi {
  readonly app: FastifyInstance
  readonly call: (
    method: 'GET' | 'POST' | 'PUT' | 'DELETE',
    url: string,
    payload?: object,
  ) => Promise<Answer>
}

const NO_OBJECTS = {
  ...{ disks: {}, scrubs: {}, damage: [], garbage: 0, usage: null },
  lifecycles: new Map(),
}

export function localParts(cloud: Cloud, more: Partial<LocalParts> = {}): LocalParts {
  return {
    ...{ state: cloud.state, sessions: new Sessions(), clock: systemClock, randomHex },
    ...{ blobsDir: '/nonexistent', caDigest: DIGEST },
    sealer: { seal: notNeeded, open: notNeeded, derive: notNeeded },
    ...{ certificateEnds: () => ({ ca: 0, gateway: 0 }), log: silentLog },
    ...{ objectReport: async () => NO_OBJECTS, objectStores: () => ['local', 'engine'] },
    bucketOn: async () => null,
    snapshotReport: async () => ({ scrub: null, damage: [] }),
    targetState: async () => ({ pending: 0, trouble: null }),
    peering: peeringOf(cloud),
    ...more,
  }
}

export function localApi(t: Ending, cloud: Cloud, more: Partial<LocalParts> = {}): LocalApi {
  const app = createLocalServer(localParts(cloud, more))
  t.after(() => app.close())
  return {
    app,
    call: async (method, url, payload) => {
      checker ??= answerChecker((await app.inject('/v1/openapi.json')).json())
      const answer = await app.inject({ method, url, ...(payload && { payload }) })
      const { statusCode: status } = answer
      const body = answer.json()
      await (await checker).check(method, url, status, body)
      return { status, body }
    },
  }
}

/** A cloud that nobody is connected with. */
function peeringOf({ state }: Cloud): LocalParts['peering'] {
  const joinPlaces = () => [{ host: '192.0.2.7', port: 8775 }] as const
  const inviting = {
    ...{ state, randomHex, joinPlaces, clock: systemClock, log: silentLog, cas: [CA] as const },
    listening: async () => undefined,
  }
  return { inviting, trouble: () => null, tell: async () => false, receipts: async () => [] }
}

function notNeeded(): never {
  throw new Error('no secret is needed here')
}
