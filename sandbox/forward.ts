// Ports of the machine's loopback that lead into a host. Sockets belong to a network namespace but
// socket files do not: a listener here passes each connection to a file, and a process in the host
// (forward-inside.ts) passes it on to the port there.

import { existsSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { systemClock } from '../common/clock.ts'
import { MalleeError } from '../common/errors.ts'
import { splice } from './forward-inside.ts'
import type { SandboxHost } from './host.ts'

const INSIDE = join(import.meta.dirname, 'forward-inside.ts')
const START_MS = 10_000
const POLL_MS = 10

export interface Forward {
  /** The machine's 127.0.0.1:port. */
  readonly port: number
  readonly stop: () => Promise<void>
}

/**
 * Leads 127.0.0.1:`port` (0: any free one) to 127.0.0.1:`insidePort` in the host. Throws Conflict
 * when the port is taken, CommandFailed when the process inside does not start.
 */
export async function forward(
  host: SandboxHost,
  { port, insidePort }: { readonly port: number; readonly insidePort: number },
): Promise<Forward> {
  const socket = join(host.dir, `forward-${insidePort}.sock`)
  const logFile = join(host.dir, `forward-${insidePort}.log`)
  const relay = await host.start([process.execPath, INSIDE, socket, `${insidePort}`], { logFile })
  const deadline = systemClock.nowMs() + START_MS
  while (!existsSync(socket)) {
    if (!relay.running() || systemClock.nowMs() > deadline) {
      throw new MalleeError(
        'CommandFailed',
        `the relay into ${host.name} did not start: ${logFile}`,
      )
    }
    await systemClock.sleep(POLL_MS)
  }
  const server = createServer((client) => splice(client, connect(socket)))
  const taken = await listen(server, port).catch(async (cause: unknown) => {
    await relay.stop()
    throw new MalleeError('Conflict', `port ${port} of 127.0.0.1 is in use`, { cause })
  })
  return {
    port: taken,
    stop: async () => {
      server.close()
      await relay.stop()
    },
  }
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => {
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : port)
    })
  })
}
