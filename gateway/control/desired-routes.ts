// A subnet's routes as a rack must know them.

import { create } from '@bufbuild/protobuf'
import type { Resource } from '../../proto/gen/mallee/v1/desired_pb.js'
import { RouteKind, RoutingSchema, type TenantRoute } from '../../proto/gen/mallee/v1/tenants_pb.js'
import { resource } from '../../proto/resources.ts'
import { never } from '../../topology/result.ts'
import {
  type Hop,
  type ResolvedRoute,
  resolveRoutes,
  type WantedRoute,
} from '../../topology/routes.ts'
import { trafficOf } from '../peering/traffic.ts'
import type {
  InterfaceRecord,
  RouteRecord,
  RouteTableRecord,
  SubnetRecord,
} from '../store/network-records.ts'
import type { View } from '../store/state.ts'
import { farPrefixes } from '../vpn/active.ts'
import { isAttached, propagatedRoutes } from '../vpn/propagation.ts'
import type { AgentName } from './desired.ts'
import { ccAddress, exactCcAddress, isEdge } from './desired-tunnels.ts'
import { isIn, knowsVpc, tagIn } from './presence.ts'

/** A route as plain data; the message's type name is the schema's business. */
type PlainRoute = Pick<TenantRoute, 'destination' | 'kind' | 'nextHop' | 'natId' | 'vpnNumber'>

/** At a CC that is not the subnet's edge only the routes that end there; null without any. */
export function routingAt(view: View, agent: AgentName, id: string): Resource | null {
  const subnet = view.get('subnet', id)
  if (subnet === null || !knowsVpc(view, agent.rack, subnet.vpc)) return null
  const isOwn = isIn(subnet, agent.rack) && isEdge(view, agent, subnet.vpc)
  const all = routesOf(view, subnet)
  const routes = isOwn ? all : all.filter(({ to }) => endsAt(view, to, agent, subnet.vpc))
  if (routes.length === 0) return null
  const value = create(RoutingSchema, {
    subnetId: id,
    ipv4Cidr: subnet.ipv4Cidr,
    ipv6Cidr: subnet.ipv6Cidr,
    vlanTag: isOwn ? tagIn(subnet, agent.rack) : 0,
    routes: routes.map((route) => routeAt(view, agent, subnet.vpc, route)),
  })
  return resource(`routing/${id}`, { case: 'routing', value })
}

/** The subnet's own route table or its VPC's main one. */
export function tableOf(view: View, subnet: SubnetRecord): RouteTableRecord | null {
  const main = view.get('vpc', subnet.vpc)?.mainRouteTable ?? ''
  const table = view.get('route-table', subnet.routeTable === '' ? main : subnet.routeTable)
  return table?.vpc === subnet.vpc ? table : null
}

/** All routes of a subnet, the longest prefix first. */
export function routesOf(view: View, subnet: SubnetRecord): ResolvedRoute[] {
  const vpc = view.get('vpc', subnet.vpc)
  if (vpc === null) return []
  const table = tableOf(view, subnet)
  const routes = table?.routes ?? []
  const wantedOf = (route: RouteRecord): WantedRoute => ({
    destination: route.destination,
    to: hopOf(view, subnet.vpc, route),
  })
  const wanted = routes.filter((route) => !isList(route)).map(wantedOf)
  // A route of its own goes before one of a prefix list (AWS, "Route priority").
  const listed = routes.filter(isList).flatMap((route) => {
    const to = hopOf(view, subnet.vpc, route)
    const entries = view.get('prefix-list', route.destination)?.entries ?? []
    return entries.map(({ cidr }) => ({ destination: cidr, to }))
  })
  const all = [...wanted, ...listed, ...(table === null ? [] : propagatedTo(view, table))]
  return resolveRoutes([...vpc.ipv4Cidrs, ...vpc.ipv6Cidrs], all)
}

/** There may be a thousand: each is one of its gateway's prefixes, and leads where that does. */
function propagatedTo(view: View, table: RouteTableRecord): WantedRoute[] {
  const byGateway = Map.groupBy(propagatedRoutes(view, table), ({ targetId }) => targetId)
  return [...byGateway].flatMap(([gateway, routes]) => {
    const destinations = new Set(routes.map(({ destination }) => destination))
    return farPrefixes(view, gateway)
      .filter(({ cidr }) => destinations.has(cidr))
      .map(({ cidr, to }) => ({ destination: cidr, to }))
  })
}

function isList({ destination }: RouteRecord): boolean {
  return !destination.includes('/')
}

