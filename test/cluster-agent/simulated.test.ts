// The host that is a model: it follows the desired state as a real one does.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { simulatedRoles } from '../../cluster-agent/simulated/roles.ts'
import { linkAddressOf } from '../../common/link-address.ts'
import {
  BalancerProtocol,
  BalancerSchema,
  TargetGroupSchema,
  TargetSchema,
  TargetState,
} from '../../proto/gen/mallee/v1/balancers_pb.js'
import {
  IpsecVpnSchema,
  PeerLinkSchema,
  VpnLinkSchema,
  WireguardVpnSchema,
} from '../../proto/gen/mallee/v1/border_pb.js'
import {
  InstanceSchema,
  InterfaceSchema,
  Power,
  RackConfigSchema,
  TunnelSchema,
} from '../../proto/gen/mallee/v1/desired_pb.js'
import { InstanceState } from '../../proto/gen/mallee/v1/observed_pb.js'
import { MemberSchema } from '../../proto/gen/mallee/v1/tenants_pb.js'
import { VolumeSchema, VolumeState } from '../../proto/gen/mallee/v1/volumes_pb.js'
import { type Desired, resource } from '../../proto/resources.ts'

function roles(now: { ms: number; wake: () => void }) {
  return simulatedRoles({
    host: 'n1',
    roles: ['cc', 'nc', 'sc'],
    bootMs: 1_000,
    publicKey: 'K',
    clock: {
      nowMs: () => now.ms,
      sleep: () =>
        new Promise((resolve) => {
          now.wake = resolve
        }),
    },
  })
}

async function pass(model: ReturnType<typeof roles>, desired: Desired): Promise<void> {
  for (const { run } of model.passes) await run(desired)
}

function instance(id: string, power: Power, host = 'n1') {
  const value = create(InstanceSchema, { id, host, power })
  return [`instance/${id}`, resource(`instance/${id}`, { case: 'instance', value })] as const
}

test('simulatedRoles boots an instance after its time, says so, and forgets what is gone', async () => {
  const now: { ms: number; wake: () => void } = { ms: 5, wake: () => undefined }
  const model = roles(now)
  const states: (InstanceState | undefined)[] = []
  const state = () => {
    const [{ body } = {}] = model.statuses()
    return body?.case === 'instance' ? body.value.state : undefined
  }
  const heard = new Promise<void>((resolve) => model.onStatus(() => resolve()))
  await pass(model, new Map([instance('i-1', Power.RUNNING), instance('i-2', Power.RUNNING, 'n2')]))
  states.push(state())
  now.wake()
  await heard
  states.push(state())
  await pass(model, new Map([instance('i-1', Power.TERMINATED)]))
  states.push(state())
  await pass(model, new Map())
  states.push(state())
  const { PENDING, RUNNING, TERMINATED } = InstanceState
  assert.deepEqual(states, [PENDING, RUNNING, TERMINATED, undefined])
})

test('simulatedRoles has load balancers; a target is well while its guest answers', async () => {
  const now: { ms: number; wake: () => void } = { ms: 5, wake: () => undefined }
  const model = roles(now)
  const nic = (id: string, instanceId: string, ipv4: string) => {
    const value = create(InterfaceSchema, { id, instanceId, ipv4 })
    return [`interface/${id}`, resource(`interface/${id}`, { case: 'interface', value })] as const
  }
  const target = (address: string, racks: string[] = []) => {
    const key = `target/tg-1/${address}/80`
    const value = create(TargetSchema, { targetGroupId: 'tg-1', address, port: 80, racks })
    return [key, resource(key, { case: 'target', value })] as const
  }
  const balancer = create(BalancerSchema, {
    ...{ id: 'lb-1', interfaceId: 'eni-lb', host: 'n1' },
    listeners: [{ id: 'l-1', protocol: BalancerProtocol.TCP, port: 80, targetGroupId: 'tg-1' }],
  })
  const member = create(MemberSchema, { interfaceId: 'eni-far', addresses: ['10.0.9.9'] })
  const rack = create(RackConfigSchema, { rack: 'a' })
  const group = create(TargetGroupSchema, { id: 'tg-1' })
  const desired: Desired = new Map([
    ['rack', resource('rack', { case: 'rack', value: rack })],
    ['balancer/eni-lb', resource('balancer/eni-lb', { case: 'balancer', value: balancer })],
    ['target-group/tg-1', resource('target-group/tg-1', { case: 'targetGroup', value: group })],
    ['member/sg/eni-far', resource('member/sg/eni-far', { case: 'member', value: member })],
    ...[instance('i-1', Power.RUNNING), nic('eni-1', 'i-1', '10.0.0.1')],
    ...[instance('i-2', Power.RUNNING, 'n2'), nic('eni-2', 'i-2', '10.0.0.2')],
    ...[target('10.0.0.1'), target('10.0.0.2', ['a']), target('10.0.0.3'), target('10.0.9.9')],
    target('10.0.0.4', ['b']),
  ])
  const { HEALTHY, UNHEALTHY } = TargetState
  const told = () =>
    model.statuses().flatMap(({ key, body }) => {
      if (body.case === 'balancer') return [`${key} ${body.value.serving}`]
      return body.case === 'target' ? [`${key} ${TargetState[body.value.state]}`] : []
    })
  const states = (...all: TargetState[]) => [
    'balancer/eni-lb true',
    ...['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.9.9'].map((address, index) => {
      return `target/eni-lb/tg-1/${address}/80 ${TargetState[all[index] ?? 0]}`
    }),
  ]
  await pass(model, desired)
  assert.deepEqual(told(), states(UNHEALTHY, HEALTHY, UNHEALTHY, HEALTHY))
  const heard = new Promise<void>((resolve) => model.onStatus(() => resolve()))
  now.wake()
  await heard
  assert.deepEqual(told(), states(HEALTHY, HEALTHY, UNHEALTHY, HEALTHY))
  model.deafen('i-1')
  assert.deepEqual(told(), states(UNHEALTHY, HEALTHY, UNHEALTHY, HEALTHY))
  await pass(model, new Map())
  assert.deepEqual(told(), [])
})

