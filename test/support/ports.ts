// Ports of loopback that nobody listens on, below those that the kernel gives to connections: a
// program that is killed finds its own again.

import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'

const FIRST = 15_000
const END = 32_000
const TRIES = 50

/** `count` different ports of 127.0.0.1. */
export async function freePorts(count: number): Promise<number[]> {
  const found = new Set<number>()
  for (let tries = 0; found.size < count; tries++) {
    if (tries >= TRIES * count) throw new Error('no free port')
    const port = randomInt(FIRST, END)
    if (!found.has(port) && (await isFree(port))) found.add(port)
  }
  return [...found]
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  server.listen(port, '127.0.0.1')
  const listening = await once(server, 'listening').then(
    () => true,
    () => false,
  )
  if (listening) await new Promise((resolve) => server.close(resolve))
  return listening
}
