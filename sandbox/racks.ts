// Joins a plan's hosts to the gateway with the real commands: a token for each, rack-join on each.

import { join } from 'node:path'
import { MalleeError, messageOf } from '../common/errors.ts'
import type { CloudStatus, SandboxGateway } from './gateway.ts'
import type { SandboxHost } from './host.ts'
import { PUBLIC_LAN, type Uplink } from './net.ts'
import { type HostPlan, lanAddress, type RackPlan, type WorldPlan } from './plan.ts'
import { GATEWAY_UPLINK, TRUNK_DEVICE } from './wiring.ts'

export const RACK_JOIN = join(import.meta.dirname, '../bin/rack-join')
const PUBLIC_FLAGS = [
  ['--public-interface', PUBLIC_LAN.device],
  ['--public-gateway', PUBLIC_LAN.router4],
  ['--public-gateway6', PUBLIC_LAN.router6],
].flat()
// More than rack-join waits by itself: its own sentence says more than a deadline.
const JOIN_MS = 180_000

export interface JoinParts {
  readonly gateway: SandboxGateway
  readonly hosts: ReadonlyMap<string, SandboxHost>
  readonly progress: (line: string) => void
  /** Of the gateway's host; the world's own when not given. */
  readonly uplink?: Uplink
  /** Its edges are not on the public LAN. */
  readonly isPrivate?: boolean
}

/** The rack's edge joins at the gateway, then all hosts behind it join at the edge. */
export async function joinRack(
  parts: JoinParts,
  plan: Pick<WorldPlan, 'racks'>,
  rack: RackPlan,
): Promise<void> {
  const { uplink = GATEWAY_UPLINK, isPrivate = false } = parts
  const [edge, ...nodes] = rack.hosts
  const gateway = rack.joinsOver === 'ipv4' ? uplink.ipv4 : `[${uplink.ipv6}]`
  const trunk = nodes.length > 0 ? ['--trunk', TRUNK_DEVICE] : []
  await joinHost(parts, rack, edge, gateway, [...trunk, ...(isPrivate ? [] : PUBLIC_FLAGS)])
  const edgeAddress = lanAddress(plan.racks.indexOf(rack) + 1, 1)
  await Promise.all(nodes.map((node) => joinHost(parts, rack, node, edgeAddress, trunk)))
}

async function joinHost(
  { gateway, hosts, progress }: JoinParts,
  rack: RackPlan,
  plan: HostPlan,
  parent: string,
  flags: readonly string[],
): Promise<void> {
  const host = hosts.get(plan.name)
  if (host === undefined) throw new MalleeError('HostNotFound', `no host ${plan.name}`)
  const token = await createToken(gateway, rack, plan)
  const capacity = plan.capacity === undefined ? [] : ['--capacity', plan.capacity]
  await rackJoin(host, plan, `${token}@${parent}`, [...flags, ...capacity])
  progress(`rack ${rack.name}: host ${plan.name} (${plan.roles}) joined at ${parent}`)
}

/** A token that lets a host join a rack. */
export async function createToken(
  gateway: SandboxGateway,
  rack: RackPlan,
  { roles }: HostPlan,
): Promise<string> {
  const flags = ['--rack', rack.name, '--roles', roles.join(',')]
  return ((await gateway.mallee(['token', 'create', ...flags])) as { token: string }).token
}

/** The part of rack-join's answer that the sandbox looks at. */
export interface Joined {
  /** Racks whose packets came through the tunnels. */
  readonly racks: readonly string[]
}

/** Runs rack-join on a host: `invitation` is TOKEN@HOST. Throws CommandFailed. */
export async function rackJoin(
  host: SandboxHost,
  { name, roles }: HostPlan,
  invitation: string,
  more: readonly string[] = [],
): Promise<Joined> {
  const flags = ['--host-name', name, '--roles', roles.join(','), ...more, '--json']
  try {
    // By standard input: an argument is seen by everybody on the machine.
    const options = { input: `${invitation}\n`, timeoutMs: JOIN_MS }
    const { stdout } = await host.exec([RACK_JOIN, '-', ...flags], options)
    return JSON.parse(stdout) as Joined
  } catch (cause) {
    throw new MalleeError('CommandFailed', `host ${name} did not join: ${messageOf(cause)}`)
  }
}

/** What a status still lacks of the plan, as sentences; empty when all is connected. */
export function missingOf(plan: Pick<WorldPlan, 'racks'>, status: CloudStatus): string[] {
  const missing: string[] = []
  for (const { name, hosts } of plan.racks) {
    const rack = status.racks.find((one) => one.name === name)
    for (const host of hosts) {
      const seen = rack?.hosts.find((one) => one.host === host.name)
      if (seen?.connected !== true) missing.push(`host ${host.name} is not connected`)
    }
    for (const far of plan.racks) {
      if (far.name === name) continue
      const up = status.tunnels.some(
        (one) => one.fromRack === name && one.toRack === far.name && one.latestHandshakeMs > 0,
      )
      if (!up) missing.push(`no handshake from rack ${name} to rack ${far.name}`)
    }
  }
  return missing
}
