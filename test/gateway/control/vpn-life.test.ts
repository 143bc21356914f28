// Tunnels of VPN connections follow the CCs that there are, and what was deleted fades.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { silentLog } from '../../../common/log.ts'
import { withoutHost } from '../../../gateway/control/departure.ts'
import { tendVpns } from '../../../gateway/control/vpn-life.ts'
import type { HostRecord } from '../../../gateway/store/records.ts'
import { openCloud, START_MS, setHost } from '../ec2/support.ts'
import { customerGateway, vpnConnection, vpnGateway, vpnLink } from './vpn-changes.ts'

const HOUR_MS = 3_600_000

const tagsOf = (resourceType: string, resource: string) => ({
  ...{ resource, resourceType, account: '1', tags: { a: 'b' } },
})

async function openGround(t: TestContext, racks: readonly string[], ends: readonly string[]) {
  const { state } = await openCloud(t, { racks })
  for (const rack of racks) {
    await setHost(state, rack, `${rack}0`, { wireguardPublicKey: `${rack}0`, connected: true })
  }
  await state.update((tx) => tx.put('vpn-connection', ['vpn-1'], vpnConnection(1, ends)))
  return {
    state,
    tend: (nowMs = START_MS) => tendVpns({ state, clock: { nowMs: () => nowMs }, log: silentLog }),
    ends: () =>
      state
        .view()
        .get('vpn-connection', 'vpn-1')
        ?.tunnels.map(({ rack, host }) => `${rack}/${host}`),
  }
}

test('a tunnel that no CC was there for gets the next one that comes', async (t) => {
  const { state, tend, ends } = await openGround(t, ['a', 'b'], ['a/a0', ''])
  await setHost(state, 'b', 'b0', { wireguardPublicKey: '' })
  await tend()
  assert.deepEqual(ends(), ['a/a0', '/'], 'it has not said its key yet')
  await setHost(state, 'b', 'b0', { wireguardPublicKey: 'b0' })
  await tend()
  assert.deepEqual(ends(), ['a/a0', 'b/b0'])
  const { revision } = state.view()
  await tend()
  assert.equal(state.view().revision, revision, 'twice changes nothing')
})

test('a tunnel of a CC that left for good moves, the other one stays', async (t) => {
  const { state, tend, ends } = await openGround(t, ['a', 'b', 'c'], ['a/a0', 'b/b0'])
  await state.update((tx) => tx.put('vpn-link', ['1'], vpnLink(1, 'a/a0')))
  await state.update((tx) => tx.put('vpn-link', ['2'], vpnLink(2, 'b/b0')))
  await setHost(state, 'a', 'a0', { wireguardPublicKey: 'a0', connected: false })
  await tend()
  assert.deepEqual(ends(), ['a/a0', 'b/b0'], 'one that is away may come back')
  await state.update((tx) => withoutHost(tx, state, 'a', 'a0'))
  await tend()
  assert.deepEqual(ends(), ['c/c0', 'b/b0'])
  assert.equal(state.view().get('vpn-link', '1'), null)
  assert.notEqual(state.view().get('vpn-link', '2'), null)
})

test('a tunnel of a CC that is lost moves at once', async (t) => {
  const { state, tend, ends } = await openGround(t, ['a', 'b', 'c'], ['a/a0', 'b/b0'])
  await state.update(async (tx) => {
    const host = (await tx.get('host', 'b', 'b0')) as HostRecord
    await tx.put('host', ['b', 'b0'], { ...host, lostAtMs: 1 })
  })
  await tend()
  assert.deepEqual(ends(), ['a/a0', 'c/c0'])
})

test('what was deleted is there for an hour, then it goes with its tags', async (t) => {
  const { state, tend } = await openGround(t, ['a'], ['a/a0', ''])
  const deleted = { state: 'deleted', deletedAtMs: START_MS } as const
  const things = [
    ['vpn-connection', { ...vpnConnection(1, ['', '']), ...deleted }],
    ['vpn-gateway', { ...vpnGateway('vgw-1', ''), ...deleted }],
    ['customer-gateway', customerGateway('cgw-1', deleted)],
  ] as const
  await state.update(async (tx) => {
    for (const [kind, one] of things) {
      await tx.put(kind, [one.id], one)
      await tx.put('tags', [one.id], tagsOf(kind, one.id))
    }
    await tx.put('customer-gateway', ['cgw-2'], customerGateway('cgw-2'))
  })
  const left = () => [
    ...things.map(([kind, { id }]) => state.view().get(kind, id) !== null),
    ...things.map(([, { id }]) => state.view().get('tags', id) !== null),
  ]
  await tend(START_MS + HOUR_MS)
  assert.deepEqual(left(), Array(6).fill(true))
  await tend(START_MS + HOUR_MS + 1)
  assert.deepEqual(left(), Array(6).fill(false))
  assert.notEqual(state.view().get('customer-gateway', 'cgw-2'), null)
})
