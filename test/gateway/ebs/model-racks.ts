// The hosts of a cloud's racks as models, told by hand: what a host is told, does and reports is
// one step of a test.

import { nodeDesired } from '../../../cluster-agent/cc/spread.ts'
import { type SimulatedRoles, simulatedRoles } from '../../../cluster-agent/simulated/roles.ts'
import { systemClock } from '../../../common/clock.ts'
import { silentLog } from '../../../common/log.ts'
import { rackDesired } from '../../../gateway/control/desired.ts'
import { recordReport } from '../../../gateway/federation/reports.ts'
import type { State } from '../../../gateway/store/state.ts'
import type { Status } from '../../../proto/gen/mallee/v1/observed_pb.js'
import { SECRETS } from '../control/records.ts'

export interface ModelRacks {
  /** The host makes what is wanted now true, and says what it would report. */
  readonly work: (rack: string, host: string) => Promise<readonly Status[]>
  /** The gateway hears that. */
  readonly hear: (rack: string, statuses: readonly Status[]) => Promise<void>
  /** Both, of every host, until they have nothing new to say. */
  readonly settle: () => Promise<void>
}

/** SCs refuse secrets of any other form. */
const secrets = { ...SECRETS, openChap: () => '5'.repeat(32) }

/** `stateNow`: the state after a restart is another one. */
export function modelRacks(stateNow: () => State): ModelRacks {
  const models = new Map<string, SimulatedRoles>()
  const clock = { nowMs: () => systemClock.nowMs(), sleep: () => Promise.resolve() }

  async function work(rack: string, host: string): Promise<readonly Status[]> {
    const state = stateNow()
    const view = await state.fresh()
    const roles = view.get('host', rack, host)?.roles ?? []
    const known = models.get(host)
    const model = known ?? simulatedRoles({ host, roles, clock, bootMs: 0, publicKey: 'K' })
    models.set(host, model)
    const all = rackDesired(view, { rack, host: `${rack}0` }, secrets)
    const desired = new Map(nodeDesired(all, host).map((one) => [one.key, one]))
    for (const { run } of model.passes) await run(desired)
    // A guest boots in no time, and not at once.
    await Promise.resolve()
    await Promise.resolve()
    return model.statuses().filter(({ key }) => desired.has(key))
  }

  async function hear(rack: string, statuses: readonly Status[]): Promise<void> {
    const parts = { state: stateNow(), clock: systemClock, log: silentLog }
    await recordReport(parts, { rack, host: `${rack}0` }, statuses)
  }

  return {
    work,
    hear,
    settle: async () => {
      for (let round = 0; round < 8; round += 1) {
        const before = (await stateNow().fresh()).revision
        for (const { rack, host } of stateNow().view().all('host')) {
          await hear(rack, await work(rack, host))
        }
        if ((await stateNow().fresh()).revision === before) return
      }
      throw new Error('the racks do not settle')
    },
  }
}
