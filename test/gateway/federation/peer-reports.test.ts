// Reports of tunnels to peer clouds: recorded once, of a CC's own devices alone.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { silentLog } from '../../../common/log.ts'
import { silenceLinks } from '../../../gateway/federation/peer-reports.ts'
import { recordReport } from '../../../gateway/federation/reports.ts'
import { PeerLinkStatusSchema } from '../../../proto/gen/mallee/v1/border_pb.js'
import { StatusSchema } from '../../../proto/gen/mallee/v1/observed_pb.js'
import { key, peer } from '../control/peer-changes.ts'
import { openCloud, START_MS } from '../ec2/support.ts'

const CLOCK = { nowMs: () => START_MS, sleep: async () => undefined }

test('recordReport keeps what a border CC says of its link, and nobody else', async (t) => {
  const { state } = await openCloud(t, { racks: ['a'] })
  const cc = state
    .view()
    .all('host')
    .find(({ roles }) => roles.includes('cc'))
  const node = state
    .view()
    .all('host')
    .find(({ roles }) => !roles.includes('cc'))
  assert.ok(cc !== undefined && node !== undefined)
  const one = peer(1)
  await state.update((tx) => tx.put('peer', [one.uid], one))
  const say = async (host: string, fields: MessageInitShape<typeof PeerLinkStatusSchema> = {}) => {
    const value = create(PeerLinkStatusSchema, { number: 1, host, publicKey: key(1), ...fields })
    const status = create(StatusSchema, {
      key: `peer-link/1/${host}`,
      body: { case: 'peerLink', value },
    })
    const agent = { rack: cc.rack, host }
    await recordReport({ state, clock: CLOCK, log: silentLog }, agent, [status])
    return state.view().get('peer-link', '1', cc.rack, host)
  }

  assert.equal(await say(node.host), null, 'a node has no device for peers')
  assert.equal(await say(cc.host, { number: 2 }), null, 'there is no such peer')
  assert.equal(await say(cc.host, { host: 'other' }), null, 'it speaks of another host')
  assert.equal(await say(cc.host, { publicKey: 'none' }), null, 'that is no key')
  const borders = [{ rack: 'x', host: 'x1', handshakeAtMs: 60_000n, pathMtu: 1400 }]
  const kept = await say(cc.host, { endpoints: ['192.0.2.1:52001'], borders })
  assert.deepEqual(
    [kept?.publicKey, kept?.borders],
    [key(1), [{ rack: 'x', host: 'x1', handshakeAtMs: 60_000, pathMtu: 1400 }]],
  )
  assert.match(kept?.linkAddress ?? '', /^fe80::/)
  const { revision } = state.view()
  await say(cc.host, { endpoints: ['192.0.2.1:52001'], borders })
  assert.equal(state.view().revision, revision, 'the same again is not written')
  await state.update((tx) => silenceLinks(tx, state.view(), cc))
  const silent = state.view().get('peer-link', '1', cc.rack, cc.host)
  assert.deepEqual(
    silent?.borders.map(({ handshakeAtMs }) => handshakeAtMs),
    [0],
  )
  await say(cc.host, { publicKey: key(2) })
  assert.equal(state.view().get('peer-link', '1', cc.rack, cc.host)?.publicKey, key(2))
})
