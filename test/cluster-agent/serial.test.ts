// Serial consoles at an agent: who gets a port, how many, and when it is free again.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type Duplex, duplexPair } from 'node:stream'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import type * as grpc from '@grpc/grpc-js'
import { type AgentSerial, agentSerial } from '../../cluster-agent/serial.ts'
import { randomHex, systemClock } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import { silentLog } from '../../common/log.ts'
import { CommandSchema, OpenSerialSchema } from '../../proto/gen/mallee/v1/session_pb.js'
import { SerialDesk, serialService } from '../../proto/serial.ts'
import { SerialStream } from '../../proto/serial-stream.ts'
import type { RpcServer } from '../../proto/server.ts'
import { dial } from '../../proto/service.ts'
import { clientCredentials } from '../../proto/tls.ts'
import { until } from '../../sandbox/until.ts'
import { hostOf, makeCloud, startServer } from '../proto/cloud.ts'

const cloud = await makeCloud()
const identity = await cloud.issue(hostOf(cloud, 'a-1'))
const WAIT_MS = 10_000
const MAX_SESSIONS = 32
/** Seconds go by in milliseconds. */
const quickClock = {
  ...systemClock,
  sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(ms / 1000, signal),
}

describe('agentSerial', () => {
  let desk: SerialDesk
  let server: RpcServer
  let connection: grpc.Client | null
  let agent: AgentSerial
  /** The guests' ends. */
  let guests: Duplex[]
  let trouble: MalleeError | null

  beforeEach(async () => {
    desk = new SerialDesk(systemClock)
    server = await startServer(cloud.gateway, { sessionServices: [serialService(desk, null)] })
    const credentials = clientCredentials(identity, () => true)
    connection = dial('127.0.0.1', server.sessionPort, credentials)
    guests = []
    trouble = null
    agent = agentSerial({
      ...{ rack: 'a', host: 'a-1', nodes: null, clock: quickClock, log: silentLog },
      connection: () => connection,
      port: async () => {
        if (trouble !== null) throw trouble
        const [port, guest] = duplexPair()
        guests.push(guest)
        port.on('close', () => guest.destroy())
        return port
      },
    })
  })
  afterEach(async () => {
    await agent.close()
    connection?.close()
    await server.close()
  })

  async function open(instanceId: string, host = 'a-1'): Promise<SerialStream> {
    const session = randomHex(16)
    const refused = new AbortController()
    const brought = desk.expect(session, () => true, WAIT_MS, refused.signal)
    const wish = create(OpenSerialSchema, { instanceId, session })
    const body = { case: 'openSerial', value: wish } as const
    try {
      await agent.open(create(CommandSchema, { id: session, host, body }), wish)
    } catch (error) {
      refused.abort()
      throw error
    }
    const frames = await brought
    assert.ok(frames)
    return new SerialStream(frames)
  }

  test('gives a port to one user, and to the next one when that left', async () => {
    const first = await open('i-1')
    await assert.rejects(open('i-1'), { code: 'Conflict', message: /i-1 is in use/ })
    const other = await open('i-2')
    first.destroy()
    await until('the port is free', () => guests[0]?.destroyed === true)
    const next = await open('i-1')
    guests[2]?.write('hello')
    assert.equal(String((await once(next, 'data'))[0]), 'hello')
    other.destroy()
    next.destroy()
  })

  test('ends the session of who reads nothing, and never holds its guest up for long', async () => {
    const user = await open('i-1')
    const guest = guests[0] as Duplex
    guest.resume()
    let said = 0
    const speak = (): void => {
      while (!guest.destroyed && guest.write(Buffer.alloc(1024))) said += 1024
    }
    guest.on('drain', speak)
    speak()
    await until('the guest was let go', () => guest.destroyed)
    assert.ok(said < 1 << 20, `${said} bytes were kept`)
    for await (const _ of user) void _
    assert.equal(user.endedBy, 'nobody read the console for 10 s')
    const next = await open('i-1')
    next.destroy()
  })

  test('does not take a slow reader for none', async () => {
    const user = await open('i-1')
    const guest = guests[0] as Duplex
    guest.write(Buffer.alloc(1 << 20))
    let heard = 0
    while (heard < 1 << 20) {
      const chunk = user.read(16 << 10) as Buffer | null
      heard += chunk?.length ?? 0
      await systemClock.sleep(2)
    }
    assert.equal(guest.destroyed, false)
    user.destroy()
  })

  test('refuses what it cannot do, and keeps no port for it', async () => {
    await assert.rejects(open('i-1', 'a-9'), { code: 'HostNotFound' })
    const wish = create(OpenSerialSchema, { instanceId: 'i-1', session: '../x' })
    const command = create(CommandSchema, { id: 'c', host: 'a-1' })
    await assert.rejects(agent.open(command, wish), { code: 'BadMessage' })
    trouble = new MalleeError('NotFound', 'i-1 does not run')
    await assert.rejects(open('i-1'), { code: 'NotFound' })
    trouble = null
    const known = connection
    connection = null
    await assert.rejects(open('i-1'), { code: 'Unavailable' })
    await until('its port is free', () => guests.every((guest) => guest.destroyed))
    connection = known
    const user = await open('i-1')
    user.destroy()
  })

  test('has so many sessions at once and no more, and ends all with a word', async () => {
    const users: SerialStream[] = []
    for (let n = 0; n < MAX_SESSIONS; n += 1) users.push(await open(`i-${n}`))
    await assert.rejects(open('i-x'), {
      code: 'TooManyRequests',
      message: /has 32 serial consoles/,
    })
    users.pop()?.destroy()
    await until('one left', () => guests.at(-1)?.destroyed === true)
    users.push(await open('i-x'))
    await agent.close()
    for (const user of users) {
      user.resume()
      await until('it ended', () => user.closed)
      assert.equal(user.endedBy, 'the agent of host a-1 stops')
    }
    assert.ok(guests.every((guest) => guest.destroyed))
  })
})
