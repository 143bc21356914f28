// The bytes of serial consoles between members: who may bring them, how far they run ahead, how a
// session ends.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { afterEach, beforeEach, describe, test } from 'node:test'
import type * as grpc from '@grpc/grpc-js'
import { systemClock } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import type { SerialFrame } from '../../proto/gen/mallee/v1/serial_pb.js'
import { attachSerial, openAtGateway, SerialDesk, serialService } from '../../proto/serial.ts'
import { creditFrame, dataFrame, type Frames, joinFrames } from '../../proto/serial-frames.ts'
import { SerialStream } from '../../proto/serial-stream.ts'
import type { RpcServer } from '../../proto/server.ts'
import { dial } from '../../proto/service.ts'
import { clientCredentials, type TlsIdentity } from '../../proto/tls.ts'
import { until } from '../../sandbox/until.ts'
import { framePair } from '../support/serial-frames.ts'
import { hostOf, makeCloud, startServer } from './cloud.ts'

const cloud = await makeCloud()
const WAIT_MS = 10_000
/** What may be on its way, and what both ends' streams keep. */
const AHEAD = (64 << 10) + (2 << 14)

describe('serial streams over gRPC', () => {
  let desk: SerialDesk
  let server: RpcServer
  let opened: Frames | null
  const connections: grpc.Client[] = []

  beforeEach(async () => {
    desk = new SerialDesk(systemClock)
    opened = null
    const services = [
      serialService(desk, async (_caller, { instanceId }) => {
        if (opened === null) throw new MalleeError('Conflict', `${instanceId} is in use`)
        return opened
      }),
    ]
    server = await startServer(cloud.gateway, { sessionServices: services })
  })
  afterEach(async () => {
    for (const connection of connections.splice(0)) connection.close()
    await server.close()
  })

  function connect(identity: TlsIdentity): grpc.Client {
    const credentials = clientCredentials(identity, () => true)
    const connection = dial('127.0.0.1', server.sessionPort, credentials)
    connections.push(connection)
    return connection
  }

  async function pair(): Promise<{ host: SerialStream; user: SerialStream }> {
    const never = new AbortController().signal
    const awaited = desk.expect('s1', () => true, WAIT_MS, never)
    const identity = await cloud.issue(hostOf(cloud, 'a-1'))
    const host = new SerialStream(attachSerial(connect(identity), 's1'))
    const frames = await awaited
    assert.ok(frames)
    return { host, user: new SerialStream(frames) }
  }

  test('carry everything in order, however the ends read', async () => {
    const { host, user } = await pair()
    const sent = randomBytes(3 << 20)
    let back = Buffer.alloc(0)
    user.on('data', (bytes: Buffer) => {
      back = Buffer.concat([back, bytes])
      // Now and then it does something else.
      if (back.length % 7 !== 0) return
      user.pause()
      setImmediate(() => user.resume())
    })
    host.pipe(host)
    user.write(sent)
    await until('all came back', () => back.length >= sent.length, { timeoutMs: WAIT_MS })
    assert.ok(back.equals(sent))
    user.destroy()
    await once(host, 'close')
  })

  test('run ahead of a reader no further than it allowed, and go on when it reads', async () => {
    const { host, user } = await pair()
    host.write(Buffer.alloc(1 << 20, 'a'))
    await until(
      'it waits',
      () => host.carried.sent === user.carried.received && user.readableLength > 0,
    )
    assert.ok(host.carried.sent <= AHEAD, `${host.carried.sent}`)
    const before = host.carried.sent
    user.write('typed')
    const [typed] = await once(host, 'data')
    assert.equal(String(typed), 'typed')
    assert.equal(host.carried.sent, before)
    user.resume()
    await until('the rest came', () => user.carried.received === 1 << 20)
    user.destroy()
    await once(host, 'close')
  })

  test('tell the other end why they end, after what was sent before', async () => {
    const { host, user } = await pair()
    host.why = 'the guest went home'
    host.end(Buffer.alloc(100_000, 'z'))
    let bytes = 0
    for await (const chunk of user) bytes += (chunk as Buffer).length
    assert.deepEqual([bytes, user.endedBy], [100_000, 'the guest went home'])
    const next = await pair()
    next.user.why = 'the user left'
    next.user.destroy()
    next.host.resume()
    await once(next.host, 'close')
    assert.equal(next.host.endedBy, 'the user left')
  })

  test('end with their connection, and with their server', async () => {
    const { host, user } = await pair()
    user.on('error', () => undefined)
    host.on('error', () => undefined)
    connections[0]?.close()
    host.destroy()
    user.resume()
    await once(user, 'close')
    const next = await pair()
    next.host.resume()
    next.user.resume()
    const ended = once(next.host, 'close')
    await server.close()
    await ended
    assert.equal(next.host.endedBy, 'the server stops')
  })

  test('are taken from whom they are awaited from, and from nobody else', async () => {
    const never = new AbortController().signal
    const isMeant = (peer: { kind: string; host?: string }) => peer.host === 'a-1'
    const awaited = desk.expect('s1', isMeant, WAIT_MS, never)
    const strange = connect(await cloud.issue(hostOf(cloud, 'a-2')))
    const own = connect(await cloud.issue(hostOf(cloud, 'a-1')))
    assert.equal(await refusal(attachSerial(strange, 's1')), 'NotAllowed')
    assert.equal(await refusal(attachSerial(own, 's2')), 'NotFound')
    const stream = new SerialStream(attachSerial(own, 's1'))
    const frames = await awaited
    assert.ok(frames)
    assert.equal(await refusal(attachSerial(own, 's1')), 'NotFound', 'a second time')
    frames.end('enough')
    stream.resume()
    await once(stream, 'close')
  })

  test('are awaited for a while, and until nobody wants them any more', async () => {
    const gone = new AbortController()
    assert.equal(await desk.expect('s1', () => true, 1, gone.signal), null)
    const awaited = desk.expect('s2', () => true, WAIT_MS, gone.signal)
    gone.abort()
    assert.equal(await awaited, null)
    const own = connect(await cloud.issue(hostOf(cloud, 'a-1')))
    assert.equal(await refusal(attachSerial(own, 's2')), 'NotFound')
  })

  test('pass through a gateway that has the session, or its refusal does', async () => {
    const other = connect(cloud.gateway)
    const target = { gateway: 'g', rack: 'a', host: 'a-1', instanceId: 'i-1' }
    await assert.rejects(openAtGateway(other, target), {
      code: 'Conflict',
      message: /i-1 is in use/,
    })
    const [near, far] = framePair()
    opened = near
    const host = new SerialStream(far)
    const user = new SerialStream(await openAtGateway(other, target))
    host.pipe(host)
    user.write('over two')
    const [back] = await once(user, 'data')
    assert.equal(String(back), 'over two')
    user.why = 'the user left'
    user.destroy()
    await once(host, 'close')
    assert.equal(host.endedBy, 'the user left')
  })
})

