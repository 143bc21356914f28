// Commands over a session: answers, deadlines, repetitions.

import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { systemClock } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import { silentLog } from '../../common/log.ts'
import { Commands } from '../../proto/commands.ts'
import { type Command, CommandSchema } from '../../proto/gen/mallee/v1/session_pb.js'
import type { RpcServer } from '../../proto/server.ts'
import type { OpenSession } from '../../proto/session.ts'
import type { SessionClient } from '../../proto/session-client.ts'
import { sessionService } from '../../proto/session-server.ts'
import { until } from '../../sandbox/until.ts'
import { type Line, line, makeCloud, startServer } from './cloud.ts'
import { makeClient, TestAgent, TestParent } from './ends.ts'

const cloud = await makeCloud()
const TIMING = { clock: systemClock, log: silentLog, heartbeatMs: 100, leaseMs: 1000 }

function command(id: string, timeoutMs = 2_000): Command {
  const body = { case: 'consoleOutput', value: { instanceId: 'i-1', maxBytes: 10 } } as const
  return create(CommandSchema, { id, timeoutMs, host: 'a-1', body })
}

describe('commands of a session', () => {
  let parent: TestParent
  let agent: TestAgent
  let server: RpcServer
  let wire: Line
  let client: SessionClient

  beforeEach(async () => {
    parent = new TestParent(cloud.name)
    agent = new TestAgent()
    server = await startServer(cloud.gateway, { sessionServices: [sessionService(parent, TIMING)] })
    wire = await line(() => server.sessionPort)
    client = await makeClient(cloud, wire.port, agent)
    client.start()
  })
  afterEach(async () => {
    await client.stop()
    await wire.close()
    await server.close()
  })

  async function session(): Promise<OpenSession> {
    await until('a session', () => parent.sessions.size === 1)
    return parent.sessions.get('a-1') as OpenSession
  }

  test('are answered, each with its own answer', async () => {
    agent.run = async ({ id }) => Buffer.from(`output of ${id}`)
    const open = await session()
    const answers = await Promise.all(['c1', 'c2', 'c3'].map((id) => open.command(command(id))))
    assert.deepEqual(
      answers.map(({ payload }) => Buffer.from(payload).toString()),
      ['output of c1', 'output of c2', 'output of c3'],
    )
  })

  test('bring the code and the sentence of a failure', async () => {
    agent.run = async () => {
      throw new MalleeError('NotFound', 'there is no instance i-1')
    }
    const { errorCode, errorMessage } = await (await session()).command(command('c1'))
    assert.deepEqual([errorCode, errorMessage], ['NotFound', 'there is no instance i-1'])
  })

  test('end with the session that carried them, and are not run twice when asked again', async () => {
    let release = (_: Uint8Array) => {}
    agent.run = () =>
      new Promise((resolve) => {
        release = resolve
      })
    const asked = (await session()).command(command('c1'))
    await until('it runs', () => agent.commands.length === 1)
    wire.cut()
    await assert.rejects(asked, { code: 'Unavailable' })
    release(Buffer.from('late'))
    await until('the session is gone', () => parent.sessions.size === 0)
    const { payload } = await (await session()).command(command('c1'))
    assert.equal(Buffer.from(payload).toString(), 'late')
    assert.deepEqual(agent.commands, ['c1'])
  })

  test('that take too long are given up on both sides', async () => {
    agent.run = () => new Promise(() => {})
    const open = await session()
    // Whichever side notices first.
    const code = await open.command(command('c1', 150)).then(
      ({ errorCode }) => errorCode,
      (error: MalleeError) => error.code,
    )
    assert.equal(code, 'CommandTimeout')
  })

  test('are refused when too many wait', async () => {
    agent.run = () => new Promise(() => {})
    const open = await session()
    const asked = Array.from({ length: 64 }, (_, i) => open.command(command(`c${i}`)))
    for (const one of asked) one.catch(() => undefined)
    await assert.rejects(open.command(command('c99')), { code: 'TooManyRequests' })
    await assert.rejects(open.command(command('c1')), { code: 'TooManyRequests' })
  })
})

test('Commands runs 16 at a time and says so to the next', async () => {
  const commands = new Commands(() => new Promise(() => {}), {
    ...systemClock,
    sleep: () => new Promise(() => {}),
  })
  for (let i = 0; i < 16; i += 1) void commands.answer(command(`c${i}`))
  const { errorCode } = await commands.answer(command('c16'))
  assert.equal(errorCode, 'TooManyRequests')
})

test('Commands keeps the last 64 answers and runs an older one again', async () => {
  let runs = 0
  const commands = new Commands(async () => {
    runs += 1
    return new Uint8Array()
  }, systemClock)
  for (let i = 0; i < 65; i += 1) await commands.answer(command(`c${i}`))
  await commands.answer(command('c64'))
  assert.equal(runs, 65)
  await commands.answer(command('c0'))
  assert.equal(runs, 66)
})

test('Commands refuses to send an answer that is too long', async () => {
  const commands = new Commands(async () => new Uint8Array((1 << 20) + 1), systemClock)
  const { errorCode, payload } = await commands.answer(command('c1'))
  assert.deepEqual([errorCode, payload.length], ['BadMessage', 0])
})
