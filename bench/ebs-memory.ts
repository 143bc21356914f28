// What a storage controller takes to serve volumes: tgtd and the agent, with volumes attached.

import { tgtdPid } from '../cluster-agent/host/tgt.ts'
import { DEFAULT_PATHS, tgtdFiles } from '../cluster-agent/paths.ts'
import { MalleeError } from '../common/errors.ts'
import type { SandboxHost } from '../sandbox/host.ts'
import type { BenchVolumes } from './ebs-volumes.ts'
import type { Emit } from './harness.ts'
import { parsePss } from './networks.ts'
import { say } from './worlds.ts'

/** Of a machine's 16 places beside its first, less one that is taken. */
export const VOLUMES_OF_INSTANCE = 15
const KIB_OF_MIB = 1024
const FIRST_DEVICE = 'b'.charCodeAt(0)
const AGENT_PID = '/run/mallee/cluster-agent.pid'

export interface MemoryParts {
  readonly emit: Emit
  readonly bench: string
  readonly host: SandboxHost
  readonly rack: string
  readonly volumes: BenchVolumes
  /** Of the rack; each gets VOLUMES_OF_INSTANCE at most. */
  readonly instances: readonly string[]
  readonly count: number
}

/** Needs a tgtd that runs. */
export async function measureMemory(parts: MemoryParts): Promise<void> {
  const { emit, bench, host, rack, volumes, instances, count } = parts
  const before = await memoryOf(host)
  const each = instances.map((instance, n) => ({
    instance,
    more: Math.max(0, Math.min(VOLUMES_OF_INSTANCE, count - n * VOLUMES_OF_INSTANCE)),
  }))
  const made = await Promise.all(
    each.map(async ({ instance, more }) => {
      const ids: string[] = []
      for (let n = 0; n < more; n++) {
        const id = await volumes.create(rack, 1)
        await volumes.attach(id, instance, `/dev/sd${String.fromCharCode(FIRST_DEVICE + n)}`)
        ids.push(id)
      }
      return ids
    }),
  )
  const after = await memoryOf(host)
  say(`tgtd ${before.tgtd} to ${after.tgtd} KiB, agent ${before.agent} to ${after.agent}`)
  const line = { bench, unit: 'MiB', higher_is_better: false }
  const per100 = (kib: number): number => rounded((kib / KIB_OF_MIB / count) * 100)
  const of = (what: keyof Memory): number => per100(after[what] - before[what])
  emit({ ...line, case: 'tgtd, for each 100 volumes attached', value: of('tgtd') })
  emit({ ...line, case: 'agent (cc, sc and nc), for each 100 volumes', value: of('agent') })
  const all = rounded((after.tgtd + after.agent) / KIB_OF_MIB)
  emit({ ...line, case: `tgtd and agent with ${made.flat().length} volumes`, value: all })
}

interface Memory {
  readonly tgtd: number
  readonly agent: number
}

/** KiB: the proportional set sizes. */
async function memoryOf(host: SandboxHost): Promise<Memory> {
  const tgtd = await tgtdPid(host.exec, tgtdFiles(DEFAULT_PATHS))
  if (tgtd === null) throw new MalleeError('NotFound', `no tgtd runs on ${host.name}`)
  const [agent = ''] = (await host.exec(['cat', AGENT_PID])).stdout.split(' ')
  const pss = async (pid: number | string): Promise<number> =>
    parsePss((await host.exec(['cat', `/proc/${pid}/smaps_rollup`])).stdout)
  return { tgtd: await pss(tgtd), agent: await pss(agent) }
}

function rounded(mib: number): number {
  return Number(mib.toFixed(1))
}