describe('a peer that does not hold to what it was allowed', () => {
  for (const [what, frames] of [
    ['more bytes than it may', [dataFrame(Buffer.alloc((64 << 10) + 1))]],
    ['no bytes', [dataFrame(new Uint8Array())]],
    ['a credit without measure', [creditFrame(1 << 20), creditFrame(1)]],
  ] as const) {
    test(`is hung up on: ${what}`, async () => {
      const [near, far] = framePair()
      const stream = new SerialStream(near)
      const failed = once(stream, 'error')
      for (const frame of frames) far.send(frame)
      const [error] = await failed
      assert.equal(error.code, 'BadMessage')
    })

    test(`is hung up on by who passes on, which keeps nothing: ${what}`, async () => {
      const [host, nearHost] = framePair()
      const [user, nearUser] = framePair()
      const joined = joinFrames(nearHost, nearUser)
      const heard: SerialFrame[] = []
      user.listen({ frame: (frame) => void heard.push(frame), over: () => undefined })
      host.listen({ frame: () => undefined, over: () => undefined })
      user.send(creditFrame(64 << 10))
      for (const frame of frames) host.send(frame)
      assert.match(await joined, /BadMessage|bytes/)
      const data = heard.filter(({ body }) => body.case === 'data')
      assert.deepEqual(data, [])
    })
  }
})

/** The code that a stream ends with. */
async function refusal(frames: Frames): Promise<string> {
  return await new Promise((resolve) => {
    frames.listen({
      frame: () => undefined,
      over: (error) => resolve(error?.code ?? 'none'),
    })
  })
}
