// A world: the plan's hosts and network with a gateway and racks that joined it, made only of the
// programs, flags and clients that an operator and a user have.

import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { systemClock } from '../common/clock.ts'
import { MalleeError, messageOf } from '../common/errors.ts'
import { exec } from '../common/exec.ts'
import type { Log } from '../common/log.ts'
import { ADMIN_PORT, API_PORT } from '../common/ports.ts'
import { type Aws, type AwsTarget, awsCli } from './aws.ts'
import { type Claim, claimWorld } from './claim.ts'
import { type Forward, forward } from './forward.ts'
import { SandboxGateway } from './gateway.ts'
import { GuestShell } from './guest.ts'
import type { SandboxHost } from './host.ts'
import { PUBLIC_LAN, publicAddress, uplinkOf } from './net.ts'
import { GATEWAY, type WorldPlan } from './plan.ts'
import { joinRack, missingOf } from './racks.ts'
import { until } from './until.ts'
import { wire } from './wiring.ts'

const ROOT = join(import.meta.dirname, '..')
const IMAGES = join(ROOT, '.cache/guest')
const IMAGE_BUILD_MS = 600_000
const CONNECT_MS = 60_000
const LOG_TAIL_LINES = 25

export interface WorldOptions {
  readonly log: Log
  /** One line for people for each thing that is done. */
  readonly progress: (line: string) => void
  /** Ends the start; what was made is removed. */
  readonly signal?: AbortSignal
}

export interface World {
  readonly plan: WorldPlan
  /** Throws HostNotFound. */
  readonly host: (name: string) => SandboxHost
  readonly gateway: SandboxGateway
  readonly target: AwsTarget
  readonly aws: Aws
  /** The gateway's admin endpoint: health, metrics, console. */
  readonly adminUrl: string
  /** The guest image's id, ready for RunInstances. */
  readonly imageId: string
  /** The guest image's file on this machine. */
  readonly imageFile: string
  /** The folder of an instance on its host. Throws NotFound when no host has it. */
  readonly instanceDir: (instanceId: string) => string
  /** The name of the host that has an instance. Throws NotFound when none has. */
  readonly hostOf: (instanceId: string) => string
  /** The underlay addresses of the racks' edges, IPv4 and IPv6. */
  readonly rackUplinks: () => string[]
  /** What an instance's console said so far. */
  readonly consoleLog: (instanceId: string) => Promise<string>
  /** The shell at an instance's console; close it after use. */
  readonly shell: (instanceId: string) => Promise<GuestShell>
  /** Removes everything. */
  readonly stop: () => Promise<void>
}

/** Needs root. Throws what went wrong after removing all; programs' last words are in the error. */
export async function startWorld(plan: WorldPlan, options: WorldOptions): Promise<World> {
  const claim = await claimWorld(plan.world)
  const made: Made = { hosts: new Map(), forwards: [], imageBuilt: Promise.resolve('') }
  try {
    return await build(plan, options, claim, made)
  } catch (error) {
    const aborted = options.signal?.aborted === true
    const last = aborted ? '' : await lastWords(claim.dir)
    await remove(claim, made)
    if (aborted) throw error
    throw new MalleeError('CommandFailed', `${messageOf(error)}${last}`, { cause: error })
  }
}

interface Made {
  hosts: Map<string, SandboxHost>
  readonly forwards: Forward[]
  imageBuilt: Promise<string>
}

async function build(
  plan: WorldPlan,
  { log, progress, signal }: WorldOptions,
  claim: Claim,
  made: Made,
): Promise<World> {
  const begunMs = systemClock.nowMs()
  const say = (line: string): void => {
    signal?.throwIfAborted()
    progress(`${seconds(begunMs)} ${line}`)
  }
  made.imageBuilt = buildImage(say)
  // Waited for later; until then its failure is nobody's.
  made.imageBuilt.catch(() => undefined)

  made.hosts = await wire(plan, log)
  const host = (name: string): SandboxHost => hostOf(made.hosts, name)
  say(`${made.hosts.size} hosts are up, each in namespaces of its own`)

  const gateway = await SandboxGateway.create(host(GATEWAY), plan.world, plan.region)
  const api = await forward(gateway.host, { port: plan.apiPort, insidePort: API_PORT })
  made.forwards.push(api)
  const admin = await forward(gateway.host, { port: plan.adminPort, insidePort: ADMIN_PORT })
  made.forwards.push(admin)
  const endpoint = `http://127.0.0.1:${api.port}`
  say(`the gateway answers at ${endpoint}`)

  await offerPublicAddresses(plan, gateway, host('internet'))
  const parts = { gateway, hosts: made.hosts, progress: say }
  await Promise.all(plan.racks.map((rack) => joinRack(parts, plan, rack)))
  await connected(plan, gateway, signal)
  say('all hosts are connected, and tunnels between all racks have shaken hands')

  const target = { endpoint, region: plan.region, credentials: gateway.credentials }
  const aws = awsCli(target)
  const imageFile = await made.imageBuilt
  const imageId = await registerImage(gateway, aws, imageFile)
  say(`the guest image is registered as ${imageId}`)

  const instanceDir = (id: string): string =>
    join(hostWith(made.hosts, id).stateDir, 'instances', id)
  return {
    plan,
    host,
    gateway,
    target,
    aws,
    adminUrl: `http://127.0.0.1:${admin.port}`,
    imageId,
    imageFile,
    instanceDir,
    hostOf: (id) => hostWith(made.hosts, id).name,
    rackUplinks: () => plan.racks.flatMap((_, index) => uplinkAddresses(index + 2)),
    consoleLog: async (id) => readFile(join(instanceDir(id), 'console.log'), 'utf8'),
    shell: async (id) => GuestShell.open(join(instanceDir(id), 'console.sock')),
    stop: () => remove(claim, made),
  }
}

