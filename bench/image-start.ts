// How soon an instance of a large image speaks, with the image on its host and without, against
// copying the image as Eucalyptus did: downloaded whole, then copied for each instance.

import { randomBytes } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { readdir, readFile, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { EC2Client } from '@aws-sdk/client-ec2'
import { machineFiles } from '../cluster-agent/host/qemu.ts'
import type { SandboxHost, Started } from '../sandbox/host.ts'
import { uplinkOf } from '../sandbox/net.ts'
import { GATEWAY } from '../sandbox/plan.ts'
import type { World } from '../sandbox/world.ts'
import { type Emit, median } from './harness.ts'
import {
  clientOf,
  firstLine,
  folderOf,
  imageIsWhole,
  imagesOf,
  launch,
  terminate,
} from './instances.ts'
import { type BareQemu, bareQemu } from './peers/qemu.ts'
import { planOf, say, withWorld } from './worlds.ts'

const BENCH = 'image-start'
const ROUNDS = 3
const IMAGE_BYTES = 2 * 2 ** 30
const PIECE_BYTES = 4 << 20
const NAME = 'large'
const HTTP_PORT = 8099
const HOST = 'a1'
const COPY_MS = 600_000
/** Against copying: an instance must not wait for what it does not read. */
const GOAL = { cached: 0.5, coming: 0.3 }
const PLAN = planOf('bench-images', [
  { name: 'a', joinsOver: 'ipv4', hosts: [{ name: HOST, roles: ['cc', 'nc'] }] },
])

interface Round {
  readonly comingMs: number
  readonly wholeMs: number
  readonly cachedMs: number
  readonly downloadMs: number
  readonly copyMs: number
  readonly bareMs: number
}

export function run(emit: Emit): Promise<void> {
  return withWorld(PLAN, async (world, signal) => {
    const client = clientOf(world)
    const file = await largeImage(world)
    say(`an image of ${IMAGE_BYTES / 2 ** 30} GiB is made and being imported`)
    const imageId = await imported(world, file)
    const server = await serveFiles(world.host(GATEWAY), dirname(file))
    try {
      const parts = { world, client, imageId, signal }
      const bare = await bareOf(parts)
      const rounds: Round[] = []
      for (let round = 1; round <= ROUNDS; round++) {
        const one = await oneRound(parts, bare)
        rounds.push(one)
        const ms = Object.entries(one).map(([name, value]) => `${name} ${value.toFixed(0)}`)
        say(`round ${round} of ${ROUNDS}: ${ms.join(', ')}`)
      }
      report(emit, rounds)
    } finally {
      client.destroy()
      await server.stop()
    }
  })
}

interface Parts {
  readonly world: World
  readonly client: EC2Client
  readonly imageId: string
  readonly signal: AbortSignal
}

async function oneRound(parts: Parts, bare: BareQemu): Promise<Round> {
  const { world, client, imageId, signal } = parts
  await forgetImage(world)
  const startedMs = performance.now()
  const coming = await launch(world, HOST, client, signal, imageId)
  await imageIsWhole(world, HOST, signal)
  const wholeMs = performance.now() - startedMs
  await terminate(client, coming.id, signal)
  const cached = await launch(world, HOST, client, signal, imageId)
  await terminate(client, cached.id, signal)

  const host = world.host(HOST)
  const { downloaded, copy } = copiesOn(host)
  const url = `http://${uplinkOf(1).ipv4}:${HTTP_PORT}/${NAME}.raw`
  const downloadMs = await timed(async () => {
    await host.exec(['curl', '-fsS', '-o', downloaded, url], { timeoutMs: COPY_MS })
  })
  const copyMs = await timed(async () => {
    await host.exec(['cp', '--sparse=never', downloaded, copy], { timeoutMs: COPY_MS })
  })
  await bare.prepare()
  const bareStartedMs = performance.now()
  const qemu = await bare.start()
  const bareMs = await firstLine(bare.consoleLog, bareStartedMs, signal)
  await qemu.stop()
  for (const one of [downloaded, copy]) await rm(one)
  const { firstLineMs: comingMs } = coming
  return { comingMs, wholeMs, cachedMs: cached.firstLineMs, downloadMs, copyMs, bareMs }
}

function report(emit: Emit, rounds: readonly Round[]): void {
  const of = (ms: (round: Round) => number): number => Number(median(rounds.map(ms)).toFixed(0))
  const line = { bench: BENCH, unit: 'ms', higher_is_better: false }
  emit({
    ...line,
    case: 'first line of an instance, image on its host',
    value: of(({ cachedMs }) => cachedMs),
    peer: 'a copy of the image, then QEMU by hand',
    peer_value: of(({ copyMs, bareMs }) => copyMs + bareMs),
    goal: GOAL.cached,
  })
  emit({
    ...line,
    case: 'first line of an instance, image still to come',
    value: of(({ comingMs }) => comingMs),
    peer: 'a download and a copy, then QEMU by hand',
    peer_value: of(({ downloadMs, copyMs, bareMs }) => downloadMs + copyMs + bareMs),
    goal: GOAL.coming,
  })
  emit({
    ...line,
    case: 'until the whole image is on the host, its instance running meanwhile',
    value: of(({ wholeMs }) => wholeMs),
    peer: 'curl, which checks nothing',
    peer_value: of(({ downloadMs }) => downloadMs),
  })
}

/** The guest image, and behind it what nothing compresses and no boot reads. */
async function largeImage({ host }: World): Promise<string> {
  const guest = join(import.meta.dirname, '../.cache/guest/guest.raw')
  const file = join(host(GATEWAY).dir, `${NAME}.raw`)
  await pipeline(createReadStream(guest), createWriteStream(file))
  const { size } = await stat(file)
  const noise = async function* (): AsyncGenerator<Buffer> {
    for (let at = size; at < IMAGE_BYTES; at += PIECE_BYTES) {
      yield randomBytes(Math.min(PIECE_BYTES, IMAGE_BYTES - at))
    }
  }
  await pipeline(Readable.from(noise()), createWriteStream(file, { flags: 'a' }))
  return file
}

async function imported({ gateway, aws }: World, file: string): Promise<string> {
  await gateway.mallee(['image', 'import', file, '--name', NAME])
  const args = ['--name', NAME, '--image-location', NAME]
  const answer = await aws(['ec2', 'register-image', ...args])
  return (answer as { ImageId: string }).ImageId
}

/** An HTTP server with a folder's files, as Walrus was one. */
function serveFiles(host: SandboxHost, folder: string): Promise<Started> {
  const argv = ['python3', '-m', 'http.server', `${HTTP_PORT}`, '--directory', folder]
  return host.start(argv, { logFile: join(host.dir, 'http.log') })
}

/** QEMU as an agent starts it, on a disk over a copy of the image. */
async function bareOf({ world, client, imageId, signal }: Parts): Promise<BareQemu> {
  const first = await launch(world, HOST, client, signal, imageId)
  await imageIsWhole(world, HOST, signal)
  await terminate(client, first.id, signal)
  const warm = await launch(world, HOST, client, signal, imageId)
  const { pid } = machineFiles(folderOf(world, HOST, warm.id))
  const host = world.host(HOST)
  const diskGib = IMAGE_BYTES / 2 ** 30
  const image = { file: copiesOn(host).copy, diskGib }
  const bare = await bareQemu(host, (await readFile(pid, 'utf8')).trim(), image)
  await terminate(client, warm.id, signal)
  return bare
}

function copiesOn({ dir }: SandboxHost): { readonly downloaded: string; readonly copy: string } {
  return { downloaded: join(dir, 'downloaded.raw'), copy: join(dir, 'copy.raw') }
}

/** Takes the image from the host, on which no instance has it. */
async function forgetImage(world: World): Promise<void> {
  const dir = imagesOf(world, HOST)
  for (const name of await readdir(dir)) await rm(join(dir, name))
}

async function timed(work: () => Promise<void>): Promise<number> {
  const startedMs = performance.now()
  await work()
  return performance.now() - startedMs
}
