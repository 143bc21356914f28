// Volumes on the wire: what is told again and again changes only when there is something to tell.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { volumeStore } from '../../../cluster-agent/sc/volumes/messages.ts'

const GIB = 2 ** 30
const FILES = { backend: 'files', snapshots: true }

test('volumeStore tells the same while a disk that it shares with others fills by little', () => {
  const others = [0, 1, 4_096, 70_000_001, 400 * 2 ** 20]
  // A file system of volumes has its own size and what the disk below it has left.
  const told = others.map((bytes) => {
    const [sizeBytes, roomBytes] = [73 * GIB - 1 - bytes, 71 * GIB - 1 - bytes]
    const store = volumeStore('[fd00::1]:3260', { sizeBytes, roomBytes }, FILES)
    return [store.sizeBytes, store.roomBytes]
  })
  assert.equal(new Set(told.map(String)).size, 1)
  const less = { sizeBytes: 70 * GIB, roomBytes: 68 * GIB }
  assert.ok(volumeStore('', less, FILES).roomBytes < (told[0]?.[1] ?? 0n))
})

test('volumeStore never tells more than there is, and nothing of a store without a size', () => {
  for (const [sizeBytes, roomBytes] of [
    [100, 63],
    [GIB + 1, GIB],
  ] as const) {
    const store = volumeStore('', { sizeBytes, roomBytes }, FILES)
    assert.ok(store.sizeBytes <= sizeBytes && store.sizeBytes > sizeBytes * 0.96)
    assert.ok(store.roomBytes <= roomBytes && store.roomBytes > roomBytes - sizeBytes / 32)
  }
  const none = volumeStore('', { sizeBytes: 0, roomBytes: 0 }, FILES)
  assert.deepEqual([none.sizeBytes, none.roomBytes], [0n, 0n])
})
