// The log that each side keeps: whole as it is made, and whatever is changed in it is found.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { suspendPeer } from '../../../gateway/peering/acts.ts'
import { checkAudit } from '../../../gateway/peering/audit-check.ts'
import type { PeerAuditRecord } from '../../../gateway/store/peer-records.ts'
import type { View } from '../../../gateway/store/state.ts'
import { until } from '../../../sandbox/until.ts'
import { acquainted, type PeerCloud, startPeerCloud } from './clouds.ts'

/** The view of a store in which somebody has changed the log. */
function tampered(
  cloud: PeerCloud,
  change: (entries: readonly PeerAuditRecord[]) => readonly PeerAuditRecord[],
): View {
  const view = cloud.state.view()
  return {
    revision: view.revision,
    get: view.get.bind(view),
    all: view.all.bind(view),
    by: view.by.bind(view),
    under: view.under.bind(view),
    instancesOf: view.instancesOf.bind(view),
    interfacesOf: view.interfacesOf.bind(view),
    subnetsOf: view.subnetsOf.bind(view),
    withPrefix: (kind, prefix) => {
      const found = view.withPrefix(kind, prefix)
      return kind === 'peer-audit'
        ? (change(found as readonly PeerAuditRecord[]) as typeof found)
        : found
    },
  }
}

test('a log is whole, the same as the other side has it, until somebody changes it', async (t) => {
  const [east, west] = await Promise.all([startPeerCloud(t, 'east'), startPeerCloud(t, 'west')])
  await west.accept(await east.invite())
  await acquainted(east, west)
  await suspendPeer(east.peering.inviting, 'other')
  await until('west has heard', () => west.peer().card.suspended)
  await until('the receipt is there', () => east.peer().stated.sequence === 2)
  const ask = (epoch: string, after: number) => east.peering.receipts(east.peer().uid, epoch, after)
  const peer = east.peer()
  const whole = await checkAudit(east.state.view(), peer, ask)
  assert.deepEqual([whole.fault, whole.difference, whole.compared], [null, null, 2])
  const log = east.state.view().withPrefix('peer-audit', `${peer.uid}/`)
  assert.equal(whole.entries, log.length)
  assert.deepEqual(log.map(({ what }) => what).sort(), [
    ...['heard', 'operator', 'operator', 'stated', 'stated'],
  ])
  const lies: [(one: readonly PeerAuditRecord[]) => readonly PeerAuditRecord[], RegExp][] = [
    [(all) => all.map((one, i) => (i === 1 ? { ...one, atMs: one.atMs + 1 } : one)), /was changed/],
    [(all) => all.filter((_one, i) => i !== 2), /does not follow entry 2/],
    [(all) => all.slice(0, -1), /are missing, up to 5/],
    [(all) => all.toReversed(), /does not follow/],
    [() => [], /are missing, up to 5/],
  ]
  for (const [lie, why] of lies) {
    const { fault } = await checkAudit(tampered(east, lie), peer, null)
    assert.match(fault?.why ?? '', why)
  }
  // A log that was made anew, hashes and all, has no receipts of the other side.
  const forged = await checkAudit(east.state.view(), peer, async () => [])
  assert.match(forged.difference?.why ?? '', /has no receipt for link 1 of the chain/)
  const other = await checkAudit(east.state.view(), peer, async (epoch, after) => {
    const all = await ask(epoch, after)
    return all.map((one) => ({ ...one, hash: new Uint8Array(32) }))
  })
  assert.match(other.difference?.why ?? '', /holds something else as link 1/)
})