/** Is that at the agent? NAT gateways and interfaces are at their VPC's edge. */
function endsAt(view: View, to: Hop, agent: AgentName, vpc: string): boolean {
  if (to.kind === 'vpn') return to.rack === agent.rack && to.host === agent.host
  if (to.kind !== 'nat' && to.kind !== 'interface') return false
  return to.rack === agent.rack && isEdge(view, agent, vpc)
}

/** Where a route of a table of the VPC leads now. */
export function hopOf(
  view: View,
  vpc: string,
  { target, targetId: id }: RouteRecord,
): WantedRoute['to'] {
  const gone = (why: string): Hop => ({ kind: 'blackhole', id, why })
  switch (target) {
    case 'internet-gateway': {
      const isAttached = view.get('internet-gateway', id)?.vpc === vpc
      return isAttached ? { kind: 'internet', id } : gone('it is not attached to the VPC')
    }
    case 'egress-only-gateway': {
      const isThere = view.get('egress-only-gateway', id)?.vpc === vpc
      return isThere ? { kind: 'egress-only', id } : gone('it does not exist')
    }
    case 'nat-gateway': {
      const nat = view.get('nat-gateway', id)
      if (nat?.vpc !== vpc) return gone('it does not exist')
      if (!isAlive(nat)) return gone(`it is ${nat.state}`)
      return { kind: 'nat', id, rack: nat.rack }
    }
    case 'interface': {
      const one = view.get('interface', id)
      if (one?.vpc !== vpc) return gone('it does not exist')
      if (!hasPort(one)) return gone('it is not attached')
      return { kind: 'interface', id, rack: one.rack, ipv4: one.ipv4, ipv6: one.ipv6 }
    }
    case 'peering': {
      const peering = view.get('peering', id)
      if (peering === null) return gone('it does not exist')
      if (peering.state !== 'active') return gone(`it is ${peering.state}`)
      if (peering.remote !== undefined) {
        const passing = trafficOf(view).byPeering.get(id)
        if (passing?.vpc !== vpc) return gone('the two clouds do not agree to it now')
        return { kind: 'peer', id, cidrs: passing.theirs }
      }
      const { requester, accepter } = peering
      const peer = view.get('vpc', requester.vpc === vpc ? accepter.vpc : requester.vpc)
      return { kind: 'peer', id, cidrs: [...(peer?.ipv4Cidrs ?? []), ...(peer?.ipv6Cidrs ?? [])] }
    }
    case 'vpn-gateway': {
      if (!isAttached(view, id, vpc)) return gone('it is not attached to the VPC')
      return { kind: 'vpn-gateway', id, prefixes: farPrefixes(view, id) }
    }
    default:
      return never(target)
  }
}

export function isAlive({ state }: { readonly state: string }): boolean {
  return state === 'pending' || state === 'available'
}

/** Is it attached to an instance, or a load balancer's node on a host? */
export function hasPort({ instance, type, host }: InterfaceRecord): boolean {
  if (type === 'network-load-balancer') return host !== ''
  return instance !== '' && type === 'interface'
}

function routeAt(
  view: View,
  agent: AgentName,
  vpc: string,
  { destination, to }: ResolvedRoute,
): PlainRoute {
  const isHere = endsAt(view, to, agent, vpc)
  const route = { destination, nextHop: '', natId: '', vpnNumber: 0 }
  const blackhole = { ...route, kind: RouteKind.BLACKHOLE }
  const over = (nextHop: string | null): PlainRoute =>
    nextHop === null ? blackhole : { ...route, kind: RouteKind.RACK, nextHop }
  switch (to.kind) {
    case 'local':
      return { ...route, kind: RouteKind.LOCAL }
    case 'internet':
      return { ...route, kind: RouteKind.INTERNET }
    case 'egress-only':
      return { ...route, kind: RouteKind.EGRESS_ONLY }
    case 'nat':
      if (!isHere) return over(ccAddress(view, to.rack, vpc))
      return { ...route, kind: RouteKind.NAT, natId: to.id }
    case 'interface':
      if (!isHere) return over(ccAddress(view, to.rack, vpc))
      return {
        ...route,
        kind: RouteKind.INTERFACE,
        nextHop: destination.includes(':') ? to.ipv6 : to.ipv4,
      }
    case 'vpn':
      if (!isHere) return over(exactCcAddress(view, to.rack, to.host))
      return { ...route, kind: RouteKind.VPN, vpnNumber: to.number }
    case 'blackhole':
      return blackhole
    default:
      return never(to)
  }
}
