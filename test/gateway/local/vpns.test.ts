// What operators see of VPN connections: every account's tunnels, who holds them and how they are.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createMetrics } from '../../../gateway/metrics.ts'
import { customerGateway, vpnConnection, vpnGateway, vpnLink } from '../control/vpn-changes.ts'
import { ACCOUNT, openCloud, setHost } from '../ec2/support.ts'
import { localApi } from './support.ts'

test('tunnels are listed and counted with the CCs that hold them', async (t) => {
  const cloud = await openCloud(t, { racks: ['a', 'b'] })
  const { call } = localApi(t, cloud)
  await setHost(cloud.state, 'a', 'a0', { connected: true })
  await setHost(cloud.state, 'b', 'b0', { connected: false })
  const device = customerGateway('cgw-2', { publicKey: 'K', ipAddress: '' })
  const more = { account: ACCOUNT, customerGateway: 'cgw-2', state: 'pending' } as const
  const deleted = vpnConnection(3, ['a/a0', ''], { state: 'deleted' })
  await cloud.state.update(async (tx) => {
    await tx.put('customer-gateway', ['cgw-1'], customerGateway('cgw-1'))
    await tx.put('customer-gateway', ['cgw-2'], device)
    await tx.put('vpn-gateway', ['vgw-1'], vpnGateway('vgw-1', 'vpc-1'))
    const first = vpnConnection(1, ['a/a0', 'b/b0'], { account: ACCOUNT })
    await tx.put('vpn-connection', ['vpn-1'], first)
    await tx.put('vpn-connection', ['vpn-2'], vpnConnection(2, ['a/a0', ''], more))
    await tx.put('vpn-connection', ['vpn-3'], deleted)
    await tx.put('vpn-link', ['1'], { ...vpnLink(1, 'a/a0'), changedAtMs: 5 })
    await tx.put('vpn-link', ['2'], vpnLink(2, 'b/b0'))
  })
  const { body } = await call('GET', '/v1/vpn-tunnels')
  const shown = { account: ACCOUNT, connection: 'vpn-1', state: 'available', kind: 'ipsec' }
  const one = { ...shown, vpc: 'vpc-1', device: '198.51.100.1', endpoints: ['192.0.2.1'] }
  const silent = { up: false, changedAtMs: 0 }
  const two = { ...one, connection: 'vpn-2', state: 'pending', kind: 'wireguard', device: '' }
  assert.deepEqual(body['tunnels'], [
    { ...one, number: 1, rack: 'a', host: 'a0', up: true, changedAtMs: 5, trouble: '' },
    { ...one, ...silent, number: 2, rack: 'b', host: 'b0', trouble: 'its CC is away' },
    {
      ...{ ...two, ...silent, number: 3, rack: 'a', host: 'a0', endpoints: [] },
      trouble: 'its CC has not made it yet',
    },
    {
      ...{ ...two, ...silent, number: 4, rack: '', host: '', endpoints: [] },
      trouble: 'no CC is left for it',
    },
  ])

  const metrics = createMetrics()
  metrics.setVpnTunnels(cloud.state.view())
  const { text } = await metrics.scrape()
  for (const [state, count] of [
    ['up', 1],
    ['down', 2],
    ['unplaced', 1],
  ]) {
    assert.ok(text.includes(`mallee_vpn_tunnels{state="${state}"} ${count}`), `${state}`)
  }
})
