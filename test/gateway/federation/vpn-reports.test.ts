// Reports of tunnels of VPN connections: recorded once, of a CC's own tunnels alone.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { silentLog } from '../../../common/log.ts'
import { recordReport } from '../../../gateway/federation/reports.ts'
import { VpnLinkStatusSchema } from '../../../proto/gen/mallee/v1/border_pb.js'
import { StatusSchema } from '../../../proto/gen/mallee/v1/observed_pb.js'
import { key } from '../control/peer-changes.ts'
import { customerGateway, vpnConnection } from '../control/vpn-changes.ts'
import { openCloud, START_MS } from '../ec2/support.ts'

const CLOCK = { nowMs: () => START_MS, sleep: async () => undefined }
const ENDPOINTS = ['192.0.2.1:44001', '[2001:db8::1]:44001']

async function openGround(t: TestContext, publicKey: string) {
  const { state } = await openCloud(t, { racks: ['a'] })
  const ends = ['a/a0', 'b/b0']
  await state.update(async (tx) => {
    await tx.put('customer-gateway', ['cgw-1'], customerGateway('cgw-1', { publicKey }))
    const pending = vpnConnection(1, ends, { state: 'pending' })
    await tx.put('vpn-connection', ['vpn-1'], pending)
  })
  const say = async (
    host: string,
    fields: MessageInitShape<typeof VpnLinkStatusSchema> = {},
    as = host,
  ) => {
    const value = create(VpnLinkStatusSchema, {
      ...{ number: 1, host, endpoints: ENDPOINTS, up: true, changedAtMs: 5n },
      ...fields,
    })
    const status = create(StatusSchema, { key: 'vpn/1', body: { case: 'vpnLink', value } })
    const agent = { rack: 'a', host: as }
    await recordReport({ state, clock: CLOCK, log: silentLog }, agent, [status])
    return state.view().get('vpn-link', '1')
  }
  return { state, say, stateOf: () => state.view().get('vpn-connection', 'vpn-1')?.state }
}

test('recordReport keeps what a CC says of a tunnel that it holds, and nobody else', async (t) => {
  const { state, say } = await openGround(t, key(9))
  const publicKey = key(1)
  assert.equal(await say('a1', { publicKey }), null, 'another host holds it')
  assert.equal(await say('a0', { publicKey, host: 'a1' }), null, 'it speaks of another host')
  assert.equal(await say('a0', { publicKey, number: 2 }), null, 'another rack holds that')
  assert.equal(await say('a0', { publicKey, number: 7 }), null, 'there is no such tunnel')
  assert.equal(await say('a0', { publicKey: 'none' }), null, 'that is no key')
  const endpoints = [...ENDPOINTS, 'bad\nEndpoint = x']
  const kept = await say('a0', { publicKey, endpoints, trouble: 'x'.repeat(600) })
  assert.deepEqual(kept, {
    ...{ number: 1, rack: 'a', host: 'a0', publicKey, endpoints: ENDPOINTS, up: true },
    ...{ changedAtMs: 5, trouble: 'x'.repeat(500) },
  })
  const { revision } = state.view()
  await say('a0', { publicKey, endpoints, trouble: 'x'.repeat(600) })
  assert.equal(state.view().revision, revision, 'the same again is not written')
  await say('a0', { publicKey, up: false, changedAtMs: 6n })
  assert.equal(state.view().get('vpn-link', '1')?.up, false)
})

test('a connection is available when a CC has said what the device needs to know', async (t) => {
  const { say, stateOf } = await openGround(t, key(9))
  await say('a0', { up: false, trouble: 'no device' })
  assert.equal(stateOf(), 'pending', 'no key is known yet')
  await say('a0', { publicKey: key(1), endpoints: [], up: false })
  assert.equal(stateOf(), 'pending', 'nobody knows where it is')
  await say('a0', { publicKey: key(1), up: false })
  assert.equal(stateOf(), 'available')
})

test('with IPsec there is no key to wait for', async (t) => {
  const { say, stateOf } = await openGround(t, '')
  await say('a0', { endpoints: ['192.0.2.1'], up: false })
  assert.equal(stateOf(), 'available')
})

test('a report of a tunnel that was deleted meanwhile changes nothing', async (t) => {
  const { state, say } = await openGround(t, '')
  const deleted = vpnConnection(1, ['a/a0', ''], { state: 'deleted', deletedAtMs: 1 })
  await state.update((tx) => tx.put('vpn-connection', ['vpn-1'], deleted))
  assert.equal(await say('a0'), null)
  assert.deepEqual(state.view().get('vpn-connection', 'vpn-1'), deleted)
})
