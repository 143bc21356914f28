// Tunnels to the other CCs, and which CC of a rack is the edge of a VPC.

import { create } from '@bufbuild/protobuf'
import { type Resource, TunnelSchema } from '../../proto/gen/mallee/v1/desired_pb.js'
import { resource } from '../../proto/resources.ts'
import { formatAddress, formatCidr, mustAddress, mustCidr, single } from '../../topology/cidr.ts'
import {
  gatewayFor,
  type OverlayGateway,
  type OverlayRack,
  type OverlayVpc,
  pairName,
  planTunnels,
} from '../../topology/overlay.ts'
import { hostFabric, rackFabric } from '../../topology/plan.ts'
import { TUNNEL_KEEPALIVE_S } from '../../topology/ranges.ts'
import { EVERY_RACK, type InterfaceRecord } from '../store/network-records.ts'
import type { HostRecord } from '../store/records.ts'
import type { View } from '../store/state.ts'
import { beyond } from './desired-peers.ts'

/** Opens a sealed pre-shared key of a pair of racks. */
export type OpenKey = (pair: string, sealed: string) => Uint8Array

export function tunnelAt(
  view: View,
  agent: { readonly rack: string; readonly host: string },
  rack: string,
  host: string,
  openKey: OpenKey,
): Resource | null {
  const there = overlayRack(view, rack)
  const pair = pairName(agent.rack, rack)
  const sealed = view.get('preshared-key', pair)
  if (there === null || sealed === null) return null
  const tunnel = planTunnels([there], agent).find((one) => one.host === host)
  if (tunnel === undefined) return null
  const value = create(TunnelSchema, {
    rack,
    host,
    publicKey: tunnel.publicKey,
    presharedKey: openKey(pair, sealed.sealedKey),
    endpoints: [...tunnel.endpoints],
    allowedIps: [...tunnel.allowedIps],
    keepaliveS: TUNNEL_KEEPALIVE_S,
  })
  return resource(`tunnel/${rack}/${host}`, { case: 'tunnel', value })
}

/**
 * The CC of a rack that is the edge of a VPC there: it has its networks' gateways, and all that is
 * translated for it. Null while the rack has none.
 */
export function ccFor(view: View, rack: string, vpc: string): string | null {
  return gatewayFor(rack, vpc, gatewaysOf(view, rack))?.host ?? null
}

/** Is the agent the edge of a VPC in its rack? One that has not reported its key may be alone. */
export function isEdge(
  view: View,
  agent: { readonly rack: string; readonly host: string },
  vpc: string,
): boolean {
  const host = ccFor(view, agent.rack, vpc)
  return host === null || host === agent.host
}

/** The fabric address of a VPC's edge in a rack. */
export function ccAddress(view: View, rack: string, vpc: string): string | null {
  return fabricAddress(view, rack, gatewayFor(rack, vpc, gatewaysOf(view, rack)))
}

/** The fabric address of exactly this CC, null while it has no key. */
export function exactCcAddress(view: View, rack: string, host: string): string | null {
  const record = view.get('host', rack, host)
  return fabricAddress(view, rack, record !== null && isGateway(record) ? record : null)
}

/** The CCs of a rack that have a key: the others have not reported yet. */
export function gatewaysOf(view: View, rack: string): OverlayGateway[] {
  return view.withPrefix('host', `${rack}/`).filter(isGateway).map(gatewayOf)
}

export function isGateway(host: HostRecord): boolean {
  return host.roles.includes('cc') && (host.status?.wireguardPublicKey ?? '') !== ''
}

export function fabricOf(cloudFabric: string, rackIndex: number): string {
  return formatCidr(rackFabric(mustCidr(cloudFabric), rackIndex))
}

/** Every address that an interface has. */
export function addressesOf(one: InterfaceRecord): string[] {
  return [one.ipv4, ...one.ipv4More, one.ipv6, ...one.ipv6More].filter((each) => each !== '')
}

function fabricAddress(
  view: View,
  rack: string,
  cc: { readonly index: number } | null,
): string | null {
  const cloud = view.get('cloud', 'self')
  const record = view.get('rack', rack)
  if (cloud === null || record === null || cc === null) return null
  return formatAddress(hostFabric(mustCidr(cloud.fabricPrefix), record.index, cc.index))
}

function overlayRack(view: View, name: string): OverlayRack | null {
  const cloud = view.get('cloud', 'self')
  const rack = view.get('rack', name)
  if (cloud === null || rack === null) return null
  return {
    name,
    index: rack.index,
    fabric: fabricOf(cloud.fabricPrefix, rack.index),
    vpcs: vpcsOf(view, name),
    gateways: gatewaysOf(view, name).map((one) => ({
      ...one,
      beyond: beyond(view, name, one.host),
    })),
  }
}

/** Its subnets, and of stretched ones the addresses that are here. */
function vpcsOf(view: View, rack: string): OverlayVpc[] {
  const found = new Map<string, string[]>()
  const add = (vpc: string, prefixes: readonly string[]): void => {
    found.set(vpc, [...(found.get(vpc) ?? []), ...prefixes])
  }
  for (const { vpc, ipv4Cidr, ipv6Cidr } of view.subnetsOf('rack', rack)) {
    add(
      vpc,
      [ipv4Cidr, ipv6Cidr].filter((cidr) => cidr !== ''),
    )
  }
  for (const subnet of view.subnetsOf('rack', EVERY_RACK)) {
    for (const one of view.interfacesOf('subnet', subnet.id)) {
      if (one.rack !== rack) continue
      const addresses = addressesOf(one).map((each) => formatCidr(single(mustAddress(each))))
      add(subnet.vpc, addresses)
    }
  }
  return [...found].map(([id, prefixes]) => ({ id, prefixes }))
}

function gatewayOf(host: HostRecord): OverlayGateway {
  return {
    host: host.host,
    index: host.index,
    publicKey: host.status?.wireguardPublicKey ?? '',
    endpoints: host.status?.wireguardEndpoints ?? [],
    connected: host.status?.connected ?? false,
    beyond: [],
  }
}
