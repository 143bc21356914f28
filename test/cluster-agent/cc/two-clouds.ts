// Two clouds with one rack each and the same IPv4 block, joined by a router that lets nothing but
// WireGuard pass; and what their gateways would desire of the borders.

import { create, type MessageInitShape } from '@bufbuild/protobuf'
import type { Cc } from '../../../cluster-agent/cc/reconcilers.ts'
import { linkAddressOf } from '../../../common/link-address.ts'
import { PeerLinkSchema } from '../../../proto/gen/mallee/v1/border_pb.js'
import * as pb from '../../../proto/gen/mallee/v1/desired_pb.js'
import { RouteKind, RoutingSchema } from '../../../proto/gen/mallee/v1/tenants_pb.js'
import { type Desired, resource } from '../../../proto/resources.ts'
import type { FakeVm } from './two-racks.ts'

export const TAG = 11
const OWN4 = '10.0.0.0/20'

export interface CloudPlan {
  /** Of its peer. */
  readonly number: number
  readonly fabric: string
  readonly own6: string
  /** By what the other side sees its block. */
  readonly seenAs: string
  readonly underlay: readonly string[]
  readonly vm: FakeVm
}

export const HERE: CloudPlan = {
  number: 3,
  fabric: 'fd00:a',
  own6: 'fd01',
  seenAs: '100.64.0.0/20',
  underlay: ['2001:db8:1::2', '192.0.1.2'],
  vm: { name: 'here', mac: '02:00:00:00:00:01', ipv4: '10.0.1.10', ipv6: 'fd01:0:0:1::10' },
}
export const THERE: CloudPlan = {
  number: 7,
  fabric: 'fd00:b',
  own6: 'fd02',
  seenAs: '100.64.16.0/20',
  underlay: ['2001:db8:2::2', '192.0.2.2'],
  vm: { name: 'there', mac: '02:00:00:00:00:02', ipv4: '10.0.1.10', ipv6: 'fd02:0:0:1::10' },
}
/** By what each side sees the other's instance. */
export const THERE_SEEN = '100.64.17.10'
export const HERE_SEEN = '100.64.1.10'

export function portOf({ number }: CloudPlan): number {
  return 52_000 + number
}

export interface Wishes {
  readonly mtu?: number
  /** Null: there is no agreement with the other cloud. */
  readonly link?: MessageInitShape<typeof PeerLinkSchema> | null
}

/** What a cloud's rack has: a network with one instance, and the link. */
export function cloudDesired(own: CloudPlan, other: CloudPlan, wishes: Wishes): Desired {
  const { mtu = 1420, link = null } = wishes
  const passes = (link?.pairs ?? []).length > 0
  const theirs = passes ? [other.seenAs, `${other.own6}::/56`] : []
  const routes = [OWN4, `${own.own6}::/56`, other.seenAs, `${other.own6}::/56`]
  const { vm } = own
  const all = [
    resource('rack', {
      case: 'rack',
      value: create(pb.RackConfigSchema, {
        ...{ region: 'mallee-1', rack: 'r1', rackIndex: 1, mtu: 1420 },
        ...{ cloudFabric: `${own.fabric}::/48`, rackFabric: `${own.fabric}:0:1::/64` },
      }),
    }),
    resource('vpc/v', {
      case: 'vpc',
      value: create(pb.VpcSchema, {
        ...{ id: 'v', ipv4Cidrs: [OWN4], ipv6Cidrs: [`${own.own6}::/56`] },
        peers: passes
          ? [{ vpcId: 'uid/v', ipv4Cidrs: theirs.slice(0, 1), ipv6Cidrs: theirs.slice(1) }]
          : [],
      }),
    }),
    resource('network/n', {
      case: 'network',
      value: create(pb.NetworkSchema, {
        ...{ id: 'n', vpcId: 'v', vlanTag: TAG, vni: 5000, mtu, domain: 'mallee.internal' },
        ...{ ipv4Cidr: '10.0.1.0/24', ipv4Gateway: '10.0.1.1' },
        ...{ ipv6Cidr: `${own.own6}:0:0:1::/64`, ipv6Gateway: `${own.own6}:0:0:1::1` },
      }),
    }),
    resource('routing/n', {
      case: 'routing',
      value: create(RoutingSchema, {
        ...{ subnetId: 'n', vlanTag: TAG, ipv4Cidr: '10.0.1.0/24' },
        ipv6Cidr: `${own.own6}:0:0:1::/64`,
        routes: routes.map((destination) => ({ destination, kind: RouteKind.LOCAL })),
      }),
    }),
    resource(`interface/${vm.name}`, {
      case: 'interface',
      value: create(pb.InterfaceSchema, {
        ...{ id: vm.name, networkId: 'n', hostname: vm.name, sourceDestCheck: true },
        ...{ mac: vm.mac, ipv4: vm.ipv4, ipv6: vm.ipv6 },
      }),
    }),
  ]
  if (link !== null) {
    const value = create(PeerLinkSchema, link)
    all.push(resource(`peer-link/${own.number}`, { case: 'peerLink', value }))
  }
  return new Map(all.map((one) => [one.key, one]))
}

/** The link of a border that carries all; without a key of the other's it waits for one. */
export function linkTo(
  own: CloudPlan,
  other: CloudPlan,
  publicKey: string | null,
): MessageInitShape<typeof PeerLinkSchema> {
  const base = { number: own.number, name: 'other', listenPort: portOf(own), mtu: 1420 }
  if (publicKey === null) return base
  const endpoints = other.underlay.map((address) =>
    address.includes(':') ? `[${address}]:${portOf(other)}` : `${address}:${portOf(other)}`,
  )
  const far6 = `${other.own6}::/56`
  return {
    ...base,
    borders: [
      {
        ...{ rack: 'r1', host: 'h1', publicKey, endpoints },
        linkAddress: linkAddressOf(publicKey) ?? '',
        allowedIps: [other.seenAs, far6],
      },
    ],
    translations: [{ own: OWN4, seenAs: own.seenAs }],
    pairs: [
      { own: OWN4, theirs: other.seenAs },
      { own: `${own.own6}::/56`, theirs: far6 },
    ],
  }
}

/** The key that a CC says it has for the peer. */
export function keyOf(cc: Cc): string {
  const statuses = cc.statuses().map(({ body }) => body)
  const link = statuses.find((body) => body.case === 'peerLink')
  if (link?.case !== 'peerLink') throw new Error('no link to a peer cloud is reported')
  return link.value.publicKey
}
