// Customer gateways: IPsec and WireGuard devices, each once.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openRaceCloud } from './race-support.ts'
import { type Call, OTHER_ACCOUNT, openCloud, refusal, refused, START_MS } from './support.ts'
import { customerGateway, Type } from './vpn-support.ts'

const KEY = Buffer.alloc(32, 7).toString('base64')
const OTHER_KEY = Buffer.alloc(32, 8).toString('base64')
const LATER_MS = START_MS + 60_000

test('a customer gateway is shown as it was made, with its tags', async (t) => {
  const { call } = await openCloud(t, { racks: [] })
  const Tags = [{ Key: 'site', Value: 'office' }]
  const { CustomerGateway: made } = await call('CreateCustomerGateway', {
    ...{ Type, PublicIp: '2001:DB8::7', BgpAsnExtended: 4_200_000_000, DeviceName: 'router 1' },
    TagSpecifications: [{ ResourceType: 'customer-gateway', Tags }],
  })
  assert.deepEqual(made, {
    ...{ CustomerGatewayId: made?.CustomerGatewayId, State: 'available', Type },
    ...{ IpAddress: '2001:db8::7', BgpAsn: undefined, BgpAsnExtended: '4200000000' },
    ...{ DeviceName: 'router 1', Tags },
  })
  assert.match(made?.CustomerGatewayId ?? '', /^cgw-[0-9a-f]{17}$/)
  for (const [Name, value] of [
    ['bgp-asn', '4200000000'],
    ['customer-gateway-id', made?.CustomerGatewayId ?? ''],
    ['ip-address', '2001:db8::*'],
    ['state', 'available'],
    ['type', Type],
    ['tag:site', 'office'],
  ] as const) {
    const ask = async (text: string) =>
      (await call('DescribeCustomerGateways', { Filters: [{ Name, Values: [text] }] }))
        .CustomerGateways
    assert.deepEqual(await ask(value), [made], Name)
    assert.deepEqual(await ask('nothing'), [], Name)
  }
  const described = await call('DescribeTags', {})
  assert.deepEqual(
    described.Tags?.map(({ ResourceType }) => ResourceType),
    ['customer-gateway'],
  )
})

test('a WireGuard device needs no address, and its key tells it from others', async (t) => {
  const { call, state } = await openCloud(t, { racks: [] })
  const { CustomerGateway: made } = await call('CreateCustomerGateway', {
    ...{ Type, DeviceName: `wireguard:${KEY}` },
  })
  assert.equal(made?.IpAddress, undefined)
  assert.equal(made?.BgpAsn, '65000')
  const id = made?.CustomerGatewayId ?? ''
  const { ipAddress, publicKey } = (await state.fresh()).get('customer-gateway', id) ?? {}
  assert.deepEqual({ ipAddress, publicKey }, { ipAddress: '', publicKey: KEY })
  const { CustomerGateway: other } = await call('CreateCustomerGateway', {
    ...{ Type, DeviceName: `wireguard:${OTHER_KEY}` },
  })
  assert.notEqual(other?.CustomerGatewayId, id)
  const { message } = await refused(
    call('CreateCustomerGateway', { Type, DeviceName: `wireguard:${KEY.slice(1)}` }),
  )
  assert.match(message, /44 characters of base64/)
  // In the test cloud's fabric, where the hosts of racks are.
  const fabric = { Type, IpAddress: 'fd12:3456:789a:1::1', DeviceName: `wireguard:${KEY}` } as const
  assert.equal(await refusal(call('CreateCustomerGateway', fabric)), 'InvalidParameterValue')
})

test('the same device again is the customer gateway that there is, until it is deleted', async (t) => {
  const { call, state } = await openCloud(t, { racks: [] })
  const first = await customerGateway(call, { BgpAsn: 65_000 })
  assert.equal(await customerGateway(call, { DeviceName: 'another name' }), first)
  assert.equal(
    await refusal(customerGateway(call, { DryRun: true })),
    'DryRunOperation',
    'also when it is there',
  )
  const others = [
    await customerGateway(call, { BgpAsn: 65_001 }),
    await customerGateway(call, { IpAddress: '192.0.2.2' }),
    await customerGateway(call, { DeviceName: `wireguard:${KEY}` }),
    await customerGateway(call, { DeviceName: `wireguard:${OTHER_KEY}` }),
    await customerGateway((action, input) => call(action, input, { account: OTHER_ACCOUNT })),
  ]
  assert.equal(new Set([first, ...others]).size, 6)
  await call('DeleteCustomerGateway', { CustomerGatewayId: first }, { nowMs: LATER_MS })
  const record = (await state.fresh()).get('customer-gateway', first)
  assert.deepEqual([record?.state, record?.deletedAtMs], ['deleted', LATER_MS])
  const again = await customerGateway(call)
  assert.notEqual(again, first)
  const { CustomerGateways } = await call('DescribeCustomerGateways', {
    CustomerGatewayIds: [first, again],
  })
  assert.deepEqual(
    CustomerGateways?.map(({ State }) => State),
    ['deleted', 'available'],
  )
  assert.equal(
    await refusal(call('DeleteCustomerGateway', { CustomerGatewayId: first })),
    'InvalidCustomerGatewayID.NotFound',
  )
})

test('the same device of two requests at once is made once', async (t) => {
  const { cloud, other, race } = await openRaceCloud(t, { racks: [] })
  const ids = new Set<string>()
  const make = (call: Call) => async () => ids.add(await customerGateway(call))
  assert.deepEqual(await race(make(cloud.call), make(other)), ['accepted', 'accepted'])
  assert.equal(ids.size, 1)
})
