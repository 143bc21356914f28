// Tunnels to the other racks, and which CC of a rack does what.

import { create } from '@bufbuild/protobuf'
import { type Resource, TunnelSchema } from '../../proto/gen/mallee/v1/desired_pb.js'
import { resource } from '../../proto/resources.ts'
import { formatAddress, formatCidr, mustAddress, mustCidr, single } from '../../topology/cidr.ts'
import {
  gatewayFor,
  type OverlayGateway,
  type OverlayRack,
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
  if (rack === agent.rack) return null
  const here = overlayRack(view, agent.rack)
  const there = overlayRack(view, rack)
  const pair = pairName(agent.rack, rack)
  const sealed = view.get('preshared-key', pair)
  if (here === null || there === null || sealed === null) return null
  const tunnel = planTunnels([here, there], agent).find((one) => one.host === host)
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

/** The CC of a rack that does one thing, null while the rack has none. */
export function ccFor(view: View, rack: string, thing: string): string | null {
  return gatewayFor(rack, thing, gatewaysOf(view, rack))?.host ?? null
}

/** The fabric address of that CC. */
export function ccAddress(view: View, rack: string, thing: string): string | null {
  return fabricAddress(view, rack, gatewayFor(rack, thing, gatewaysOf(view, rack)))
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
    prefixes: prefixesOf(view, name),
    gateways: gatewaysOf(view, name).map((one) => ({
      ...one,
      beyond: beyond(view, name, one.host),
    })),
  }
}

/** Its subnets, and of stretched ones the addresses that are here. */
function prefixesOf(view: View, rack: string): string[] {
  const own = view
    .subnetsOf('rack', rack)
    .flatMap((subnet) => [subnet.ipv4Cidr, subnet.ipv6Cidr])
    .filter((cidr) => cidr !== '')
  const stretched = view
    .subnetsOf('rack', EVERY_RACK)
    .flatMap((subnet) => view.interfacesOf('subnet', subnet.id))
    .filter((one) => one.rack === rack)
    .flatMap(addressesOf)
    .map((address) => formatCidr(single(mustAddress(address))))
  return [...own, ...stretched]
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