test('simulatedRoles says on the console that it is simulated, and knows no other console', async () => {
  const model = roles({ ms: 5, wake: () => undefined })
  await pass(model, new Map([instance('i-1', Power.RUNNING)]))
  const text = Buffer.from((await model.consoleOutput?.('i-1', 1000)) ?? []).toString()
  assert.match(text, /^simulated guest i-1 on n1/)
  await assert.rejects(async () => model.consoleOutput?.('i-9', 1000), { code: 'NotFound' })
})

test('simulatedRoles reports a failed guest as stopped with a reason', async () => {
  const model = roles({ ms: 5, wake: () => undefined })
  await pass(model, new Map([instance('i-1', Power.RUNNING)]))
  model.fail('i-1')
  const [{ body } = {}] = model.statuses()
  assert.equal(body?.case === 'instance' && body.value.reasonCode, 'Server.InternalError')
  assert.throws(() => model.fail('i-9'), { code: 'NotFound' })
})

test('simulatedRoles shakes hands with each desired tunnel', async () => {
  const model = roles({ ms: 5, wake: () => undefined })
  const value = create(TunnelSchema, { rack: 'b', host: 'b1' })
  await pass(model, new Map([['tunnel/b/b1', resource('tunnel/b/b1', { case: 'tunnel', value })]]))
  assert.deepEqual(
    model.statuses().map((one) => one.key),
    ['tunnel/b/b1'],
  )
})

test('simulatedRoles has a key for each peer cloud, and hears its borders', async () => {
  const model = roles({ ms: 120_000, wake: () => undefined })
  const keyOf = async (number: number) => {
    const borders = [{ rack: 'x', host: 'x1', publicKey: 'k' }]
    const value = create(PeerLinkSchema, { number, listenPort: 52_000 + number, borders })
    const key = `peer-link/${number}`
    await pass(model, new Map([[key, resource(key, { case: 'peerLink', value })]]))
    const [body] = model.statuses().map((one) => one.body)
    assert.equal(body?.case, 'peerLink')
    if (body?.case !== 'peerLink') return ''
    assert.ok((body.value.borders[0]?.handshakeAtMs ?? 0n) > 0n)
    assert.notEqual(linkAddressOf(body.value.publicKey), null)
    return body.value.publicKey
  }
  assert.notEqual(await keyOf(1), await keyOf(2))
  assert.equal(await keyOf(1), await keyOf(1))
  await pass(model, new Map())
  assert.deepEqual(model.statuses(), [])
})

