// A cloud on loopback: a real gateway in this process, or as a program of its own that can be
// killed, in a folder that goes with the test.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EC2Client } from '@aws-sdk/client-ec2'
import { randomHex, systemClock } from '../../common/clock.ts'
import { silentLog } from '../../common/log.ts'
import { callLocal, type LocalCall } from '../../gateway/cli/client.ts'
import { filesOf, type GatewayConfig, readConfig } from '../../gateway/files.ts'
import { type InitAnswer, initFiles, initState } from '../../gateway/init.ts'
import { type GatewayTiming, openCloud, startGateway } from '../../gateway/main.ts'
import type { State } from '../../gateway/store/state.ts'
import { type Aws, awsCli } from '../../sandbox/aws.ts'
import type { CloudStatus } from '../../sandbox/gateway.ts'
import { until } from '../../sandbox/until.ts'
import { answerChecker, type Checker, type Document } from './document.ts'
import { freePorts } from './ports.ts'

const MALLEE = join(import.meta.dirname, '../../gateway/cli/main.ts')
const REGION = 'mallee-1'
/** Quick enough for tests to wait for a lease, slow enough for two busy processors. */
const TIMING: GatewayTiming = { heartbeatMs: 300, leaseMs: 2_000 }

/** The document is the same for every cloud of a file. */
let checker: Promise<Checker> | null = null

/** Runs a step when the test, or the file, is over: a TestContext or node:test itself. */
export interface Ending {
  readonly after: (step: () => Promise<void>) => void
}

/** The same, but what was begun last ends first. */
export function lastFirst({ after }: Ending): Ending {
  const steps: (() => Promise<void>)[] = []
  after(async () => {
    for (const step of steps.reverse()) await step()
  })
  return { after: (step) => void steps.push(step) }
}

export interface CloudOptions {
  /** A program of its own instead of a part of this one. */
  readonly child?: boolean
  /** A module that the program loads before its own, and which answers to `tell`. */
  readonly preload?: string
  /** SQLite in the cloud's folder when not given. */
  readonly store?: string
  /** Of AWS's rates; calls are not counted when not given. */
  readonly apiRateFactor?: number
  /** An S3 engine for the bytes of objects. */
  readonly objectEngine?: string
  /** Other settings of the gateway. */
  readonly settings?: Partial<GatewayConfig>
  /** Gets the state folder before anything is in it. */
  readonly prepare?: (stateDir: string) => Promise<void>
}

export interface TestCloud {
  readonly dir: string
  readonly config: GatewayConfig
  readonly init: InitAnswer
  readonly aws: Aws
  /** A client that tries once. */
  readonly ec2: () => EC2Client
  readonly local: <T>(call: LocalCall) => Promise<T>
  readonly status: () => Promise<CloudStatus>
  /** Once more, on the same ports; `env` is for a child. */
  readonly start: (env?: Readonly<Record<string, string>>) => Promise<void>
  readonly stop: () => Promise<void>
  /** SIGKILL, for a child. */
  readonly kill: () => Promise<void>
  /** Has the preloaded module do something; resolves with its answer. */
  readonly tell: (message: object) => Promise<unknown>
  /** Resolves when the child has ended by itself. */
  readonly ended: () => Promise<void>
  /** Looks into the store, or changes it, while no gateway runs. */
  readonly withState: <T>(look: (state: State) => Promise<T>) => Promise<T>
  /** Run before the folder is removed, last one first. */
  readonly onEnd: (step: () => Promise<void>) => void
}

interface Running extends Pick<TestCloud, 'stop' | 'kill' | 'tell' | 'ended'> {}

interface Program {
  readonly preload: string | null
  readonly env: Readonly<Record<string, string>>
}

/** A new cloud whose gateway answers. */
export async function startCloud(end: Ending, options: CloudOptions = {}): Promise<TestCloud> {
  const dir = await mkdtemp(join(tmpdir(), 'mallee-cloud-'))
  const config = await makeConfig(dir, options)
  await options.prepare?.(config.stateDir)
  await initFiles({ clock: systemClock }, config.stateDir, 'test')
  const { state, sealer, close } = await openCloud(config, silentLog, { create: true })
  const request = { name: 'test', region: REGION, ipv4Pools: ['10.0.0.0/8'] }
  const parts = { state, sealer, clock: systemClock, randomHex }
  const init = await initState(parts, request).finally(close)
  const { child = false, preload = null } = options
  return runCloud(end, { dir, config, init, child, preload })
}

/** Another gateway of a cloud whose store is shared, as a program: same keys, other ports. */
export async function startSecondGateway(end: Ending, first: TestCloud): Promise<TestCloud> {
  const dir = await mkdtemp(join(tmpdir(), 'mallee-cloud-'))
  // Both need the same disks, as all gateways of a store.
  const objectDirs = [filesOf(first.config.stateDir).objects]
  const { store } = first.config
  const config = await makeConfig(dir, { store, settings: { objectDirs } })
  const [from, to] = [filesOf(first.config.stateDir), filesOf(config.stateDir)]
  await mkdir(config.stateDir)
  for (const name of ['caCertificate', 'caKey', 'masterKey'] as const) {
    await copyFile(from[name], to[name])
  }
  return runCloud(end, { dir, config, init: first.init, child: true, preload: null })
}

