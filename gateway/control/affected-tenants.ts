// Which resources the records of tenants' networks touch. Nothing here walks over all instances,
// interfaces or addresses for the change of one.

import { farGuestKeys } from '../peering/far-guests.ts'
import { trafficOf } from '../peering/traffic.ts'
import {
  EVERY_RACK,
  type InterfaceRecord,
  type RouteTableRecord,
  type SubnetRecord,
} from '../store/network-records.ts'
import type { Records } from '../store/records.ts'
import type { View } from '../store/state.ts'
import { tunnelsIn } from '../vpn/tunnels.ts'
import { guardKeys } from './desired.ts'
import { nameKeys } from './desired-balancers.ts'
import { isIn, peersOf, subnetsIn } from './presence.ts'
import {
  type Batch,
  differs,
  inRacks,
  racksReaching,
  racksWith,
  type Seen,
  type Touched,
  versions,
} from './touched.ts'

/** What an interface is to others: its members, its public addresses, routes to it. */
const ADDRESSES = ['ipv4', 'ipv6', 'ipv4More', 'ipv6More'] as const
const PLACE = ['rack', 'instance', 'type', 'host'] as const

export function touchedBySubnet(batch: Batch, change: Seen<Records['subnet']>): Touched[] {
  const { view, keys } = batch
  const { id } = change
  const isUnchanged = (other: SubnetRecord): boolean =>
    other.id !== id && !keys.has(`subnet/${other.id}`)
  const [subnet] = versions(change)
  if (subnet === undefined) return []
  const { vpc, rack } = subnet
  const hasRoutes = differs(change, ['ipv4Cidr', 'ipv6Cidr', 'routeTable', 'vlanTag', 'rackTags'])
  const own = [
    ...inRacks([rack], `network/${id}`),
    ...(hasRoutes ? inRacks(null, `routing/${id}`) : []),
  ]
  const isThere = !differs(change, ['vlanTag', 'rackTags'])
  if (isThere && !differs(change, ['ipv4Cidr', 'ipv6Cidr'])) return own
  const cards = view.interfacesOf('subnet', id)
  const shown = [
    ...cards.flatMap((one) => instanceOf(view, one.instance)),
    ...(rack === EVERY_RACK ? inRacks(null, ...cards.map((one) => `station/${one.id}`)) : []),
  ]
  // Racks that a stretched subnet comes to may have nothing else of the VPC.
  const hasMore = view
    .subnetsOf('vpc', vpc)
    .some((other) => rack !== EVERY_RACK && isUnchanged(other) && isIn(other, rack))
  if (isThere || hasMore) return [...own, ...shown]
  return [...own, ...shown, ...inRacks([rack], ...keysWithVpc(view, vpc))]
}

/** What comes to a rack with the first subnet of a VPC. */
function keysWithVpc(view: View, vpc: string): string[] {
  return [
    `vpc/${vpc}`,
    ...view.by('network-acl', 'vpc', vpc).map(({ id }) => `acl/${id}`),
    ...view.subnetsOf('vpc', vpc).map(({ id }) => `routing/${id}`),
    ...[vpc, ...peersOf(view, vpc)].flatMap((one) => [
      ...guardKeys(view, one),
      ...nameKeys(view, one),
    ]),
    ...(trafficOf(view).byVpc.get(vpc) ?? []).flatMap(({ id, peer }) =>
      farGuestKeys(view, peer.uid, id),
    ),
  ]
}

export function touchedByInterface(batch: Batch, change: Seen<InterfaceRecord>): Touched[] {
  const { view } = batch
  const { id } = change
  const both = versions(change)
  const racks = both.map((one) => one.rack)
  const touched = [
    ...inRacks(racks, `interface/${id}`),
    ...both.flatMap((one) => instanceOf(view, one.instance)),
  ]
  if (!differs(change, [...ADDRESSES, ...PLACE, 'securityGroups', 'mac'])) return touched
  for (const one of both) {
    const members = one.securityGroups.map((group) => `member/${group}/${id}`)
    touched.push(...inRacks(racksReaching(batch, one.vpc), ...members))
    touched.push(...touchedByRoutesTo(batch, tablesWith(view, one.vpc, id)))
    if (isStretched(view, one)) touched.push(...inRacks(null, `station/${id}`))
  }
  const elastic = view.by('address', 'interface', id).map((address) => `elastic/${address.id}`)
  const nats = view.by('nat-gateway', 'interface', id)
  return [
    ...touched,
    ...inRacks(racks, ...elastic),
    ...nats.flatMap((nat) => inRacks([nat.rack], `nat/${nat.id}`)),
  ]
}

