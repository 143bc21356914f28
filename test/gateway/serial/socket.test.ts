// One session between a real WebSocket and a host in memory: pace, limits and ends.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { WebSocket, WebSocketServer } from 'ws'
import { type Clock, systemClock } from '../../../common/clock.ts'
import { runSession, type SessionTiming } from '../../../gateway/serial/socket.ts'
import { SerialStream } from '../../../proto/serial-stream.ts'
import { until } from '../../../sandbox/until.ts'
import { framePair } from '../../support/serial-frames.ts'

const HOUR_MS = 3_600_000
const PATIENT: SessionTiming = { pingMs: HOUR_MS, idleMs: HOUR_MS, longestMs: HOUR_MS }
const LOOKS_OFTEN = { ...PATIENT, pingMs: 5 }

async function open(t: TestContext, timing = PATIENT, clock: Clock = systemClock) {
  const http = createServer()
  const server = new WebSocketServer({ server: http, maxPayload: 1 << 20 })
  await once(http.listen(0, '127.0.0.1'), 'listening')
  const user = new WebSocket(`ws://127.0.0.1:${(http.address() as AddressInfo).port}`)
  const [socket] = (await once(server, 'connection')) as [WebSocket]
  await once(user, 'open')
  const [near, far] = framePair()
  const host = new SerialStream(far)
  const session = runSession(socket, new SerialStream(near), clock, timing)
  t.after(async () => {
    user.terminate()
    host.destroy()
    await session.ended
    server.close()
    http.close()
  })
  const closed = once(user, 'close').then(([code, reason]) => [code, String(reason)])
  return { user, host, session, socket, closed }
}

test('bytes pass both ways, and the end says how many', async (t) => {
  const { user, host, session } = await open(t)
  host.pipe(host)
  user.send(Buffer.from('hello'))
  const [back] = await once(user, 'message')
  assert.equal(String(back), 'hello')
  user.close()
  assert.deepEqual(await session.ended, { reason: 'the user left', bytesIn: 5, bytesOut: 5 })
  await until('the host knows', () => host.endedBy === 'the user left')
})

test('a user who does not read holds the host up, and loses nothing', async (t) => {
  const { user, host, socket } = await open(t)
  let heard = 0
  user.on('message', (data: Buffer) => {
    heard += data.length
  })
  user.pause()
  const all = 64 << 20
  host.write(Buffer.alloc(all))
  await until('the host waits', async () => {
    const before = host.carried.sent
    await new Promise((resolve) => setTimeout(resolve, 20))
    return before > 0 && host.carried.sent === before
  })
  assert.ok(host.carried.sent < all / 2, `${host.carried.sent}`)
  assert.ok(socket.bufferedAmount < 1 << 20, `${socket.bufferedAmount}`)
  user.resume()
  await until('all came', () => heard === all, { timeoutMs: 30_000 })
})

test('a host that does not read holds the user up, and loses nothing', async (t) => {
  const { user, host, socket } = await open(t)
  const all = 16 << 20
  for (let n = 0; n < all; n += 1 << 16) user.send(Buffer.alloc(1 << 16))
  await until('the user is not read any more', () => socket.isPaused)
  assert.ok(host.carried.received < 1 << 20)
  host.resume()
  await until('all came', () => host.carried.received === all, { timeoutMs: 30_000 })
})

test('a session that lasts too long ends, and one that nobody uses', async (t) => {
  let nowMs = 0
  const clock = { ...systemClock, nowMs: () => nowMs }
  const timing = { ...LOOKS_OFTEN, idleMs: 20 * 60_000 }
  const idle = await open(t, timing, clock)
  nowMs = timing.idleMs
  assert.deepEqual(await idle.closed, [1008, 'nothing happened for 20 minutes'])
  nowMs = 0
  const long = await open(t, timing, clock)
  nowMs = HOUR_MS
  assert.deepEqual(await long.closed, [1008, 'a session lasts 60 minutes at most'])
})

test('a user who is gone without a word is noticed', async (t) => {
  const { user, session } = await open(t, LOOKS_OFTEN)
  // Reads nothing any more, not even a ping.
  user.pause()
  assert.equal((await session.ended).reason, 'the user does not answer')
})

test('text, the host’s end, and our own end are told in the close frame', async (t) => {
  const text = await open(t)
  text.user.send('text')
  assert.equal((await text.closed)[0], 1003)
  const host = await open(t)
  host.host.why = 'ä'.repeat(100)
  host.host.end('last words')
  const [last] = await once(host.user, 'message')
  assert.equal(String(last), 'last words')
  assert.deepEqual(await host.closed, [1000, 'ä'.repeat(61)])
  const own = await open(t)
  own.session.end(1001, 'the gateway stops')
  assert.deepEqual(await own.closed, [1001, 'the gateway stops'])
  assert.equal((await own.session.ended).reason, 'the gateway stops')
})
