// How long RunInstances takes to answer, and until the guest's kernel says its first word, against
// a QEMU that somebody starts by hand with the same command line, image and host, in turns.

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { machineFiles } from '../cluster-agent/host/qemu.ts'
import type { World } from '../sandbox/world.ts'
import { type Emit, median, percentile } from './harness.ts'
import {
  clientOf,
  firstLine,
  folderOf,
  imageIsWhole,
  type Launch,
  launch,
  terminate,
} from './instances.ts'
import { type BareQemu, bareQemu } from './peers/qemu.ts'
import { planOf, say, withWorld } from './worlds.ts'

const BENCH = 'launch'
const ROUNDS = 10
const RATIO_GOAL = 1.2
const HOST = 'a1'
const PLAN = planOf('bench-launch', [
  { name: 'a', joinsOver: 'ipv4', hosts: [{ name: HOST, roles: ['cc', 'nc'] }] },
])

export function run(emit: Emit): Promise<void> {
  return withWorld(PLAN, async (world, signal) => {
    const client = clientOf(world)
    try {
      // The first one starts while its image comes; the next shows what QEMU's command line is.
      const cold = await launch(world, HOST, client, signal)
      await imageIsWhole(world, HOST, signal)
      await terminate(client, cold.id, signal)
      const warm = await launch(world, HOST, client, signal)
      const bare = await bareOf(world, HOST, warm.id)
      await terminate(client, warm.id, signal)
      const launches: Launch[] = []
      const bareMs: number[] = []
      for (let round = 1; round <= ROUNDS; round++) {
        const one = await launch(world, HOST, client, signal)
        await terminate(client, one.id, signal)
        launches.push(one)
        bareMs.push(await launchBare(bare, signal))
        const both = `${one.firstLineMs.toFixed(0)} ms, by hand ${bareMs.at(-1)?.toFixed(0)} ms`
        say(`round ${round} of ${ROUNDS}: first line after ${both}`)
      }
      report(emit, cold, launches, bareMs)
    } finally {
      client.destroy()
    }
  })
}

function report(
  emit: Emit,
  cold: Launch,
  launches: readonly Launch[],
  bareMs: readonly number[],
): void {
  const line = { bench: BENCH, unit: 'ms', higher_is_better: false }
  const answers = launches.map(({ answeredMs }) => answeredMs)
  emit({ ...line, case: 'RunInstances answered, p50', value: rounded(percentile(answers, 50)) })
  emit({
    ...line,
    case: 'RunInstances to the first line on the console',
    value: rounded(median(launches.map(({ firstLineMs }) => firstLineMs))),
    peer: 'QEMU started by hand',
    peer_value: rounded(median(bareMs)),
    goal: RATIO_GOAL,
  })
  const name = 'the first on a host, which fetches the image, to the first line on the console'
  emit({ ...line, case: name, value: rounded(cold.firstLineMs) })
}

function rounded(ms: number): number {
  return Number(ms.toFixed(1))
}

/** As a running instance's QEMU, on its own disk over the same image, with `more` arguments. */
export async function bareOf(
  world: World,
  name: string,
  id: string,
  more: readonly string[] = [],
): Promise<BareQemu> {
  const host = world.host(name)
  const { pid } = machineFiles(folderOf(world, name, id))
  const disk = machineFiles(join('/var/lib/mallee/instances', id)).disk
  // The agent's QEMU has the disk locked (-U).
  const { stdout } = await host.exec(['qemu-img', 'info', '-U', '--output=json', disk])
  const info = JSON.parse(stdout) as Record<'full-backing-filename', string> &
    Record<'virtual-size', number>
  const image = { file: info['full-backing-filename'], diskGib: info['virtual-size'] / 1024 ** 3 }
  return bareQemu(host, (await readFile(pid, 'utf8')).trim(), image, more)
}

/** ms from the start of QEMU to the first line; ends it then. */
async function launchBare(bare: BareQemu, signal: AbortSignal): Promise<number> {
  await bare.prepare()
  const startedMs = performance.now()
  const qemu = await bare.start()
  try {
    return await firstLine(bare.consoleLog, startedMs, signal)
  } finally {
    await qemu.stop()
  }
}