/** The racks whose tunnels name the addresses of this interface. */
export function movedRacks(view: View, change: Seen<InterfaceRecord>): string[] {
  if (!differs(change, [...ADDRESSES, 'rack'])) return []
  return versions(change)
    .filter((one) => isStretched(view, one))
    .map((one) => one.rack)
}

function isStretched(view: View, one: InterfaceRecord): boolean {
  return view.get('subnet', one.subnet)?.rack === EVERY_RACK
}

export function touchedByTags(view: View, resource: string): Touched[] {
  return resource.startsWith('i-') ? instanceOf(view, resource) : []
}

export function touchedByVpc(batch: Batch, change: Seen<Records['vpc']>): Touched[] {
  const { view } = batch
  const { id } = change
  const subnets = view.subnetsOf('vpc', id)
  const hasMoved = differs(change, ['ipv4Cidrs', 'ipv6Cidrs'])
  const networks = inRacks(
    racksWith(batch, [id]),
    ...subnets.map((subnet) => `network/${subnet.id}`),
  )
  const routing = differs(change, ['ipv4Cidrs', 'ipv6Cidrs', 'mainRouteTable'])
    ? routingOf(batch, subnets)
    : []
  const shown = hasMoved || differs(change, ['dhcpOptions']) ? instancesIn(view, id) : []
  const all = [...inRacks(racksWith(batch, [id]), `vpc/${id}`), ...networks, ...routing, ...shown]
  if (!hasMoved) return all
  for (const peer of peersOf(view, id)) {
    all.push(...inRacks(racksWith(batch, [peer]), `vpc/${peer}`))
    all.push(...routingOf(batch, view.subnetsOf('vpc', peer)))
  }
  return all
}

export function touchedByPeering(batch: Batch, change: Seen<Records['peering']>): Touched[] {
  if (versions(change).some(({ remote }) => remote !== undefined)) return []
  const isActive = (one: Records['peering'] | null | undefined): boolean => one?.state === 'active'
  if (isActive(change.before) === isActive(change.after)) {
    // A table may name one that is not active any more; where it leads is the same.
    return []
  }
  const vpcs = new Set(versions(change).flatMap((one) => [one.requester.vpc, one.accepter.vpc]))
  const { view } = batch
  return [...vpcs].flatMap((vpc) => [
    ...inRacks(null, `vpc/${vpc}`, ...guardKeys(view, vpc), ...nameKeys(view, vpc)),
    ...routingOf(batch, view.subnetsOf('vpc', vpc)),
  ])
}

export function touchedByGroup(batch: Batch, change: Seen<Records['security-group']>): Touched[] {
  const { view } = batch
  const { id } = change
  const group = versions(change).flatMap(({ vpc }) =>
    inRacks(racksReaching(batch, vpc), `group/${id}`),
  )
  if (!differs(change, ['name'])) return group
  const cards = view.by('interface', 'securityGroups', id)
  return [...group, ...cards.flatMap((one) => instanceOf(view, one.instance))]
}

/** Rare: whoever uses it is looked for. */
export function touchedByPrefixList(batch: Batch, id: string): Touched[] {
  const { view } = batch
  const groups = view
    .all('security-group')
    .filter((group) => group.rules.some((rule) => rule.prefixList === id))
  const tables = view
    .all('route-table')
    .filter((table) => table.routes.some((route) => route.destination === id))
  return [
    ...groups.flatMap((group) => inRacks(racksReaching(batch, group.vpc), `group/${group.id}`)),
    ...touchedByRoutesTo(batch, tables),
  ]
}

export function touchedByAcl(batch: Batch, change: Seen<Records['network-acl']>): Touched[] {
  const vpcs = versions(change).map(({ vpc }) => vpc)
  return inRacks(racksWith(batch, vpcs), `acl/${change.id}`)
}

export function touchedByDhcpOptions(batch: Batch, id: string): Touched[] {
  const { view } = batch
  return view
    .by('vpc', 'dhcpOptions', id)
    .flatMap((vpc) => [
      ...inRacks(
        racksWith(batch, [vpc.id]),
        ...view.subnetsOf('vpc', vpc.id).map((subnet) => `network/${subnet.id}`),
      ),
      ...instancesIn(view, vpc.id),
    ])
}

export function touchedByRouteTable(batch: Batch, change: Seen<RouteTableRecord>): Touched[] {
  return touchedByRoutesTo(batch, versions(change))
}

