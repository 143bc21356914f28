// Propagated routes: what the connections of VPN gateways add to a route table by themselves.

import { covers, mustCidr } from '../../topology/cidr.ts'
import type { RouteRecord, RouteTableRecord } from '../store/network-records.ts'
import type { View } from '../store/state.ts'
import { connectionsOf } from './tunnels.ts'

/**
 * The routes that VPN gateways bring into a table, in the order of the table's gateways, of
 * connections' ids and of their routes; each destination once. Those are left out that never
 * count: with the destination of a route of the table itself, also by a prefix list, and within
 * the VPC's own blocks, however specific (AWS, VPC guide, "Route priority").
 */
export function propagatedRoutes(view: View, table: RouteTableRecord): RouteRecord[] {
  const gateways = (table.propagating ?? []).filter((id) => isAttached(view, id, table.vpc))
  if (gateways.length === 0) return []
  const vpc = view.get('vpc', table.vpc)
  const own = [...(vpc?.ipv4Cidrs ?? []), ...(vpc?.ipv6Cidrs ?? [])].map(mustCidr)
  const taken = new Set(table.routes.flatMap((route) => destinationsOf(view, route)))
  return gateways.flatMap((targetId) => {
    const destinations = routesBehind(view, targetId).filter((destination) => {
      if (taken.has(destination)) return false
      taken.add(destination)
      return !own.some((block) => covers(block, mustCidr(destination)))
    })
    return destinations.map((destination) => ({
      destination,
      target: 'vpn-gateway' as const,
      targetId,
    }))
  })
}

/** Is the VPN gateway there and attached to that VPC? */
export function isAttached(view: View, gateway: string, vpc: string): boolean {
  const record = view.get('vpn-gateway', gateway)
  return record?.state === 'available' && record.vpc === vpc
}

function routesBehind(view: View, gateway: string): string[] {
  return connectionsOf(view, gateway).flatMap(({ routes }) => routes)
}

function destinationsOf(view: View, { destination }: RouteRecord): string[] {
  if (destination.includes('/')) return [destination]
  return (view.get('prefix-list', destination)?.entries ?? []).map(({ cidr }) => cidr)
}
