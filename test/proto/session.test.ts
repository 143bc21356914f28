// Sessions over real TLS on loopback: the desired state down, reports up.

import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { systemClock } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import { silentLog } from '../../common/log.ts'
import type { RpcServer } from '../../proto/server.ts'
import type { SessionClient } from '../../proto/session-client.ts'
import { sessionService } from '../../proto/session-server.ts'
import { until } from '../../sandbox/until.ts'
import { type Line, line, makeCloud, startServer } from './cloud.ts'
import { hostStatus, makeClient, TestAgent, TestParent, vpc } from './ends.ts'

const cloud = await makeCloud()
const TIMING = { clock: systemClock, log: silentLog, heartbeatMs: 50, leaseMs: 400 }

describe('a session', () => {
  let parent: TestParent
  let agent: TestAgent
  let server: RpcServer
  let wire: Line
  let client: SessionClient
  const others: SessionClient[] = []

  beforeEach(async () => {
    parent = new TestParent(cloud.name)
    agent = new TestAgent()
    server = await startServer(cloud.gateway, { sessionServices: [sessionService(parent, TIMING)] })
    wire = await line(() => server.sessionPort)
    client = await makeClient(cloud, wire.port, agent)
  })
  afterEach(async () => {
    await Promise.all([client, ...others.splice(0)].map((one) => one.stop()))
    await wire.close()
    await server.close()
  })

  async function caughtUp(): Promise<void> {
    await until(
      'the agent holds the newest generation',
      () => agent.generation === parent.generation,
    )
    await until('the parent knows', () => parent.acked === parent.generation)
    assert.deepEqual([...agent.resources.keys()].sort(), [...parent.resources.keys()].sort())
  }

  test('starts with a snapshot and goes on with deltas', async () => {
    parent.set(vpc('a'), vpc('b'))
    client.start()
    await caughtUp()
    parent.set(vpc('c'))
    await caughtUp()
    parent.remove('vpc/a')
    await caughtUp()
    assert.deepEqual(agent.accepted, ['snapshot 2', 'delta 3', 'delta 4'])
    const { connected, epoch, protocol, trouble, clockSkewMs } = client.state()
    assert.deepEqual(
      { connected, epoch, protocol, trouble },
      {
        connected: true,
        epoch: 'e1',
        protocol: 1,
        trouble: null,
      },
    )
    assert.ok(Math.abs(clockSkewMs ?? Infinity) < 1000)
  })

  test('carries a snapshot of 2000 resources in parts and takes it as one', async () => {
    parent.set(...Array.from({ length: 2000 }, (_, i) => vpc(`vpc-${i}`)))
    client.start()
    await caughtUp()
    assert.deepEqual(agent.accepted, ['snapshot 2'])
    assert.equal(agent.resources.size, 2000)
  })

  test('carries a delta of 1200 changes and 1200 removals and takes it as one', async () => {
    parent.set(...Array.from({ length: 1200 }, (_, i) => vpc(`old-${i}`)))
    client.start()
    await caughtUp()
    wire.cut()
    await until('the parent lost it', () => parent.sessions.size === 0)
    for (let i = 0; i < 1200; i += 1) parent.remove(`vpc/old-${i}`)
    parent.set(...Array.from({ length: 1200 }, (_, i) => vpc(`new-${i}`)))
    await caughtUp()
    assert.equal(agent.resources.size, 1200)
    assert.equal(agent.accepted.length, 2)
    assert.match(agent.accepted[1] ?? '', /^delta /)
  })

  test('that breaks is resumed with a delta from what the agent holds', async () => {
    parent.set(vpc('a'))
    client.start()
    await caughtUp()
    wire.cut()
    parent.set(vpc('b'))
    parent.set(vpc('c'))
    await caughtUp()
    assert.deepEqual(parent.log.slice(0, 2), ['hello @0', 'opened a-1'])
    assert.ok(parent.log.includes('hello e1@2'), parent.log.join())
    assert.ok(
      agent.accepted.slice(1).every((one) => one.startsWith('delta')),
      agent.accepted.join(),
    )
  })

  test('that breaks amid a snapshot leaves the old state until all of the new one came', async () => {
    agent.epoch = 'e0'
    agent.generation = 7
    agent.resources.set('vpc/old', vpc('old'))
    parent.set(...Array.from({ length: 30_000 }, (_, i) => vpc(`vpc-${i}`)))
    client.start()
    await until('parts of the snapshot are on the way', () => parent.sent.length === 1)
    wire.cut()
    assert.deepEqual(agent.accepted, [])
    assert.deepEqual([...agent.resources.keys()], ['vpc/old'])
    await caughtUp()
    assert.deepEqual(agent.accepted, ['snapshot 2'])
    assert.equal(parent.sent.length, 2, 'sent once more, from its beginning')
  })

  test('goes on with the next server on the same address after the first was killed', async () => {
    parent.set(vpc('a'))
    client.start()
    await caughtUp()
    wire.cut()
    const closing = server.close()
    await closing
    server = await startServer(cloud.gateway, { sessionServices: [sessionService(parent, TIMING)] })
    parent.set(vpc('b'))
    await caughtUp()
    assert.deepEqual(agent.accepted, ['snapshot 2', 'delta 3'])
  })

  test('asks for a snapshot when the agent refused a delta', async () => {
    parent.set(vpc('a'))
    client.start()
    await caughtUp()
    parent.pretendHeld = 1
    parent.set(vpc('b'))
    await until('a second hello', () => parent.log.filter((l) => l.startsWith('hello')).length > 1)
    await caughtUp()
    assert.deepEqual(agent.accepted, ['snapshot 2', 'refused delta 3', 'snapshot 3'])
    assert.ok(parent.log.filter((one) => one === 'hello @0').length === 2)
  })

  test('never takes an older generation of the same epoch, however often it is offered', async () => {
    agent.epoch = 'e1'
    agent.generation = 50
    agent.resources.set('vpc/kept', vpc('kept'))
    parent.set(vpc('a'))
    client.start()
    await until('it was offered twice', () => agent.accepted.length >= 2)
    assert.ok(agent.accepted.every((one) => one.startsWith('refused')))
    assert.deepEqual([...agent.resources.keys()], ['vpc/kept'])
    const { trouble } = await client.wait((s) => s.trouble !== null, AbortSignal.timeout(5000))
    assert.equal(trouble?.code, 'StaleGeneration')
  })

  test('begins anew when the parent comes into another epoch', async () => {
    parent.set(vpc('a'), vpc('b'))
    client.start()
    await caughtUp()
    parent.theEpoch = 'e2'
    parent.generation = 0
    parent.remove('vpc/a')
    await until('a snapshot of the new epoch', () => agent.epoch === 'e2')
    assert.deepEqual(agent.accepted, ['snapshot 2', 'snapshot 1'])
    assert.deepEqual([...agent.resources.keys()], ['vpc/b'])
  })

  test('folds what changes while the agent is slow', async () => {
    client.start()
    await caughtUp()
    let release = () => {}
    agent.hold = new Promise((resolve) => {
      release = resolve
    })
    for (let i = 0; i < 100; i += 1) parent.set(vpc('hot', `10.0.${i}.0/24`))
    await until('one update is on its way', () => parent.sent.length === 2)
    for (let i = 0; i < 100; i += 1) {
      parent.set(vpc('hot', `10.1.${i}.0/24`))
      await systemClock.sleep(1)
    }
    release()
    await caughtUp()
    assert.equal(agent.accepted.length, 3, agent.accepted.join())
  })

  test('reports everything first, then the last word on each change', async () => {
    agent.all = [hostStatus('a-1'), hostStatus('a-2')]
    let release = () => {}
    parent.holdReports = new Promise((resolve) => {
      release = resolve
    })
    client.start()
    await until('the first report', () => parent.reports.length === 1)
    for (const trouble of ['one', 'two', 'three']) agent.say(hostStatus('a-1', trouble))
    release()
    await until('the second report', () => parent.reports.length === 2)
    assert.deepEqual(parent.reports, [
      { full: true, keys: ['host/a-1', 'host/a-2'], troubles: ['', ''] },
      { full: false, keys: ['host/a-1'], troubles: ['three'] },
    ])
  })

  test('reports everything again after it broke with a report under way', async () => {
    client.start()
    await until('the first report', () => parent.reports.length === 1)
    parent.holdReports = new Promise(() => {})
    agent.say(hostStatus('a-1', 'lost?'))
    await until('the second report', () => parent.reports.length === 2)
    agent.all = [hostStatus('a-1', 'lost?')]
    parent.holdReports = Promise.resolve()
    wire.cut()
    await until('the third report', () => parent.reports.length === 3)
    assert.deepEqual(parent.reports[2], { full: true, keys: ['host/a-1'], troubles: ['lost?'] })
  })

  test('carries a report of 3000 statuses as one', async () => {
    agent.all = Array.from({ length: 3000 }, (_, i) => hostStatus(`h-${i}`))
    client.start()
    await until('the report', () => parent.reports.length === 1)
    assert.equal(parent.reports[0]?.keys.length, 3000)
  })

  test('is not opened for an agent that the parent does not admit', async () => {
    parent.refuse = new MalleeError('HostNotFound', 'host a-1 is not of this cloud')
    client.start()
    const { trouble } = await client.wait((s) => s.trouble !== null, AbortSignal.timeout(5000))
    assert.deepEqual(trouble, { code: 'HostNotFound', message: 'host a-1 is not of this cloud' })
    assert.ok(!parent.log.includes('opened a-1'))
  })

  test('of the same agent ends its older one', async () => {
    client.start()
    await until('the first is open', () => parent.sessions.size === 1)
    wire.freeze()
    const twin = await makeClient(cloud, server.sessionPort, agent)
    others.push(twin)
    twin.start()
    await until('the second is open', () => twin.connected())
    const opened = parent.log.filter((one) => /opened|closed/.test(one))
    assert.deepEqual(opened.slice(0, 3), ['opened a-1', 'closed a-1', 'opened a-1'])
  })

  test('ends its iteration of the desired state when it ends', async () => {
    client.start()
    await caughtUp()
    await client.stop()
    await until('it is ended', () => parent.log.includes('desired ended'))
    assert.equal(parent.sessions.size, 0)
  })

  test('said goodbye to is dialled again and counts as no failure', async () => {
    client.start()
    await until('it is open', () => parent.sessions.size === 1)
    await parent.sessions.get('a-1')?.close('the gateway is upgraded')
    assert.equal(client.state().failures, 0)
    await client.wait((s) => s.sessions === 2 && s.connected, AbortSignal.timeout(5000))
    assert.equal(client.state().failures, 0)
  })
})