/** An internet or egress-only gateway: a target of routes, and nothing else. */
export function touchedByTarget(batch: Batch, change: Seen<{ readonly vpc: string }>): Touched[] {
  return versions(change).flatMap(({ vpc }) =>
    touchedByRoutesTo(batch, tablesWith(batch.view, vpc, change.id)),
  )
}

export function touchedByNat(batch: Batch, change: Seen<Records['nat-gateway']>): Touched[] {
  const racks = versions(change).map(({ rack }) => rack)
  const routing = differs(change, ['state', 'rack']) ? touchedByTarget(batch, change) : []
  return [...inRacks(racks, `nat/${change.id}`), ...routing]
}

/** An address touches the two ends that it moves between, and no third one. */
export function touchedByAddress(batch: Batch, change: Seen<Records['address']>): Touched[] {
  const { view } = batch
  const named = versions(change).filter((address) => address.interface !== '')
  const ends = named
    .map((address) => view.get('interface', address.interface))
    .filter((one) => one !== null)
  const left = change.before?.interface
  const leftItMoving = left !== change.after?.interface && batch.keys.has(`interface/${left}`)
  // Its interface is gone, or elsewhere by now: nobody knows any more in which rack it was.
  const isLost = ends.length < named.length || leftItMoving
  const nats = view.by('nat-gateway', 'allocation', change.id)
  return [
    ...inRacks(isLost ? null : ends.map((one) => one.rack), `elastic/${change.id}`),
    ...ends.flatMap((one) => instanceOf(view, one.instance)),
    ...nats.flatMap((nat) => inRacks([nat.rack], `nat/${nat.id}`)),
  ]
}

/** What hangs on which CCs a rack has: whose edge is where, and how others reach it. */
export function touchedByEdge(view: View, rack: string): Touched[] {
  const nats = view.by('nat-gateway', 'rack', rack)
  const cards = view.interfacesOf('rack', rack)
  const elastic = cards.flatMap((one) => view.by('address', 'interface', one.id))
  const stations = cards.filter((one) => isStretched(view, one))
  const here = subnetsIn(view, rack)
  const held = tunnelsIn(view, rack).map(
    ({ connection }) => view.get('vpn-gateway', connection.vpnGateway)?.vpc ?? '',
  )
  const vpcs = new Set([...[...here, ...nats, ...cards].map(({ vpc }) => vpc), ...held])
  const subnets = [...vpcs].flatMap((vpc) => view.subnetsOf('vpc', vpc))
  return [
    ...inRacks([rack], ...here.map(({ id }) => `network/${id}`)),
    ...inRacks([rack], ...nats.map(({ id }) => `nat/${id}`)),
    ...inRacks([rack], ...elastic.map(({ id }) => `elastic/${id}`)),
    ...inRacks(null, ...stations.map(({ id }) => `station/${id}`)),
    ...inRacks(null, ...subnets.map(({ id }) => `routing/${id}`)),
  ]
}

/** The VPC's tables with a route to this target. */
function tablesWith(view: View, vpc: string, target: string): RouteTableRecord[] {
  return view.by('route-table', 'vpc', vpc).filter((table) => targetsOf(table).includes(target))
}

/** Also those whose routes come by themselves. */
function targetsOf({ routes, propagating = [] }: RouteTableRecord): string[] {
  return [...routes.map(({ targetId }) => targetId), ...propagating]
}

function touchedByRoutesTo(batch: Batch, tables: readonly RouteTableRecord[]): Touched[] {
  return tables.flatMap((table) => routingOf(batch, subnetsOf(batch.view, table)))
}

/** The subnets that a table serves. */
function subnetsOf(view: View, { id, vpc }: RouteTableRecord): SubnetRecord[] {
  const named = view.by('subnet', 'routeTable', id)
  if (view.get('vpc', vpc)?.mainRouteTable !== id) return [...named]
  return [...named, ...view.subnetsOf('vpc', vpc).filter((one) => one.routeTable === '')]
}

function routingOf(batch: Batch, subnets: readonly SubnetRecord[]): Touched[] {
  return subnets.flatMap(({ id, vpc }) => inRacks(racksWith(batch, [vpc]), `routing/${id}`))
}

function instancesIn(view: View, vpc: string): Touched[] {
  return view.by('interface', 'vpc', vpc).flatMap((one) => instanceOf(view, one.instance))
}

/** An instance that is gone was touched by that. */
function instanceOf(view: View, id: string): Touched[] {
  const rack = view.get('instance', id)?.rack
  return rack === undefined ? [] : [{ key: `instance/${id}`, rack }]
}
