// Reads and writes of a volume, as an instance's host makes them, against QEMU on the volume's own
// file, in turns. The client is qemu-io with the same block drivers as an instance's QEMU, without
// limits and without a guest.

import { randomInt } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { VolumeAttachment } from '../proto/gen/mallee/v1/volumes_pb.js'
import type { SandboxHost } from '../sandbox/host.ts'
import { type Emit, median } from './harness.ts'
import { say } from './worlds.ts'

const ROUNDS = 5
const RUN_MS = 600_000
const MIB = 2 ** 20
const RANDOM_BYTES = 4096
/** Under way at a time, in bursts: a new one begins when all of the last are done. */
const BURST = 16
/** Every command is one request over TCP more than the file needs, and two copies. */
const GOAL = { sequential: 0.5, random: 0.3 }

export interface IoParts {
  readonly emit: Emit
  readonly bench: string
  readonly host: SandboxHost
  readonly login: VolumeAttachment
  readonly file: string
  /** Of what is read and written. */
  readonly mib: number
  readonly randomCount: number
}

interface IoCase {
  readonly name: string
  readonly unit: string
  readonly goal: number
  /** In the case's unit, of one second. */
  readonly amount: number
  readonly script: () => string
}

export async function measureIo(parts: IoParts): Promise<void> {
  const { emit, bench, host, login, file } = parts
  const secret = join(host.dir, 'chap')
  await writeFile(secret, login.chapSecret, { mode: 0o600 })
  try {
    const ours = volumeArgs(login, secret)
    const theirs = fileArgs(file)
    for (const one of casesOf(parts)) {
      const rates = { volume: [] as number[], file: [] as number[] }
      for (let round = 0; round <= ROUNDS; round++) {
        await dropPages(host, file)
        const volumeS = await seconds(host, ours, one.script())
        await dropPages(host, file)
        const fileS = await seconds(host, theirs, one.script())
        // The first one warms both up.
        if (round === 0) continue
        rates.volume.push(one.amount / volumeS)
        rates.file.push(one.amount / fileS)
      }
      say(`${one.name}: ${median(rates.volume).toFixed(0)}, file ${median(rates.file).toFixed(0)}`)
      emit({
        ...{ bench, case: one.name, unit: one.unit, value: rounded(median(rates.volume)) },
        peer: 'QEMU on the same file',
        peer_value: rounded(median(rates.file)),
        ...{ goal: one.goal, higher_is_better: true },
      })
    }
  } finally {
    await rm(secret, { force: true })
  }
}

function casesOf({ mib, randomCount }: IoParts): IoCase[] {
  const sequential = { unit: 'MiB/s', goal: GOAL.sequential, amount: mib }
  const random = { unit: 'per second', goal: GOAL.random, amount: randomCount }
  const size = mib * MIB
  return [
    {
      ...sequential,
      name: 'reads of 1 MiB, one after the other',
      script: () => lines(mib, 'read'),
    },
    {
      ...sequential,
      name: 'writes of 1 MiB, one after the other, and a flush',
      script: () => `${lines(mib, 'write')}flush\n`,
    },
    {
      ...random,
      name: 'random reads of 4 KiB, 16 at a time',
      script: () => bursts(randomCount, size, 'aio_read'),
    },
    {
      ...random,
      name: 'random writes of 4 KiB, 16 at a time, and a flush',
      script: () => `${bursts(randomCount, size, 'aio_write')}flush\n`,
    },
  ]
}

/** Commands of qemu-io for each MiB. */
function lines(mib: number, verb: 'read' | 'write'): string {
  return Array.from({ length: mib }, (_, at) => `${verb} -q ${at * MIB} ${MIB}\n`).join('')
}

function bursts(count: number, size: number, verb: 'aio_read' | 'aio_write'): string {
  const one = (_: unknown, n: number): string => {
    const at = randomInt(size / RANDOM_BYTES) * RANDOM_BYTES
    return `${verb} -q ${at} ${RANDOM_BYTES}\n${n % BURST === BURST - 1 ? 'aio_flush\n' : ''}`
  }
  return `${Array.from({ length: count }, one).join('')}aio_flush\n`
}

/** The same drivers as plugVolume gives a machine. `secret` is a file. */
export function volumeArgs(login: VolumeAttachment, secret: string): string[] {
  const { portal, targetIqn, lun, initiatorIqn, chapUser } = login
  const iscsi = [
    ...['driver=iscsi', 'transport=tcp', `portal=${portal}`, `target=${targetIqn}`, `lun=${lun}`],
    ...[`user=${chapUser}`, 'password-secret=chap', `initiator-name=${initiatorIqn}`],
  ].map((option) => `file.${option}`)
  const options = ['driver=throttle', 'throttle-group=none', ...iscsi, 'file.cache.direct=on']
  const objects = [`secret,id=chap,file=${secret}`, 'throttle-group,id=none']
  const args = objects.flatMap((object) => ['--object', object])
  return [...args, '--image-opts', `${options.join(',')},cache.direct=on`]
}

function fileArgs(file: string): string[] {
  return ['--image-opts', `driver=raw,file.driver=file,file.filename=${file},cache.direct=on`]
}

/** What was written comes first to the disk; then reads do, too. */
async function dropPages(host: SandboxHost, file: string): Promise<void> {
  await host.exec(['sync', file], { timeoutMs: RUN_MS })
  await host.exec(['dd', `if=${file}`, 'iflag=nocache', 'count=0', 'status=none'])
}

/** Of a script, less what opening and closing alone take. */
async function seconds(host: SandboxHost, args: readonly string[], script: string) {
  const openMs = await timed(host, args, '')
  const wholeMs = await timed(host, args, script)
  return Math.max(wholeMs - openMs, 1) / 1000
}

async function timed(host: SandboxHost, args: readonly string[], script: string): Promise<number> {
  const startedMs = performance.now()
  await qemuIo(host, args, script)
  return performance.now() - startedMs
}

/** Runs commands of qemu-io. Throws CommandFailed also when only one of them failed. */
export async function qemuIo(host: SandboxHost, args: readonly string[], script: string) {
  await host.exec(['qemu-io', ...args], { input: script, timeoutMs: RUN_MS })
}

function rounded(value: number): number {
  return Number(value.toPrecision(4))
}
