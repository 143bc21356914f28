// The route tables of tenants' subnets as the kernel's policy routing: a table per subnet, rules
// that lead to it. Owns every rule and route of our protocol number in all tables but the one of
// local addresses (announce.ts).

import type { Exec } from '../../common/exec.ts'
import type { Reconciler } from '../../common/reconcile.ts'
import { RouteKind, type Routing } from '../../proto/gen/mallee/v1/tenants_pb.js'
import { contains, covers, formatCidr, mustAddress, mustCidr } from '../../topology/cidr.ts'
import { ascending } from '../../topology/order.ts'
import { ipBatch } from '../host/ip.ts'
import { type KernelRoutes, listRules, listTables } from '../host/ip-tables.ts'
import { fabricOf, overTransit } from './far-ends.ts'
import { gatewayPort, PRIORITY, ROUTE_PROTOCOL, TRANSIT_DEVICE, TRANSIT_TABLE } from './names.ts'
import { natOf, networkWith, numberOf, routesOf, type Tenants } from './tenants.ts'
import { vpnRoutes } from './vpn-routes.ts'

/** On packets whose destination was translated here: their sender's routes do not know it. */
export const AROUND_MARK = '0x6d6c'

const OWN_TABLES = 10_000
/** And 28 bits of the subnet's id. */
const FOREIGN_TABLES = 0x4000_0000

export interface FamilyRoutes {
  readonly rules: readonly string[]
  readonly routes: readonly string[]
}

export type RoutingSeen = Readonly<Record<4 | 6, FamilyRoutes>>

export interface RoutingStep {
  readonly family: 4 | 6
  readonly lines: readonly string[]
}

export function routingReconciler(
  exec: Exec,
  tenants: Tenants,
): Reconciler<RoutingSeen, RoutingStep> {
  const desired = { 4: desiredRoutes(tenants, 4), 6: desiredRoutes(tenants, 6) }
  return {
    name: 'routing',
    observe: () => readRouting(exec),
    plan: (seen) => planRouting(desired, seen),
    apply: ({ family, lines }) => ipBatch(exec, lines, family),
  }
}

/** Removes all rules and routes. */
export async function removeRouting(exec: Exec): Promise<void> {
  const nothing = { rules: [], routes: [] }
  const steps = planRouting({ 4: nothing, 6: nothing }, await readRouting(exec))
  for (const { family, lines } of steps) await ipBatch(exec, lines, family)
}

async function readRouting(exec: Exec): Promise<RoutingSeen> {
  const of = async (family: 4 | 6): Promise<FamilyRoutes> => {
    const tables: KernelRoutes[] = await listTables(exec, family, ROUTE_PROTOCOL)
    return {
      rules: await listRules(exec, family, ROUTE_PROTOCOL),
      routes: tables.filter(({ table }) => table !== 'local').map(({ line }) => line),
    }
  }
  const [four, six] = await Promise.all([of(4), of(6)])
  return { 4: four, 6: six }
}

export function planRouting(desired: RoutingSeen, seen: RoutingSeen): RoutingStep[] {
  return ([4, 6] as const).flatMap((family) => {
    const protocol = ROUTE_PROTOCOL
    const rules = changes(desired[family].rules, seen[family].rules)
    const routes = changes(desired[family].routes, seen[family].routes)
    // A table is complete before a rule leads to it, and no rule leads to one that is not any more.
    const lines = [
      ...rules.gone.map((line) => `rule del ${line} protocol ${protocol}`),
      ...routes.gone.map((line) => `route del ${line} proto ${protocol}`),
      ...routes.fresh.map((line) => `route add ${line} proto ${protocol}`),
      ...rules.fresh.map((line) => `rule add ${line} protocol ${protocol}`),
    ]
    return lines.length === 0 ? [] : [{ family, lines }]
  })
}

function changes(
  wanted: readonly string[],
  have: readonly string[],
): { readonly fresh: string[]; readonly gone: string[] } {
  const [desired, there] = [new Set(wanted), new Set(have)]
  return {
    fresh: wanted.filter((line) => !there.has(line)),
    gone: have.filter((line) => !desired.has(line)),
  }
}

/** One family's rules and routes as ip-tables.ts writes what it finds. */
export function desiredRoutes(tenants: Tenants, family: 4 | 6): FamilyRoutes {
  const rules: string[] = []
  const routes: string[] = []
  for (const routing of tenants.own) {
    const table = OWN_TABLES + routing.vlanTag
    rules.push(`pref ${PRIORITY.subnet} iif ${gatewayPort(routing.vlanTag)} lookup ${table}`)
    routes.push(...tableOf(tenants, routing, family, table))
  }
  if (family === 4 && tenants.own.length > 0) {
    rules.push(`pref ${PRIORITY.around} fwmark ${AROUND_MARK} lookup main`)
  }
  for (const routing of tenants.foreign) {
    const cidr = family === 4 ? routing.ipv4Cidr : routing.ipv6Cidr
    if (cidr === '') continue
    const table = FOREIGN_TABLES + numberOf(routing.subnetId)
    rules.push(`pref ${PRIORITY.subnet} from ${cidr} iif ${TRANSIT_DEVICE} lookup ${table}`)
    routes.push(...tableOf(tenants, routing, family, table))
    const back = backTo(tenants, cidr)
    if (back === null) continue
    routes.push(`${cidr} ${overTransit(family, back)} table ${TRANSIT_TABLE}`)
    rules.push(...backRules(tenants, cidr))
  }
  const ofVpns = vpnRoutes(tenants, family)
  return {
    rules: unique([...rules, ...ofVpns.rules]),
    routes: unique([...routes, ...ofVpns.routes]),
  }
}

