// A snapshot of a volume of which one block in a hundred changed, against copying its file; then a
// volume of it in another rack: when it can be read, against when all of it is there.

import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { systemClock } from '../common/clock.ts'
import { MalleeError } from '../common/errors.ts'
import { SNAPSHOT_BLOCK_BYTES } from '../common/snapshot-manifest.ts'
import type { SandboxHost } from '../sandbox/host.ts'
import { GATEWAY } from '../sandbox/plan.ts'
import { until } from '../sandbox/until.ts'
import type { World } from '../sandbox/world.ts'
import { qemuIo, volumeArgs } from './ebs-io.ts'
import type { BenchVolumes } from './ebs-volumes.ts'
import type { Emit } from './harness.ts'
import { say } from './worlds.ts'

const MIB = 2 ** 20
/** Of one dd. */
const PIECE_MIB = 1024
/** One block of so many changes. */
const CHANGED_OF = 100
const COPY_MS = 3_600_000
const FILL_TRIES = 120
/** A hundredth changed: twice that leaves room for what a file system rounds up. */
const GOAL = { bytes: 0.02, ms: 0.3, firstRead: 0.1 }

export interface SnapshotParts {
  readonly emit: Emit
  readonly bench: string
  readonly world: World
  readonly volumes: BenchVolumes
  /** Of the volume; the first `mib` of it are written. */
  readonly gib: number
  readonly mib: number
  /** Rack and host of the volume, and of the one that is made of it with an instance there. */
  readonly from: { readonly rack: string; readonly host: string }
  readonly to: { readonly rack: string; readonly host: string; readonly instance: string }
}

export async function measureSnapshots(parts: SnapshotParts): Promise<void> {
  const { emit, bench, world, volumes, gib, mib, from } = parts
  const host = world.host(from.host)
  const volume = await volumes.create(from.rack, gib)
  const file = await volumes.fileOf(volume, from.host)
  await fill(host, file, mib)
  say(`a volume of ${gib} GiB has ${mib} MiB`)
  const first = await volumes.snapshot(volume)
  await change(host, file, mib)
  const second = await volumes.snapshot(volume)
  const copyMs = await copied(host, file)
  say(`first ${first.ms.toFixed(0)} ms, second ${second.ms.toFixed(0)}, cp ${copyMs.toFixed(0)}`)

  const { readBytes, sentBytes } = await costOf(world, second.id)
  const of = `${mib} MiB, 1% changed`
  const bytes = { bench, unit: 'bytes', peer: 'all that is in it', peer_value: mib * MIB }
  const goal = { goal: GOAL.bytes, higher_is_better: false }
  emit({ ...bytes, case: `snapshot of ${of}: read`, value: readBytes, ...goal })
  emit({ ...bytes, case: `snapshot of ${of}: sent`, value: sentBytes, ...goal })
  const time = { bench, unit: 'ms', higher_is_better: false }
  const copy = { peer: 'cp of the file and a sync', peer_value: rounded(copyMs) }
  const secondMs = rounded(second.ms)
  emit({ ...time, case: `snapshot of ${of}`, value: secondMs, ...copy, goal: GOAL.ms })
  const firstMs = rounded(first.ms)
  emit({ ...time, case: `first snapshot of ${mib} MiB`, value: firstMs, ...copy })
  await measureRestore(parts, second.id)
  await volumes.delete(volume)
}

async function measureRestore(parts: SnapshotParts, snapshot: string): Promise<void> {
  const { emit, bench, world, volumes, gib, mib, to } = parts
  const startedMs = performance.now()
  const volume = await volumes.create(to.rack, gib, { SnapshotId: snapshot })
  const availableMs = performance.now() - startedMs
  await volumes.attach(volume, to.instance, '/dev/sdh')
  const host = world.host(to.host)
  const secret = join(host.dir, 'chap')
  const login = volumes.loginOf(volume, to.instance, to.host)
  await writeFile(secret, login.chapSecret, { mode: 0o600 })
  await qemuIo(host, volumeArgs(login, secret), `read -q ${(mib * MIB) / 2} 4096\n`)
  const readMs = performance.now() - startedMs
  await rm(secret)
  await volumes.isWhole(volume)
  const wholeMs = performance.now() - startedMs
  const line = { bench, unit: 'ms', higher_is_better: false }
  const what = `volume of a snapshot of ${mib} MiB in the other rack`
  emit({ ...line, case: `${what}: available`, value: rounded(availableMs) })
  emit({
    ...line,
    case: `${what}: attached and read in its middle`,
    value: rounded(readMs),
    peer: 'until all of it is there',
    peer_value: rounded(wholeMs),
    goal: GOAL.firstRead,
  })
  await volumes.detach(volume)
  await volumes.delete(volume)
}

/**
 * With bytes that no two blocks share. Not through a guest: nobody has the volume. The store may
 * have to grow for it, which takes its agent a moment.
 */
export async function fill(host: SandboxHost, file: string, mib: number): Promise<void> {
  for (let at = 0; at < mib; at += PIECE_MIB) {
    const count = Math.min(PIECE_MIB, mib - at)
    const place = ['bs=1M', `count=${count}`, `seek=${at}`, 'conv=notrunc,fsync']
    const argv = ['dd', 'if=/dev/urandom', `of=${file}`, ...place]
    for (let tries = 1; ; tries++) {
      const { code } = await host.exec(argv, { timeoutMs: COPY_MS, okCodes: [0, 1] })
      if (code === 0) break
      if (tries === FILL_TRIES) throw new MalleeError('StoreFull', `no room to fill ${file}`)
      await systemClock.sleep(1000)
    }
  }
}

async function change(host: SandboxHost, file: string, mib: number): Promise<void> {
  const count = Math.floor((mib * MIB) / SNAPSHOT_BLOCK_BYTES / CHANGED_OF)
  const script = [
    `for n in $(seq 0 ${count - 1}); do`,
    `dd if=/dev/urandom of="$1" bs=${SNAPSHOT_BLOCK_BYTES} count=1 seek=$((n * ${CHANGED_OF}))`,
    'conv=notrunc status=none; done; sync "$1"',
  ].join(' ')
  await host.exec(['sh', '-ec', script, 'sh', file], { timeoutMs: COPY_MS })
}

/** ms for a copy that shares nothing with the file and is on the disk. */
async function copied(host: SandboxHost, file: string): Promise<number> {
  const copy = join(host.dir, 'copy.raw')
  const script = 'cp --reflink=never --sparse=never "$1" "$2"; sync "$2"'
  const startedMs = performance.now()
  try {
    await host.exec(['sh', '-ec', script, 'sh', file, copy], { timeoutMs: COPY_MS })
    return performance.now() - startedMs
  } finally {
    await rm(copy, { force: true })
  }
}

interface SnapshotCost {
  readonly readBytes: number
  readonly sentBytes: number
}

/** What its host read and sent, which the gateway's log says when a snapshot is complete. */
async function costOf({ host }: World, snapshot: string): Promise<SnapshotCost> {
  const log = join(host(GATEWAY).dir, 'gateway.log')
  let said: string | undefined
  const isSaid = async (): Promise<boolean> => {
    const lines = (await readFile(log, 'utf8')).split('\n')
    said = lines.find((line) => line.includes('snapshot state') && line.includes(snapshot))
    return said !== undefined
  }
  await until(`the log tells of ${snapshot}`, isSaid)
  return JSON.parse(said ?? '') as SnapshotCost
}

function rounded(ms: number): number {
  return Number(ms.toFixed(0))
}
