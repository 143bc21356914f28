// Makes a plan's hosts and the cables between them: the part of a world that a machine room has.

import type { Log } from '../common/log.ts'
import { type SandboxHost, startHost } from './host.ts'
import {
  connect,
  makePublicLan,
  plug,
  plugPublic,
  setAddresses,
  startInternet,
  startSwitch,
  uplinkOf,
} from './net.ts'
import { GATEWAY, lanAddress, OUTSIDE, type RackPlan, type WorldPlan } from './plan.ts'

const TRUNK = 'trunk'
const LAN = 'lan'

/** The device of hosts on their rack's trunk. */
export const TRUNK_DEVICE = `${TRUNK}0`

/** The gateway is the internet's first site; the racks' edges follow. */
export const GATEWAY_UPLINK = uplinkOf(1)

const OUTSIDE_SITE = 200

/** Every host of the plan by name, with `internet`, `outside`, `gateway` and racks' switches. */
export async function wire(plan: WorldPlan, log: Log): Promise<Map<string, SandboxHost>> {
  const hosts = new Map<string, SandboxHost>()
  try {
    const internet = await startInternet(plan.world, log)
    hosts.set(internet.name, internet)
    const names = { [GATEWAY_UPLINK.ipv4]: GATEWAY, [GATEWAY_UPLINK.ipv6]: GATEWAY }
    const start = async (name: string): Promise<SandboxHost> => {
      const host = await startHost({ world: plan.world, name, log, names })
      hosts.set(name, host)
      return host
    }
    await connect(await start(GATEWAY), internet, 1, plan.mtu)
    await makePublicLan(internet)
    await connect(await start(OUTSIDE), internet, OUTSIDE_SITE, plan.mtu)
    for (const [index, rack] of plan.racks.entries()) {
      const members: SandboxHost[] = []
      for (const { name } of rack.hosts) members.push(await start(name))
      const [edge] = members
      if (edge !== undefined) {
        await connect(edge, internet, index + 2, plan.mtu)
        await plugPublic(edge, internet, index + 1)
      }
      if (members.length > 1) {
        const options = { world: plan.world, name: switchName(rack), log }
        const rackSwitch = await startSwitch(options, [TRUNK, LAN])
        hosts.set(rackSwitch.name, rackSwitch)
        await plugIn(members, rackSwitch, index + 1)
      }
    }
    return hosts
  } catch (error) {
    await Promise.all([...hosts.values()].map((host) => host.kill()))
    throw error
  }
}

async function plugIn(
  members: readonly SandboxHost[],
  rackSwitch: SandboxHost,
  rack: number,
): Promise<void> {
  for (const [index, host] of members.entries()) {
    const lan = { host, device: `${LAN}0` }
    await plug({ host, device: TRUNK_DEVICE }, { host: rackSwitch, device: TRUNK })
    await plug(lan, { host: rackSwitch, device: LAN })
    await setAddresses(lan, [`${lanAddress(rack, index + 1)}/24`])
  }
}

function switchName(rack: RackPlan): string {
  return `${rack.name}-switch`
}
