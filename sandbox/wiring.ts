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
import {
  GATEWAY,
  gatewayOf,
  lanAddress,
  type OtherPlan,
  OUTSIDE,
  type RackPlan,
  type WorldPlan,
} from './plan.ts'

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
      const edge = await wireRack({ plan, start, hosts, log }, rack, index)
      await connect(edge, internet, index + 2, plan.mtu)
      await plugPublic(edge, internet, index + 1)
    }
    return hosts
  } catch (error) {
    await Promise.all([...hosts.values()].map((host) => host.kill()))
    throw error
  }
}

/** The hosts of another owner's cloud, on the internet of a world that is there. */
export async function wireOther(
  { world, mtu }: Pick<WorldPlan, 'world' | 'mtu'>,
  plan: OtherPlan,
  internet: SandboxHost,
  log: Log,
): Promise<Map<string, SandboxHost>> {
  const hosts = new Map<string, SandboxHost>()
  const { ipv4, ipv6 } = uplinkOf(plan.site)
  const gateway = gatewayOf(plan)
  const names = { ...(plan.isIpv6Only !== true && { [ipv4]: gateway }), [ipv6]: gateway }
  const start = async (name: string): Promise<SandboxHost> => {
    const host = await startHost({ world, name, log, names })
    hosts.set(name, host)
    return host
  }
  try {
    const join = async (host: SandboxHost, site: number): Promise<void> => {
      const { device } = await connect(host, internet, site, mtu)
      // Its routes go with the addresses.
      if (plan.isIpv6Only) await host.exec(['ip', '-4', 'address', 'flush', 'dev', device])
    }
    await join(await start(gateway), plan.site)
    for (const [index, rack] of plan.racks.entries()) {
      const edge = await wireRack({ plan: { world }, start, hosts, log }, rack, index)
      await join(edge, plan.site + index + 1)
    }
    return hosts
  } catch (error) {
    await Promise.all([...hosts.values()].map((host) => host.kill()))
    throw error
  }
}

interface RackParts {
  readonly plan: Pick<WorldPlan, 'world'>
  readonly start: (name: string) => Promise<SandboxHost>
  readonly hosts: Map<string, SandboxHost>
  readonly log: Log
}

/** The rack's hosts and the switch between them; its edge is not on the internet yet. */
async function wireRack(
  { plan, start, hosts, log }: RackParts,
  rack: RackPlan,
  index: number,
): Promise<SandboxHost> {
  const edge = await start(rack.hosts[0].name)
  const members = [edge]
  for (const { name } of rack.hosts.slice(1)) members.push(await start(name))
  if (members.length > 1) {
    const options = { world: plan.world, name: switchName(rack), log }
    const rackSwitch = await startSwitch(options, [TRUNK, LAN])
    hosts.set(rackSwitch.name, rackSwitch)
    await plugIn(members, rackSwitch, index + 1)
  }
  return edge
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
