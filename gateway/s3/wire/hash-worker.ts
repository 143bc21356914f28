// A thread that hashes large bodies (hash-threads.ts), several at once, each in the order in which
// its bytes come.

import { parentPort } from 'node:worker_threads'
import { type BodyHashes, startHashes } from './body-hashes.ts'
import type { Asked, Told } from './hash-threads.ts'

const bodies = new Map<number, Promise<BodyHashes>>()

parentPort?.on('message', (asked: Asked) => {
  void take(asked).then((told) => parentPort?.postMessage(told))
})

async function take(asked: Asked): Promise<Told> {
  const { id, body } = asked
  if ('wish' in asked) {
    bodies.set(body, startHashes(asked.wish))
    return { id, sums: null }
  }
  const hashes = await bodies.get(body)
  if ('bytes' in asked) {
    hashes?.update(asked.bytes)
    return { id, sums: null }
  }
  bodies.delete(body)
  if (asked.isWhole) return { id, sums: hashes?.end() ?? null }
  hashes?.drop()
  return { id, sums: null }
}
