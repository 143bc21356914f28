// Sessions that break: dialling again, silence, slow readers.

import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import type * as grpc from '@grpc/grpc-js'
import { type Clock, systemClock } from '../../common/clock.ts'
import { silentLog } from '../../common/log.ts'
import {
  type SessionRequest,
  SessionRequestSchema,
  type SessionResponse,
  SessionResponseSchema,
  SessionService,
} from '../../proto/gen/mallee/v1/session_pb.js'
import type { RpcServer } from '../../proto/server.ts'
import { serviceDefinition } from '../../proto/service.ts'
import { negotiateProtocol } from '../../proto/session.ts'
import { redialDelayMs, type SessionClient } from '../../proto/session-client.ts'
import { sessionService } from '../../proto/session-server.ts'
import { until } from '../../sandbox/until.ts'
import { hostOf, type Line, line, makeCloud, startServer } from './cloud.ts'
import { makeClient, TestAgent, TestParent, vpc } from './ends.ts'
import { HELLO, openRaw, type RawSession } from './raw-session.ts'

const cloud = await makeCloud()
const identity = await cloud.issue(hostOf(cloud, 'a-1'))
const TIMING = { clock: systemClock, log: silentLog, heartbeatMs: 50, leaseMs: 400 }

for (const [min, max, want] of [
  [1, 1, 1],
  [1, 9, 1],
  [0, 1, 1],
  [2, 3, /speaks protocol 2 to 3, its parent 1: upgrade its parent first/],
  [0, 0, /speaks protocol 0, its parent 1: upgrade the agent first/],
  [3, 2, /speaks protocol 3 to 2/],
] as const) {
  test(`negotiateProtocol with ${min} to ${max} says ${want}`, () => {
    const peer = { minProtocol: min, maxProtocol: max }
    if (typeof want === 'number') assert.equal(negotiateProtocol(peer), want)
    else assert.throws(() => negotiateProtocol(peer), want)
  })
}

test('redialDelayMs spreads agents over a limit that doubles up to 30 seconds', () => {
  const limits = [0, 1, 2, 3, 4, 5, 6, 7, 1000].map((failures) => redialDelayMs(failures, 0.999999))
  assert.deepEqual(limits, [499, 999, 1999, 3999, 7999, 15999, 29999, 29999, 29999])
  assert.equal(redialDelayMs(5, 0), 0)
  assert.equal(redialDelayMs(5, 0.5), 8000)
})

test('SessionClient tries all addresses in turn, with jitter and longer after each round', async () => {
  const naps: number[] = []
  const nobody = await Promise.all([line(() => 1), line(() => 1)])
  const clock: Clock = {
    nowMs: systemClock.nowMs,
    sleep: (ms, signal) => {
      // The wait for a welcome; everything else that sleeps here is a nap between two tries.
      if (ms === 10_000) return systemClock.sleep(ms, signal)
      naps.push(ms)
      return systemClock.sleep(0, signal)
    },
  }
  const dialled = new Set<string>()
  const client: SessionClient = await makeClient(cloud, 0, new TestAgent(), {
    connect: nobody.map(({ port }) => ({ host: '127.0.0.1', port })),
    clock,
    chance: () => {
      dialled.add(client.state().endpoint)
      return 0.5
    },
  })
  client.start()
  await until('eight tries', () => naps.length >= 8)
  await client.stop()
  await Promise.all(nobody.map((one) => one.close()))
  assert.deepEqual(naps.slice(0, 8), [250, 500, 500, 1000, 1000, 2000, 2000, 4000])
  assert.deepEqual(
    [...dialled],
    nobody.map(({ port }) => `127.0.0.1:${port}`),
  )
})

