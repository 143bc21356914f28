// Which routes of VPN connections count in a route table.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RouteTableRecord } from '../../../gateway/store/network-records.ts'
import { propagatedRoutes } from '../../../gateway/vpn/propagation.ts'
import { startView, type Write } from '../control/records.ts'

const GATEWAY = 'vgw-1'

function gateway(id: string, fields: object = {}): Write {
  return [`vpn-gateway/${id}`, { id, vpc: 'vpc-1', state: 'available', ...fields }]
}

function connection(id: string, routes: readonly string[], fields: object = {}): Write {
  return [
    `vpn-connection/${id}`,
    { id, vpnGateway: GATEWAY, state: 'available', routes, ...fields },
  ]
}

function table(fields: Partial<RouteTableRecord> = {}): RouteTableRecord {
  const own = { id: 'rtb-1', account: '1', vpc: 'vpc-1', routes: [], createdAtMs: 0 }
  return { ...own, propagating: [GATEWAY], ...fields }
}

function destinations(of: RouteTableRecord, ...writes: readonly Write[]): string[] {
  return propagatedRoutes(startView(...writes), of).map(({ destination, targetId }) => {
    assert.equal(targetId, GATEWAY)
    return destination
  })
}

const HERE = [gateway(GATEWAY), connection('vpn-1', ['192.168.0.0/16', '2001:db8:9::/48'])] as const

test('propagatedRoutes gives each route of the gateway’s connections once, by id', () => {
  assert.deepEqual(
    destinations(
      table(),
      gateway(GATEWAY),
      connection('vpn-2', ['192.168.0.0/16', '172.20.0.0/16']),
      connection('vpn-1', ['192.168.4.0/24', '192.168.0.0/16'], { state: 'pending' }),
    ),
    ['192.168.4.0/24', '192.168.0.0/16', '172.20.0.0/16'],
  )
})

test('propagatedRoutes takes nothing of tables, gateways and connections that have no say', () => {
  assert.deepEqual(destinations(table({ propagating: [] }), ...HERE), [])
  assert.deepEqual(destinations(table({ propagating: ['vgw-2'] }), ...HERE), [])
  assert.deepEqual(destinations(table(), ...HERE, gateway(GATEWAY, { vpc: '' })), [])
  assert.deepEqual(destinations(table(), ...HERE, gateway(GATEWAY, { vpc: 'vpc-2' })), [])
  assert.deepEqual(destinations(table(), ...HERE, gateway(GATEWAY, { state: 'deleted' })), [])
  const ended = connection('vpn-1', ['192.168.0.0/16'], { state: 'deleted' })
  assert.deepEqual(destinations(table(), HERE[0], ended), [])
  const elsewhere = connection('vpn-1', ['192.168.0.0/16'], { vpnGateway: 'vgw-2' })
  assert.deepEqual(destinations(table(), HERE[0], elsewhere), [])
})

test('a route of the table, also by a prefix list, goes before one that is propagated', () => {
  const to = { target: 'internet-gateway' as const, targetId: 'igw-1' }
  const own = table({ routes: [{ destination: '192.168.0.0/16', ...to }] })
  assert.deepEqual(destinations(own, ...HERE), ['2001:db8:9::/48'])
  const wider = table({ routes: [{ destination: '192.0.0.0/8', ...to }] })
  assert.deepEqual(destinations(wider, ...HERE), ['192.168.0.0/16', '2001:db8:9::/48'])
  const listed = table({ routes: [{ destination: 'pl-1', ...to }] })
  const entries = [{ cidr: '2001:db8:9::/48', description: '' }]
  const list: Write = ['prefix-list/pl-1', { id: 'pl-1', entries }]
  assert.deepEqual(destinations(listed, ...HERE, list), ['192.168.0.0/16'])
})

test('what is within the VPC’s own blocks is never propagated, however specific', () => {
  const inside = connection('vpn-1', ['10.0.0.0/20', '10.0.1.0/24', '10.0.0.0/8'])
  assert.deepEqual(destinations(table(), HERE[0], inside), ['10.0.0.0/8'])
})
