// The way to a rack whose session another gateway has: its addresses are tried in turn, and who is
// not the one that was meant says so.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { randomHex, systemClock } from '../../../common/clock.ts'
import type { Identity } from '../../../common/identity.ts'
import { silentLog } from '../../../common/log.ts'
import { Sessions } from '../../../gateway/federation/sessions.ts'
import { type SerialLines, serialLines } from '../../../gateway/serial/lines.ts'
import type { InstanceRecord, LeaseRecord } from '../../../gateway/store/records.ts'
import type { State } from '../../../gateway/store/state.ts'
import { attachSerial, SerialDesk, serialService } from '../../../proto/serial.ts'
import { SerialStream } from '../../../proto/serial-stream.ts'
import type { RpcServer } from '../../../proto/server.ts'
import { dial } from '../../../proto/service.ts'
import type { OpenSession } from '../../../proto/session.ts'
import { clientCredentials } from '../../../proto/tls.ts'
import { hostOf, makeCloud, startServer } from '../../proto/cloud.ts'
import { freePorts } from '../../support/ports.ts'

const INSTANCE = { id: 'i-1', rack: 'a', host: 'a-1' } as InstanceRecord
const cloud = await makeCloud()
const [closedPort = 0] = await freePorts(1)

interface Gateway {
  readonly lines: SerialLines
  readonly sessions: Sessions
  readonly server: RpcServer
}

let leases: LeaseRecord[] = []
let [one, two, three]: (Gateway | undefined)[] = []

async function startGateway(gateway: string): Promise<Gateway> {
  const desk = new SerialDesk(systemClock)
  const sessions = new Sessions()
  const view = { withPrefix: () => leases }
  const state = { fresh: async () => view } as unknown as State
  const identity = () => cloud.gateway
  const made = { state, sessions, desk, gateway, cloud: cloud.name, identity }
  const lines = serialLines({ ...made, clock: systemClock, randomHex, log: silentLog })
  const sessionServices = [serialService(desk, lines.openFor)]
  return { lines, sessions, server: await startServer(cloud.gateway, { sessionServices }) }
}

before(async () => {
  ;[one, two, three] = await Promise.all(['one', 'two', 'three'].map(startGateway))
  const { sessions, server } = two as Gateway
  const identity = await cloud.issue(hostOf(cloud, 'a-1'))
  const agent = hostOf(cloud, 'a-1')
  // A CC whose guests echo.
  const session: OpenSession = {
    agent,
    close: async () => undefined,
    command: async ({ id, body }) => {
      const name = body.case === 'openSerial' ? body.value.session : ''
      const credentials = clientCredentials(identity, () => true)
      const connection = dial('127.0.0.1', server.sessionPort, credentials)
      const port = new SerialStream(attachSerial(connection, name))
      port.on('close', () => connection.close())
      port.pipe(port)
      const answer = { id, errorCode: '', errorMessage: '', payload: new Uint8Array(), atMs: 0n }
      return { $typeName: 'mallee.v1.CommandResult', ...answer }
    },
  }
  sessions.opened({ rack: 'a', host: 'a-1' }, session, { epoch: 'e', generation: 1 }, 0)
})
after(async () => {
  await Promise.all([one, two, three].map((gateway) => gateway?.server.close()))
})

function lease(gateway: string, ports: readonly number[], renewedAtMs = 2): LeaseRecord {
  const reachedAt = ports.map((port) => ({ host: '127.0.0.1', port }))
  return { rack: 'a', host: 'a-1', gateway, reachedAt, renewedAtMs }
}

test('the address that leads to the gateway is found behind those that do not', async () => {
  const ports = [closedPort, three, two].map((at) =>
    typeof at === 'number' ? at : (at?.server.sessionPort ?? 0),
  )
  leases = [lease('gone', [closedPort], 1), lease('two', ports)]
  const stream = await one?.lines.open(INSTANCE)
  assert.ok(stream)
  stream.write('to and fro')
  const [back] = await stream.take(1).toArray()
  assert.equal(String(back), 'to and fro')
})

test('a gateway that cannot be reached is named', async () => {
  for (const ports of [[], [closedPort], [three?.server.sessionPort ?? 0]]) {
    leases = [lease('two', ports)]
    await assert.rejects((one as Gateway).lines.open(INSTANCE), {
      code: 'RackAway',
      message: 'gateway two has the session of rack a and cannot be reached from here',
    })
  }
  for (const none of [[], [lease('one', [closedPort])]]) {
    leases = none
    const message = 'rack a is not connected'
    await assert.rejects((one as Gateway).lines.open(INSTANCE), { code: 'RackAway', message })
  }
})

test('only gateways of the cloud may ask, for what they mean', async () => {
  const target = { gateway: 'two', rack: 'a', host: 'a-1', instanceId: 'i-1' } as const
  const as = (caller: Identity, change: object = {}) =>
    (two as Gateway).lines.openFor(caller, {
      $typeName: 'mallee.v1.SerialTarget',
      ...target,
      ...change,
    })
  const gateway = { kind: 'gateway', cloud: cloud.name } as const
  await assert.rejects(as(hostOf(cloud, 'a-1')), { code: 'NotAllowed' })
  await assert.rejects(as(gateway, { gateway: 'one' }), { code: 'RackAway' })
  await assert.rejects(as(gateway, { rack: 'b' }), { code: 'RackAway' })
  const frames = await as(gateway)
  frames.end('enough')
})
