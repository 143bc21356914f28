// The operator's API over a cloud of records, called as on its socket.

import type { FastifyInstance } from 'fastify'
import { randomHex, systemClock } from '../../../common/clock.ts'
import { silentLog } from '../../../common/log.ts'
import { Sessions } from '../../../gateway/federation/sessions.ts'
import { createLocalServer, type LocalParts } from '../../../gateway/local/server.ts'
import type { Ending } from '../../support/cloud.ts'
import type { Cloud } from '../ec2/support.ts'

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

export function localParts(cloud: Cloud, more: Partial<LocalParts> = {}): LocalParts {
  return {
    ...{ state: cloud.state, sessions: new Sessions(), clock: systemClock, randomHex },
    ...{ blobsDir: '/nonexistent', caDigest: '', sealer: { seal: notNeeded, open: notNeeded } },
    ...{ certificateEnds: () => ({ ca: 0, gateway: 0 }), log: silentLog },
    ...more,
  }
}

export function localApi(t: Ending, cloud: Cloud, more: Partial<LocalParts> = {}): LocalApi {
  const app = createLocalServer(localParts(cloud, more))
  t.after(() => app.close())
  return {
    app,
    call: async (method, url, payload) => {
      const answer = await app.inject({ method, url, ...(payload && { payload }) })
      return { status: answer.statusCode, body: answer.json() }
    },
  }
}

function notNeeded(): never {
  throw new Error('no secret is needed here')
}