async function makeConfig(
  dir: string,
  { store, apiRateFactor = 0, objectEngine = '', settings = {} }: CloudOptions,
): Promise<GatewayConfig> {
  const [apiPort, adminPort, sessionPort, joinPort, peeringPort] = await freePorts(5)
  const ports = { apiPort, adminPort, sessionPort, joinPort, peeringPort }
  const places = { stateDir: join(dir, 'state'), socket: join(dir, 'run/gateway.sock') }
  const given = {
    ...ports,
    ...places,
    listenHost: '127.0.0.1',
    ...{ apiRateFactor, objectEngine },
    ...(store ? { store } : {}),
    ...settings,
  }
  const file = join(dir, 'gateway.json')
  await writeFile(file, JSON.stringify(given))
  return readConfig(file, {}, {})
}

async function runCloud(
  end: Ending,
  made: Pick<TestCloud, 'dir' | 'config' | 'init'> & { child: boolean; preload: string | null },
): Promise<TestCloud> {
  const { dir, config, init, child, preload } = made
  const endpoint = `http://127.0.0.1:${config.apiPort}`
  const endings: (() => Promise<void>)[] = []
  let running: Running | null = null

  const cloud: TestCloud = {
    dir,
    config,
    init,
    aws: awsCli({ endpoint, region: init.region, credentials: init }),
    ec2: () => {
      const { accessKeyId, secretAccessKey } = init
      const credentials = { accessKeyId, secretAccessKey }
      const client = new EC2Client({ endpoint, region: REGION, credentials, maxAttempts: 1 })
      endings.push(async () => client.destroy())
      return client
    },
    local: (call) => checkedCall(config.socket, call),
    status: () => callLocal(config.socket, { method: 'GET', path: '/v1/status' }),
    start: async (env = {}) => {
      running = child ? await startChild(dir, config, { preload, env }) : await startHere(config)
    },
    stop: async () => {
      await running?.stop()
      running = null
    },
    kill: async () => {
      await running?.kill()
      running = null
    },
    tell: async (message) => await running?.tell(message),
    ended: async () => await running?.ended(),
    withState: async (look) => {
      const { state, close } = await openCloud(config, silentLog, { create: false })
      return await look(state).finally(close)
    },
    onEnd: (step) => void endings.push(step),
  }
  end.after(async () => {
    for (const step of endings.reverse()) await step()
    await cloud.stop()
    await rm(dir, { recursive: true, force: true })
  })
  await cloud.start()
  return cloud
}

/** Calls as `mallee` does, and holds the answer against the API's document. */
async function checkedCall<T>(socket: string, call: LocalCall): Promise<T> {
  const document = { method: 'GET', path: '/v1/openapi.json' } as const
  checker ??= callLocal<Document>(socket, document).then(answerChecker)
  const { check } = await checker
  const answer = await callLocal<T>(socket, call)
  await check(call.method, call.path, 200, answer)
  return answer
}

async function startHere(config: GatewayConfig): Promise<Running> {
  const gateway = await startGateway(config, silentLog, TIMING)
  const refuse = () => Promise.reject(new Error('the gateway is in this process'))
  return { stop: gateway.stop, kill: refuse, tell: refuse, ended: refuse }
}

async function startChild(
  dir: string,
  config: GatewayConfig,
  { preload, env }: Program,
): Promise<Running> {
  const logFile = join(dir, 'gateway.log')
  const log = openSync(logFile, 'a', 0o600)
  const more = preload === null ? [] : ['--import', preload]
  const argv = [...more, MALLEE, 'gateway', '--config', join(dir, 'gateway.json')]
  const child = spawn(process.execPath, argv, {
    stdio: ['ignore', log, log, ...(preload === null ? [] : ['ipc' as const])],
    env: { ...process.env, ...env },
  })
  closeSync(log)
  const gone = once(child, 'exit')
  const ended = (): boolean => child.exitCode !== null || child.signalCode !== null
  await until(
    'the gateway answers',
    async () => {
      if (ended()) throw new Error(`the gateway ended: ${await readFile(logFile, 'utf8')}`)
      return await callLocal(config.socket, { method: 'GET', path: '/v1/blobs' }).then(
        () => true,
        () => false,
      )
    },
    { timeoutMs: 20_000 },
  )
  const end = (signal: NodeJS.Signals) => async (): Promise<void> => endChild(child, gone, signal)
  const tell = async (message: object): Promise<unknown> => {
    const answered = once(child, 'message')
    child.send(message)
    return (await answered)[0]
  }
  return { stop: end('SIGTERM'), kill: end('SIGKILL'), tell, ended: async () => void (await gone) }
}

async function endChild(
  child: ChildProcess,
  gone: Promise<unknown>,
  signal: NodeJS.Signals,
): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill(signal)
  await gone
}