/** Builds the guest image unless it lies there; the script says what it does. */
async function buildImage(say: (line: string) => void): Promise<string> {
  const file = join(IMAGES, 'guest.raw')
  if (!existsSync(file)) say('building the guest image (once; about a minute)')
  const script = join(ROOT, 'setup/guest-image.sh')
  await exec(['bash', script, IMAGES], { timeoutMs: IMAGE_BUILD_MS })
  return file
}

/** A pool of public addresses, and the internet's route to the tenants' IPv6 prefix. */
async function offerPublicAddresses(
  plan: WorldPlan,
  gateway: SandboxGateway,
  internet: SandboxHost,
): Promise<void> {
  const { pool, router4, bridge } = PUBLIC_LAN
  const taken = [router4, ...plan.racks.map((_, index) => publicAddress(index + 1))]
  await gateway.mallee(['pool', 'create', '--cidr', pool, '--exclude', taken.join(',')])
  const { ipv6Pool } = await gateway.status()
  await internet.exec(['ip', '-6', 'route', 'add', ipv6Pool, 'dev', bridge])
}

export async function connected(
  plan: Pick<WorldPlan, 'racks'>,
  gateway: SandboxGateway,
  signal: AbortSignal | undefined,
): Promise<void> {
  let missing: string[] = []
  const holds = async (): Promise<boolean> => {
    missing = missingOf(plan, await gateway.status())
    return missing.length === 0
  }
  const options = {
    timeoutMs: CONNECT_MS,
    everyMs: 200,
    ...(signal === undefined ? {} : { signal }),
  }
  await until('all racks are connected', holds, options).catch((error: unknown) => {
    throw new MalleeError('CommandTimeout', `${messageOf(error)}: ${missing.join(', ')}`)
  })
}

export async function registerImage(
  gateway: SandboxGateway,
  aws: Aws,
  file: string,
): Promise<string> {
  const name = 'mallee-guest'
  // The gateway's host sees the machine's files.
  await gateway.mallee(['image', 'import', file, '--name', name])
  const location = ['--image-location', name]
  const answer = await aws(['ec2', 'register-image', '--name', name, ...location])
  return (answer as { ImageId: string }).ImageId
}

async function remove(claim: Claim, made: Made): Promise<void> {
  await made.imageBuilt.catch(() => undefined)
  for (const one of made.forwards) await one.stop()
  await Promise.all([...made.hosts.values()].map((host) => host.kill()))
  await claim.release()
}

export function hostOf(hosts: ReadonlyMap<string, SandboxHost>, name: string): SandboxHost {
  const host = hosts.get(name)
  if (host !== undefined) return host
  throw new MalleeError('HostNotFound', `there is no host ${name}, only ${[...hosts.keys()]}`)
}

export function hostWith(hosts: ReadonlyMap<string, SandboxHost>, id: string): SandboxHost {
  for (const host of hosts.values()) {
    if (existsSync(join(host.stateDir, 'instances', id))) return host
  }
  throw new MalleeError('NotFound', `no host has the instance ${id}`)
}

/** The ends of all logs in a world's folder, for the error that ends it. */
async function lastWords(dir: string): Promise<string> {
  const files = await readdir(dir, { recursive: true }).catch(() => [])
  const parts: string[] = []
  for (const file of files.filter((one) => one.endsWith('.log')).sort()) {
    const text = await readFile(join(dir, file), 'utf8').catch(() => '')
    const lines = text.trimEnd().split('\n').slice(-LOG_TAIL_LINES)
    if (text !== '') parts.push(`\n---- ${file}\n${lines.join('\n')}`)
  }
  return parts.join('')
}

function seconds(sinceMs: number): string {
  return `${((systemClock.nowMs() - sinceMs) / 1000).toFixed(1).padStart(6)} s `
}

function uplinkAddresses(site: number): string[] {
  const { ipv4, ipv6 } = uplinkOf(site)
  return [ipv4, ipv6]
}
