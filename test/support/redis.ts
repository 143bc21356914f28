// A real redis-server of its own for a test: free port on loopback, a folder that goes with it.

import { type ChildProcess, spawn } from 'node:child_process'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { until } from '../../sandbox/until.ts'

export interface TestRedis {
  readonly url: string
  readonly port: number
  /** One command as an operator would give it. */
  readonly command: (name: string, ...args: string[]) => Promise<unknown>
  /** SIGKILL, and waits until it is gone. What is on disk stays. */
  readonly kill: () => Promise<void>
  /** SIGSTOP and, once it is over, SIGCONT: a server that hangs. */
  readonly hangDuring: (step: () => Promise<void>) => Promise<void>
  /** Starts the server again on the same port and folder. */
  readonly restart: () => Promise<void>
  /** Remembers what is on disk now. The server must be idle. */
  readonly remember: () => Promise<void>
  /** SIGKILL, then a start with what was remembered: all later writes are lost. */
  readonly rollBack: () => Promise<void>
  readonly stop: () => Promise<void>
}

export interface TestRedisOptions {
  /** Settings of redis.conf; by default it appends every write to disk, as we ask of operators. */
  readonly settings?: Readonly<Record<string, string>>
}

const DURABLE = { appendonly: 'yes', appendfsync: 'always', 'repl-diskless-sync-delay': '0' }

/** Throws what spawn says (ENOENT) where Redis is not installed. */
export async function startRedis({ settings = {} }: TestRedisOptions = {}): Promise<TestRedis> {
  const folder = await mkdtemp(join(tmpdir(), 'mallee-redis-'))
  const port = await freePort()
  const password = settings['requirepass']
  let server = await serve().catch(async (error: unknown) => {
    await rm(folder, { recursive: true, force: true })
    throw error
  })

  async function serve(): Promise<ChildProcess> {
    const all = {
      bind: '127.0.0.1',
      port: String(port),
      dir: folder,
      save: '',
      ...DURABLE,
      ...settings,
    }
    const config = Object.entries(all).map(([name, value]) => `${name} ${value || '""'}\n`)
    const child = spawn('redis-server', ['-'], { stdio: ['pipe', 'ignore', 'inherit'] })
    let failure: Error | null = null
    child.on('error', (error) => {
      failure = error
    })
    child.stdin.on('error', () => undefined)
    child.stdin.end(config.join(''))
    await until('redis-server answers', async () => {
      if (failure !== null) throw failure
      if (child.exitCode !== null) throw new Error(`redis-server exited ${child.exitCode}`)
      return (await command('PING').catch(() => null)) === 'PONG'
    })
    return child
  }

  async function command(name: string, ...args: string[]): Promise<unknown> {
    const redis = new Redis({
      port,
      ...(password === undefined ? {} : { password }),
      lazyConnect: true,
      retryStrategy: null,
    })
    redis.on('error', () => undefined)
    try {
      await redis.connect()
      return await redis.call(name, ...args)
    } finally {
      redis.disconnect()
    }
  }

  async function kill(): Promise<void> {
    if (server.exitCode !== null || server.signalCode !== null) return
    const gone = new Promise((resolve) => server.once('exit', resolve))
    server.kill('SIGKILL')
    await gone
  }

  const past = `${folder}.past`
  return {
    url: `redis://${password === undefined ? '' : `:${password}@`}127.0.0.1:${port}`,
    port,
    command,
    kill,
    hangDuring: async (step) => {
      server.kill('SIGSTOP')
      try {
        await step()
      } finally {
        server.kill('SIGCONT')
      }
    },
    restart: async () => {
      await kill()
      server = await serve()
    },
    remember: async () => {
      await rm(past, { recursive: true, force: true })
      await cp(folder, past, { recursive: true })
    },
    rollBack: async () => {
      await kill()
      await rm(folder, { recursive: true })
      await cp(past, folder, { recursive: true })
      server = await serve()
    },
    stop: async () => {
      await kill()
      await rm(past, { recursive: true, force: true })
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** A TCP port of loopback that nobody listens on at the moment. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (typeof address === 'object' && address !== null) return address.port
  throw new Error('no free port')
}
