// Reads and writes by guests: one whose volume comes from the storage controller, and one of a QEMU
// started by hand, whose second disk is the same file; in turns.

import { dirname, join } from 'node:path'
import { MalleeError } from '../common/errors.ts'
import { GuestShell } from '../sandbox/guest.ts'
import { until } from '../sandbox/until.ts'
import type { World } from '../sandbox/world.ts'
import { type Emit, median } from './harness.ts'
import { firstLine } from './instances.ts'
import { bareOf } from './launch.ts'
import { say } from './worlds.ts'

const ROUNDS = 5
const RUN_MS = 300_000
/** From its first line to its shell. */
const BOOT_MS = 120_000
/** At most 20 characters (VIRTIO_BLK_ID_BYTES). */
const BARE_SERIAL = 'bench'
/** Of the same file by the same guest: what is left is the network and the target. */
const GOAL = { large: 0.5, small: 0.3 }

export interface GuestParts {
  readonly emit: Emit
  readonly bench: string
  readonly world: World
  readonly signal: AbortSignal
  readonly host: string
  /** A running instance, which has the volume. */
  readonly instance: string
  readonly volume: string
  /** The volume's. */
  readonly file: string
  /** Of one run, with requests of 1 MiB. */
  readonly mib: number
  /** Requests of one run, with 4 KiB each. */
  readonly smallCount: number
}

export async function measureGuests(parts: GuestParts): Promise<void> {
  const { world, signal, host, instance, volume, file } = parts
  const disk = [
    ...['-blockdev', `driver=file,node-name=bench,filename=${file},cache.direct=on`],
    ...['-device', `virtio-blk-pci,drive=bench,serial=${BARE_SERIAL}`],
  ]
  const bare = await bareOf(world, host, instance, disk)
  await bare.prepare()
  const qemu = await bare.start()
  try {
    await firstLine(bare.consoleLog, performance.now(), signal)
    const theirs = await GuestShell.open(join(dirname(bare.consoleLog), 'console.sock'), BOOT_MS)
    const ours = await world.shell(instance)
    try {
      await inTurns(parts, {
        volume: { shell: ours, disk: await diskIn(ours, volume.replace('-', '')) },
        file: { shell: theirs, disk: await diskIn(theirs, BARE_SERIAL) },
      })
    } finally {
      ours.close()
      theirs.close()
    }
  } finally {
    await qemu.stop()
  }
}

interface Guest {
  readonly shell: GuestShell
  readonly disk: string
}

async function inTurns(
  { emit, bench, mib, smallCount }: GuestParts,
  guests: { readonly volume: Guest; readonly file: Guest },
): Promise<void> {
  const large = { bs: '1M', count: mib, unit: 'MiB/s', goal: GOAL.large }
  const small = { bs: '4k', count: smallCount, unit: 'per second', goal: GOAL.small }
  for (const { bs, count, unit, goal } of [large, small]) {
    for (const verb of ['reads', 'writes'] as const) {
      const rates = { volume: [] as number[], file: [] as number[] }
      for (let round = 0; round <= ROUNDS; round++) {
        for (const side of ['volume', 'file'] as const) {
          const rate = count / (await seconds(guests[side], verb, bs, count))
          // The first one warms both up.
          if (round > 0) rates[side].push(rate)
        }
      }
      const [value, peer_value] = [rounded(median(rates.volume)), rounded(median(rates.file))]
      const name = `in a guest, ${verb} of ${bs === '1M' ? '1 MiB' : '4 KiB'}, one after the other`
      say(`${name}: ${value}, file ${peer_value}`)
      const peer = 'a disk of QEMU by hand, the same file'
      const judged = { goal, higher_is_better: true }
      emit({ bench, case: name, unit, value, peer, peer_value, ...judged })
    }
  }
}

/** As the guest's clock says: the console adds a part of a second. */
async function seconds(
  { shell, disk }: Guest,
  verb: 'reads' | 'writes',
  bs: string,
  count: number,
): Promise<number> {
  const what =
    verb === 'reads'
      ? `if=${disk} of=/dev/null iflag=direct`
      : `if=/dev/zero of=${disk} oflag=direct conv=notrunc,fsync`
  const run = `dd ${what} bs=${bs} count=${count} 2>/dev/null`
  const line = `read a x </proc/uptime; ${run} && read b x </proc/uptime && echo $a $b`
  const { output } = await shell.run(line, RUN_MS)
  const [from, to] = output.trim().split(' ').map(Number)
  if (from !== undefined && to !== undefined && to > from) return to - from
  throw new MalleeError('CommandFailed', `the guest says of its dd: ${output}`)
}

/** A guest finds its disk by the serial number, once it has seen it. */
async function diskIn(shell: GuestShell, serial: string): Promise<string> {
  let path = ''
  const isThere = async (): Promise<boolean> => {
    path = (await shell.run(`grep -lx ${serial} /sys/block/*/serial`)).output.trim()
    return path !== ''
  }
  await until(`the guest has the disk ${serial}`, isThere)
  return `/dev/${path.split('/')[3]}`
}

function rounded(value: number): number {
  return Number(value.toPrecision(4))
}