// What comes back from elsewhere must take the transit as well: WireGuard takes from a CC only what
// is from that rack's prefixes.
function backRules({ vpcs }: Tenants, cidr: string): string[] {
  const subnet = mustCidr(cidr)
  const vpc = vpcs.find(({ ipv4Cidrs, ipv6Cidrs }) =>
    [...ipv4Cidrs, ...ipv6Cidrs].some((one) => covers(mustCidr(one), subnet)),
  )
  const inside = [vpc, ...(vpc?.peers ?? [])].flatMap((one) =>
    one === undefined ? [] : subnet.family === 4 ? one.ipv4Cidrs : one.ipv6Cidrs,
  )
  return [
    ...(subnet.family === 4
      ? [`pref ${PRIORITY.around - 1} to ${cidr} fwmark ${AROUND_MARK} lookup ${TRANSIT_TABLE}`]
      : []),
    ...inside.map((from) => `pref ${PRIORITY.inside} from ${from} to ${cidr} lookup main`),
    `pref ${PRIORITY.transit} to ${cidr} lookup ${TRANSIT_TABLE}`,
  ]
}

function backTo({ fabric, tunnels }: Tenants, cidr: string): string | null {
  const subnet = mustCidr(cidr)
  const tunnel = tunnels.find(({ allowedIps }) =>
    allowedIps.some((one) => covers(mustCidr(one), subnet)),
  )
  return tunnel === undefined ? null : fabricOf(fabric, tunnel)
}

function tableOf(tenants: Tenants, routing: Routing, family: 4 | 6, table: number): string[] {
  const lines = routesOf(routing, family).map((route) => {
    const cidr = formatCidr(mustCidr(route.destination))
    const to = isDefault(cidr) ? 'default' : cidr
    return { to, line: lineOf(tenants, route, family, to) }
  })
  if (!lines.some(({ to }) => to === 'default')) {
    lines.push({ to: 'default', line: 'unreachable default' })
  }
  return lines.map(({ line }) => `${line} table ${table}`)
}

function lineOf(
  tenants: Tenants,
  route: Routing['routes'][number],
  family: 4 | 6,
  to: string,
): string {
  const outside = outsideOf(tenants, family)
  switch (route.kind) {
    case RouteKind.LOCAL:
      return `throw ${to}`
    case RouteKind.INTERNET:
    case RouteKind.EGRESS_ONLY:
      return outside === null ? `unreachable ${to}` : `${to} ${outside}`
    case RouteKind.NAT: {
      const nat = natOf(tenants, route)
      if (nat === null) return `unreachable ${to}`
      if (nat.publicIp === '') return `throw ${to}`
      return outside === null ? `unreachable ${to}` : `${to} ${outside}`
    }
    case RouteKind.INTERFACE: {
      const network = networkWith(tenants.networks, route.nextHop)
      if (network === null) return `unreachable ${to}`
      return `${to} via ${route.nextHop} dev ${gatewayPort(network.vlanTag)} onlink`
    }
    case RouteKind.RACK:
      return isPeer(tenants, route.nextHop)
        ? `${to} ${overTransit(family, route.nextHop)}`
        : `unreachable ${to}`
    case RouteKind.VPN: {
      const device = tenants.vpnDevices.get(route.vpnNumber)
      return device === undefined ? `unreachable ${to}` : `${to} dev ${device}`
    }
    case RouteKind.BLACKHOLE:
      return `blackhole ${to}`
    default:
      return `unreachable ${to}`
  }
}

function outsideOf({ publicSide }: Tenants, family: 4 | 6): string | null {
  const hop = family === 4 ? publicSide?.ipv4NextHop : publicSide?.ipv6NextHop
  if (publicSide === null || hop === null || hop === undefined) return null
  return `via ${hop} dev ${publicSide.device} onlink`
}

function isPeer({ fabric, tunnels }: Tenants, address: string): boolean {
  if (!contains(mustCidr(fabric), mustAddress(address))) return false
  return tunnels.some((tunnel) => fabricOf(fabric, tunnel) === address)
}

function isDefault(cidr: string): boolean {
  return cidr.endsWith('/0')
}

function unique(lines: readonly string[]): string[] {
  return [...new Set(lines)].sort(ascending)
}
