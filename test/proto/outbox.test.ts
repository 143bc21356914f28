// What waits to be sent: bounded, in order, held back by a slow reader.

import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { test } from 'node:test'
import { Outbox, type Sink } from '../../proto/outbox.ts'

/** A stream that takes so many frames between two drains. */
class SlowSink extends EventEmitter implements Sink<number> {
  readonly written: number[] = []
  room: number

  constructor(room: number) {
    super()
    this.room = room
  }

  write(frame: number): boolean {
    assert.ok(this.room > 0, 'written to although it said no')
    this.written.push(frame)
    this.room -= 1
    return this.room > 0
  }

  drain(room: number): void {
    this.room = room
    this.emit('drain')
  }
}

test('Outbox writes nothing between a no and the drain, and keeps the order', () => {
  const sink = new SlowSink(2)
  const outbox = new Outbox(sink)
  for (let i = 0; i < 5; i += 1) outbox.push(i)
  assert.deepEqual(sink.written, [0, 1])
  assert.ok(!outbox.idle())
  sink.drain(2)
  assert.deepEqual(sink.written, [0, 1, 2, 3])
  sink.drain(9)
  assert.deepEqual(sink.written, [0, 1, 2, 3, 4])
  assert.ok(outbox.idle())
})

test('Outbox refuses what would wait without bound', () => {
  const outbox = new Outbox(new SlowSink(1))
  assert.throws(() => {
    for (let i = 0; i < 2000; i += 1) outbox.push(i)
  }, /the peer does not read: 1024 frames wait/)
})

test('Outbox is ready when all was taken, and when it is closed', async () => {
  const sink = new SlowSink(1)
  const outbox = new Outbox(sink)
  outbox.push(1)
  let ready = false
  const waiting = outbox.ready().then(() => {
    ready = true
  })
  await Promise.resolve()
  assert.ok(!ready)
  sink.drain(1)
  await waiting
  outbox.push(2)
  const closing = outbox.ready()
  outbox.close()
  await closing
  outbox.push(3)
  assert.deepEqual(sink.written, [1, 2])
})