describe('a session at fault', () => {
  let parent: TestParent
  let server: RpcServer
  let wire: Line
  let raw: RawSession | null = null
  let client: SessionClient | null = null

  beforeEach(async () => {
    parent = new TestParent(cloud.name)
    server = await startServer(cloud.gateway, { sessionServices: [sessionService(parent, TIMING)] })
    wire = await line(() => server.sessionPort)
  })
  afterEach(async () => {
    raw?.close()
    await client?.stop()
    raw = null
    client = null
    await wire.close()
    await server.close()
  })

  function open(): RawSession {
    raw = openRaw(wire.port, identity)
    return raw
  }

  test('is refused with both ranges for an agent of another protocol', async () => {
    const session = open()
    session.send({ case: 'hello', value: { ...HELLO.value, minProtocol: 7, maxProtocol: 9 } })
    await until('it is refused', () => session.ended())
    assert.equal(session.error()?.code, 'ProtocolMismatch')
    assert.match(session.error()?.message ?? '', /agent speaks protocol 7 to 9, its parent 1/)
    assert.deepEqual(parent.log, [])
  })

  test('ends at the agent when its parent chooses a protocol that it does not speak', async () => {
    await server.close()
    server = await startServer(cloud.gateway, { sessionServices: [strangeParent({ protocol: 9 })] })
    client = await makeClient(cloud, wire.port, new TestAgent())
    client.start()
    const { trouble } = await client.wait((s) => s.trouble !== null, AbortSignal.timeout(5000))
    assert.equal(trouble?.code, 'ProtocolMismatch')
    assert.match(trouble?.message ?? '', /protocol 9/)
  })

  test('ends at the agent when its parent names intervals that make no sense', async () => {
    await server.close()
    const welcome = { protocol: 1, heartbeatMs: 1, leaseMs: 1 }
    server = await startServer(cloud.gateway, { sessionServices: [strangeParent(welcome)] })
    client = await makeClient(cloud, wire.port, new TestAgent())
    client.start()
    const { trouble } = await client.wait((s) => s.trouble !== null, AbortSignal.timeout(5000))
    assert.equal(trouble?.code, 'BadMessage')
  })

  for (const [what, body] of [
    ['a report', { case: 'report', value: { id: 1n, full: true } }],
    ['an ack', { case: 'ack', value: { generation: 1n } }],
    ['a heartbeat', { case: 'heartbeat', value: {} }],
  ] as const) {
    test(`is refused when it begins with ${what}`, async () => {
      const session = open()
      session.send(body)
      await until('it is refused', () => session.ended())
      assert.equal(session.error()?.code, 'BadMessage')
    })
  }

  test('is refused when the agent says hello twice', async () => {
    const session = open()
    session.send(HELLO)
    session.send(HELLO)
    await until('it is refused', () => session.ended())
    assert.equal(session.error()?.code, 'BadMessage')
  })

  test('counts nothing that the agent says before it is admitted', async () => {
    let admit = () => {}
    parent.holdAdmission = new Promise((resolve) => {
      admit = resolve
    })
    const session = open()
    session.send(HELLO)
    session.send({ case: 'report', value: { id: 1n, full: true } })
    await until('it is refused', () => session.ended())
    admit()
    assert.equal(session.error()?.code, 'BadMessage')
    assert.deepEqual(parent.reports, [])
    assert.equal(parent.sessions.size, 0)
  })

  test('ignores a frame that this version does not know', async () => {
    const session = open()
    session.send(HELLO)
    await until('welcome', () => session.frames.some((one) => one.case === 'welcome'))
    // Field 1000, length-delimited, two bytes: a frame of some later protocol.
    const later = Uint8Array.of(0xc2, 0x3e, 2, 1, 2)
    session.sendMessage(fromBinary(SessionRequestSchema, later))
    session.send({ case: 'report', value: { id: 5n, full: true } })
    await until('the report after it', () =>
      session.frames.some((one) => one.case === 'reportAck' && one.value.id === 5n),
    )
  })

  test('is ended by the parent when the agent falls silent', async () => {
    const session = open()
    session.send(HELLO)
    await until('open', () => parent.sessions.size === 1)
    await until('closed', () => parent.sessions.size === 0)
    await until('told', () => session.ended())
    assert.equal(session.error()?.code, 'Unavailable')
  })

  test('is ended by the agent when its parent falls silent, and dialled again', async () => {
    client = await makeClient(cloud, wire.port, new TestAgent())
    client.start()
    await client.wait((s) => s.connected, AbortSignal.timeout(5000))
    wire.freeze()
    const { trouble } = await client.wait((s) => !s.connected, AbortSignal.timeout(5000))
    assert.match(trouble?.message ?? '', /silent for 400 ms/)
    wire.cut()
    await client.wait((s) => s.connected && s.sessions === 2, AbortSignal.timeout(10_000))
  })

  test('stays open as long as both sides say something', async () => {
    client = await makeClient(cloud, wire.port, new TestAgent())
    client.start()
    await client.wait((s) => s.connected, AbortSignal.timeout(5000))
    const before = wire.sent()
    await systemClock.sleep(3 * TIMING.leaseMs)
    assert.ok(client.connected())
    assert.equal(client.state().sessions, 1)
    assert.ok(wire.sent() > before)
  })

  test('asks the parent for no further update until the agent has acknowledged the last', async () => {
    parent.set(vpc('a'))
    const session = open()
    session.send(HELLO)
    await until('a snapshot', () => session.frames.some((one) => one.case === 'snapshot'))
    for (let i = 0; i < 50; i += 1) {
      parent.set(vpc(`b-${i}`))
      session.send({ case: 'heartbeat', value: {} })
      await systemClock.sleep(2)
    }
    assert.equal(parent.sent.length, 1)
    session.send({ case: 'ack', value: { generation: 2n } })
    await until('one delta', () => session.frames.some((one) => one.case === 'delta'))
    assert.equal(parent.sent.length, 2)
    assert.equal(parent.sent[1]?.generation, 52)
  })

  test('measures how far the two clocks are apart', async () => {
    const ahead: Clock = { ...systemClock, nowMs: () => systemClock.nowMs() + 600_000 }
    client = await makeClient(cloud, wire.port, new TestAgent(), { clock: ahead })
    client.start()
    const { clockSkewMs } = await client.wait(
      (s) => s.clockSkewMs !== null,
      AbortSignal.timeout(5000),
    )
    assert.ok(Math.abs((clockSkewMs ?? 0) + 600_000) < 2_000, `${clockSkewMs}`)
  })
})

/** A parent that welcomes everybody with what the test wants to be said. */
function strangeParent(welcome: { protocol: number; heartbeatMs?: number; leaseMs?: number }) {
  return {
    definition: serviceDefinition(SessionService),
    implementation: {
      session: (call: grpc.ServerDuplexStream<SessionRequest, SessionResponse>) => {
        call.on('error', () => undefined)
        call.on('data', () => undefined)
        call.on('end', () => call.end())
        const value = { heartbeatMs: 1000, leaseMs: 3000, ...welcome }
        const frame = create(SessionResponseSchema, { body: { case: 'welcome', value } })
        call.write(fromBinary(SessionResponseSchema, toBinary(SessionResponseSchema, frame)))
      },
    },
  }
}
