// How long a rack takes to become a part of the cloud: from the start of rack-join on a third
// rack's host to the first encrypted packet from each of the other two, which is when rack-join
// ends.

import { MalleeError } from '../common/errors.ts'
import { silentLog } from '../common/log.ts'
import { type SandboxHost, startHost } from '../sandbox/host.ts'
import { connect } from '../sandbox/net.ts'
import type { HostPlan, RackPlan } from '../sandbox/plan.ts'
import { createToken, RACK_JOIN, rackJoin } from '../sandbox/racks.ts'
import { GATEWAY_UPLINK } from '../sandbox/wiring.ts'
import type { World } from '../sandbox/world.ts'
import { type Emit, median } from './harness.ts'
import { planOf, say, withWorld } from './worlds.ts'

const BENCH = 'join'
const JOINS = 3
const GOAL_S = 30
const LEAVE_MS = 120_000
const HOST: HostPlan = { name: 'c1', roles: ['cc'] }
const RACK: RackPlan = { name: 'c', joinsOver: 'ipv4', hosts: [HOST] }
const PLAN = planOf('bench-join', [
  { name: 'a', joinsOver: 'ipv4', hosts: [{ name: 'a1', roles: ['cc'] }] },
  { name: 'b', joinsOver: 'ipv6', hosts: [{ name: 'b1', roles: ['cc'] }] },
])

export function run(emit: Emit): Promise<void> {
  return withWorld(PLAN, async (world, signal) => {
    const host = await startHost({ world: PLAN.world, name: HOST.name, log: silentLog })
    try {
      // The gateway is the first site, the plan's racks are the next ones.
      await connect(host, world.host('internet'), PLAN.racks.length + 2)
      const seconds: number[] = []
      for (let n = 1; n <= JOINS; n++) {
        signal.throwIfAborted()
        seconds.push(await timeJoin(world, host))
        say(`join ${n} of ${JOINS}: ${seconds.at(-1)?.toFixed(1)} s`)
        await host.exec([RACK_JOIN, 'leave'], { timeoutMs: LEAVE_MS })
      }
      emit({
        bench: BENCH,
        case: 'rack-join of a third rack to the first encrypted packet of both others',
        unit: 's',
        value: Number(median(seconds).toFixed(2)),
        goal: GOAL_S,
        higher_is_better: false,
      })
    } finally {
      await host.kill()
    }
  })
}

/** Seconds. The token is made before: an operator has it when the new rack's host is ready. */
async function timeJoin({ gateway, plan }: World, host: SandboxHost): Promise<number> {
  const token = await createToken(gateway, RACK, HOST)
  const startedMs = performance.now()
  const { racks } = await rackJoin(host, HOST, `${token}@${GATEWAY_UPLINK.ipv4}`)
  const seconds = (performance.now() - startedMs) / 1000
  const silent = plan.racks.filter(({ name }) => !racks.includes(name)).map(({ name }) => name)
  if (silent.length > 0) {
    throw new MalleeError('RackAway', `rack-join ended without a packet from rack ${silent}`)
  }
  return seconds
}
