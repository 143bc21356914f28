// Where nodes live and what the desired state means for them, as plans: no host.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import {
  type LinksSeen,
  type NodeLink,
  planLinks,
} from '../../../../cluster-agent/nc/balancers/links.ts'
import { wantedNodes } from '../../../../cluster-agent/nc/balancers/wanted.ts'
import {
  BalancerSchema,
  TargetGroupSchema,
  TargetSchema,
} from '../../../../proto/gen/mallee/v1/balancers_pb.js'
import { RackConfigSchema } from '../../../../proto/gen/mallee/v1/desired_pb.js'
import { type Desired, resource } from '../../../../proto/resources.ts'

const LINK: NodeLink = {
  ...{ interfaceId: 'eni-1', netns: 'mallee-lb-eni-1', device: 'lb0000000001', mtu: 1_420 },
  ...{ mac: '02:00:00:00:00:01', addresses: ['10.0.1.5/24', 'fd00::5/64'], forwards: false },
  gateways: ['10.0.1.1', 'fd00::1'],
}

/** What `planLinks` does to make a link, as if done. */
function made(link: NodeLink, change: Partial<NodeLink> = {}): LinksSeen {
  const { device, netns, mac, mtu, addresses, gateways } = { ...link, ...change }
  const settings = planLinks([link], { netns: new Map(), devices: new Map() }).flatMap((step) =>
    step.kind === 'settings' ? [...step.values] : [],
  )
  const up = { mac, mtu, up: true }
  const own = addresses.map((cidr) => ({ cidr, family: 4 as const, scope: 'global' }))
  const inside = {
    link: { name: 'eth0', ...up, addresses: own },
    routes: gateways.map((gateway) => {
      return { destination: '0.0.0.0/0', device: 'eth0', protocol: 'boot', gateway }
    }),
    settings: new Map(settings),
  }
  return {
    netns: new Map([[netns, inside]]),
    devices: new Map([[device, { name: device, ...up, mac: '', addresses: [] }]]),
  }
}

const steps = (wanted: readonly NodeLink[], seen: LinksSeen) =>
  planLinks(wanted, seen).map((step) => {
    if (step.kind === 'inside' || step.kind === 'outside') return step.lines.join('; ')
    return step.kind === 'settings' ? [...step.values.keys()].join(' ') : step.kind
  })

test('planLinks makes a namespace in order, leaves one that is right, and mends others', () => {
  const nothing: LinksSeen = { netns: new Map(), devices: new Map() }
  const kinds = planLinks([LINK], nothing).map(({ kind }) => kind)
  assert.deepEqual(kinds, ['add', 'plug', 'settings', 'outside', 'inside'])
  assert.deepEqual(steps([LINK], made(LINK)), [])
  assert.deepEqual(steps([], made(LINK)), ['unplug', 'remove'])
  assert.deepEqual(steps([LINK], made(LINK, { mtu: 1_400 })), [
    'link set dev lb0000000001 addrgenmode none mtu 1420 up',
    'link set dev eth0 mtu 1420 up',
  ])
  assert.deepEqual(steps([LINK], made(LINK, { addresses: ['10.0.1.5/24', '10.0.1.9/24'] })), [
    'address add fd00::5/64 dev eth0 nodad; address delete 10.0.1.9/24 dev eth0',
  ])
  assert.deepEqual(steps([LINK], made(LINK, { gateways: ['10.0.1.1'] })), [
    'route replace default via fd00::1 dev eth0',
  ])
  assert.deepEqual(steps([{ ...LINK, forwards: true }], made(LINK)), [
    'net.ipv4.ip_forward net.ipv6.conf.all.forwarding',
  ])
  // The namespace died with its end of the cable, or the cable was cut.
  const lost = { ...made(LINK), netns: new Map() }
  assert.deepEqual(
    planLinks([LINK], lost).map(({ kind }) => kind),
    ['add', 'unplug', 'plug', 'settings', 'outside', 'inside'],
  )
})

test('wantedNodes are those of the host, with the targets of its rack', () => {
  const balancer = (id: string, host: string) =>
    create(BalancerSchema, {
      ...{ id: 'lb', interfaceId: id, host },
      listeners: [{ id: 'l', port: 80, targetGroupId: 'tg-1' }],
    })
  const of = (address: string, racks: string[]) =>
    create(TargetSchema, { targetGroupId: 'tg-1', address, port: 80, racks })
  const desired: Desired = new Map(
    [
      resource('rack', { case: 'rack', value: create(RackConfigSchema, { rack: 'a' }) }),
      resource('balancer/eni-1', { case: 'balancer', value: balancer('eni-1', 'h1') }),
      resource('balancer/eni-2', { case: 'balancer', value: balancer('eni-2', 'h2') }),
      resource('target-group/tg-1', {
        case: 'targetGroup',
        value: create(TargetGroupSchema, { id: 'tg-1' }),
      }),
      resource('target/tg-1/10.0.0.1/80', { case: 'target', value: of('10.0.0.1', []) }),
      resource('target/tg-1/10.0.0.2/80', { case: 'target', value: of('10.0.0.2', ['b']) }),
      resource('target/tg-1/10.0.0.3/80', { case: 'target', value: of('10.0.0.3', ['a']) }),
    ].map((one) => [one.key, one]),
  )
  const [mine, ...others] = wantedNodes(desired, 'h1')
  assert.equal(others.length, 0)
  assert.deepEqual(
    mine?.groups.flatMap(({ targets }) => targets.map(({ address }) => address)),
    ['10.0.0.1', '10.0.0.3'],
  )
  const without = new Map([...desired].filter(([key]) => key !== 'target-group/tg-1'))
  assert.deepEqual(wantedNodes(without, 'h1')[0]?.missing, ['target-group/tg-1'])
})
