// What VPN connections touch: their tunnels at the CCs that hold them, and the routes of the one
// VPC that their gateway is attached to.

import type { Records } from '../store/records.ts'
import type { View } from '../store/state.ts'
import type { VpnConnectionRecord } from '../store/vpn-records.ts'
import { connectionsOf, tunnelOf, tunnelsIn, tunnelsTo } from '../vpn/tunnels.ts'
import { touchedByTarget } from './affected-tenants.ts'
import { type Batch, differs, inRacks, type Seen, type Touched, versions } from './touched.ts'

export function touchedByCustomerGateway(
  view: View,
  change: Seen<Records['customer-gateway']>,
): Touched[] {
  if (!differs(change, ['ipAddress', 'publicKey'])) return []
  return tunnelKeys(view.by('vpn-connection', 'customerGateway', change.id))
}

export function touchedByVpnGateway(batch: Batch, change: Seen<Records['vpn-gateway']>): Touched[] {
  if (!differs(change, ['vpc', 'state'])) return []
  return [
    ...tunnelKeys(connectionsOf(batch.view, change.id)),
    ...touchedVpcs(batch, change.id, versions(change)),
  ]
}

export function touchedByConnection(
  batch: Batch,
  change: Seen<Records['vpn-connection']>,
): Touched[] {
  const isDeleted = versions(change).map(({ state }) => state === 'deleted')
  const isSame = isDeleted.every((one) => one === isDeleted[0])
  const fields = ['customerGateway', 'vpnGateway', 'routes', 'tunnels'] as const
  if (isSame && !differs(change, fields)) return []
  const tunnels = tunnelKeys(versions(change))
  if (isSame && !differs(change, ['vpnGateway', 'routes']) && areSameEnds(change)) return tunnels
  const gateways = new Set(versions(change).map(({ vpnGateway }) => vpnGateway))
  const routes = [...gateways].flatMap((id) => {
    const gateway = batch.view.get('vpn-gateway', id)
    return gateway === null ? [] : touchedVpcs(batch, id, [gateway])
  })
  return [...tunnels, ...routes]
}

/** What a CC reports of a tunnel: another one may carry the packets now. */
export function touchedByVpnLink(batch: Batch, change: Seen<Records['vpn-link']>): Touched[] {
  if (!differs(change, ['up', 'rack', 'host'])) return []
  const found = tunnelOf(batch.view, Number(change.id))
  return found === null ? [] : routesTo(batch, found.connection.vpnGateway)
}

/** A CC that comes or goes away: its tunnels carry packets again, or others do for them. */
export function touchedByHolder(batch: Batch, rack: string, host: string): Touched[] {
  const { view } = batch
  const held = tunnelsIn(view, rack).filter(({ tunnel }) => tunnel.host === host)
  const ids = new Set(held.map(({ connection }) => connection.vpnGateway))
  return [...ids].flatMap((id) => routesTo(batch, id))
}

/** A VPC's blocks are what may talk through the tunnels to it. */
export function touchedByVpnBlocks(view: View, vpc: string): Touched[] {
  return tunnelKeys(tunnelsTo(view, vpc).map(({ connection }) => connection))
}

function routesTo(batch: Batch, id: string): Touched[] {
  const gateway = batch.view.get('vpn-gateway', id)
  return gateway === null ? [] : touchedByTarget(batch, { id, before: null, after: gateway })
}

function tunnelKeys(connections: readonly VpnConnectionRecord[]): Touched[] {
  return connections
    .flatMap(({ tunnels }) => tunnels)
    .filter(({ rack }) => rack !== '')
    .flatMap(({ number, rack }) => inRacks([rack], `vpn/${number}`))
}

/** The routes that lead there, and the VPCs that racks know for the sake of their tunnels. */
function touchedVpcs(
  batch: Batch,
  id: string,
  gateways: readonly Records['vpn-gateway'][],
): Touched[] {
  return gateways
    .filter(({ vpc }) => vpc !== '')
    .flatMap((gateway) => [
      ...inRacks(null, `vpc/${gateway.vpc}`),
      ...touchedByTarget(batch, { id, before: null, after: gateway }),
    ])
}

function areSameEnds({ before, after }: Seen<VpnConnectionRecord>): boolean {
  const endsOf = (one: VpnConnectionRecord | null | undefined): string =>
    JSON.stringify(one?.tunnels.map(({ number, rack, host }) => [number, rack, host]))
  return endsOf(before) === endsOf(after)
}