test('simulatedRoles holds its own tunnels to devices of customers, and each is up', async () => {
  const now = { ms: 120_000, wake: () => undefined }
  const model = roles(now)
  const linkOf = (number: number, host: string, isIpsec: boolean) => {
    const listenPort = 44_000 + number
    const kind = isIpsec
      ? { case: 'ipsec' as const, value: create(IpsecVpnSchema, {}) }
      : { case: 'wireguard' as const, value: create(WireguardVpnSchema, { listenPort }) }
    const value = create(VpnLinkSchema, { number, host, kind })
    return resource(`vpn/${number}`, { case: 'vpnLink', value })
  }
  const links = [linkOf(1, 'n1', false), linkOf(2, 'n1', true), linkOf(3, 'n2', true)]
  await pass(model, new Map(links.map((one) => [one.key, one])))
  now.ms += 1
  await pass(model, new Map(links.map((one) => [one.key, one])))
  const seen = model.statuses().map(({ key, body }) => {
    assert.ok(body.case === 'vpnLink')
    const { host, publicKey, endpoints, up, changedAtMs } = body.value
    const [, port = ''] = endpoints[0]?.split(':') ?? []
    return [key, host, linkAddressOf(publicKey) !== null, port, up, changedAtMs]
  })
  assert.deepEqual(seen, [
    ['vpn/1', 'n1', true, '44001', true, 120_000n],
    ['vpn/2', 'n1', false, '', true, 120_000n],
  ])
  await pass(model, new Map())
  assert.deepEqual(model.statuses(), [])
})

const VOLUME = 'vol-0123456789abcdef0'
const TARGET = `iqn.2026-01.cloud.mallee:${VOLUME}`
const SECRET = { chapUser: 'att-1', chapSecret: '0'.repeat(32) }

function volume(fields: { deleted?: boolean; generations?: readonly number[] }) {
  const grants = (fields.generations ?? []).map((generation) => ({
    ...{
      attachment: `att-${generation}`,
      generation: BigInt(generation),
      initiatorIqn: 'iqn.2026-01.a:b',
    },
    ...{ ...SECRET, chapUser: `att-${generation}` },
  }))
  const value = create(VolumeSchema, {
    ...{ id: VOLUME, host: 'n1', sizeBytes: 2n ** 30n, targetIqn: TARGET, grants },
    deleted: fields.deleted ?? false,
  })
  return [`volume/${VOLUME}`, resource(`volume/${VOLUME}`, { case: 'volume', value })] as const
}

test('simulatedRoles serves volumes as an SC does: the newest generation, and none that is past', async () => {
  const model = roles({ ms: 5, wake: () => undefined })
  const said = async (fields: Parameters<typeof volume>[0]) => {
    await pass(model, new Map([volume(fields)]))
    const { body } = model.statuses().find(({ key }) => key === `volume/${VOLUME}`) ?? {}
    if (body?.case !== 'volume') return null
    return [body.value.state, body.value.grants.map(({ attachment }) => attachment)]
  }
  assert.equal(model.volumeStore()?.backend, 'files')
  assert.deepEqual(await said({}), [VolumeState.READY, []])
  assert.deepEqual(await said({ generations: [1] }), [VolumeState.READY, ['att-1']])
  assert.deepEqual(await said({ generations: [2] }), [VolumeState.READY, ['att-2']])
  assert.deepEqual(await said({ generations: [1] }), [VolumeState.READY, ['att-2']])
  assert.deepEqual(await said({}), [VolumeState.READY, []])
  assert.deepEqual(await said({ deleted: true }), [VolumeState.DELETED, []])
  assert.deepEqual(await said({ generations: [3] }), [VolumeState.ERROR, []])
})

test('simulatedRoles has in a guest what that is told, while it runs', async () => {
  const now: { ms: number; wake: () => void } = { ms: 5, wake: () => undefined }
  const model = roles(now)
  const heard = new Promise<void>((resolve) => model.onStatus(() => resolve()))
  const one = { volumeId: VOLUME, targetIqn: TARGET, serial: 'vol0123456789abcdef0', ...SECRET }
  const volumes = ['192.0.2.1:3260', ''].map((portal, n) => ({
    ...{ ...one, portal, attachment: `att-${n + 1}`, generation: BigInt(n + 1) },
  }))
  const value = create(InstanceSchema, { id: 'i-1', host: 'n1', power: Power.RUNNING, volumes })
  const desired = new Map([['instance/i-1', resource('instance/i-1', { case: 'instance', value })]])
  const plugged = () => {
    const [{ body } = {}] = model.statuses()
    const all = body?.case === 'instance' ? body.value.volumes : []
    return all.map(({ attachment, trouble }) => [attachment, trouble])
  }
  await pass(model, desired)
  assert.deepEqual(plugged(), [])
  now.wake()
  await heard
  assert.deepEqual(plugged(), [
    ['att-1', ''],
    ['att-2', `${VOLUME} is served nowhere`],
  ])
})
