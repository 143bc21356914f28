// Why packets to and from a peer cloud pass, or do not.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { linkTroubles } from '../../../gateway/peering/borders.ts'
import {
  border,
  connection,
  key,
  link,
  peer,
  remotePeering,
  statement,
  UIDS,
} from './peer-changes.ts'
import { startView, type Write } from './records.ts'
import { askWhy, GUEST } from './why-ground.ts'

const [UID] = UIDS
const FAR = '172.16.80.9'

/** i-2 in rack b; the border is in rack a. */
const WORLD: readonly Write[] = [
  ...GUEST,
  [
    'route-table/rtb-vpc-1',
    {
      ...{ id: 'rtb-vpc-1', vpc: 'vpc-1' },
      routes: [{ destination: '172.16.0.0/12', target: 'peering', targetId: 'pcx-5' }],
    },
  ],
  [`peer/${UID}`, peer(1)],
  statement(UID, connection('pcx-5')),
  statement(UID, border('x/x1', key(60))),
  ['peering/pcx-5', remotePeering('pcx-5', 1, 'vpc-1', '10.0.0.0/20')],
  ['peer-link/1/a/a1', link(1, 'a/a1', 10)],
]

function ask(from: string, to: string, ...more: readonly Write[]) {
  return askWhy([...WORLD, ...more], from, to)
}

test('why leads a packet to a peer cloud over the border, and says as whom it is seen', () => {
  const { passes, texts, last } = ask('i-2', FAR)
  assert.ok(passes, last)
  assert.ok(texts.includes('racks b and a are joined by a tunnel'))
  assert.ok(texts.includes('it goes from a/a1 to x/x1 of peer 1, as 100.64.81.4'))
})

test('why lets a packet of a peer cloud in over the border, and its answer out', () => {
  const { passes, texts, last } = ask(FAR, 'i-2')
  assert.ok(passes, last)
  assert.ok(texts.includes('it comes from peer 1 to a/a1'))
})

const SUSPENDED: Write = [`peer/${UID}`, peer(1, { state: 'suspended' })]
const NO_BORDER: Write = ['peer-link/1/a/a1', null]
for (const [what, from, to, more, last] of [
  ['the peer is suspended', 'i-2', FAR, SUSPENDED, 'rtb-vpc-1 BAD_STATE_ROUTE'],
  ['the peer is suspended', FAR, 'i-2', SUSPENDED, 'vpc-1 IGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS'],
  ['there is no border', 'i-2', FAR, NO_BORDER, 'pcx-5 BAD_STATE'],
  ['there is no border', FAR, 'i-2', NO_BORDER, 'pcx-5 BAD_STATE'],
  [
    'the block is not agreed',
    'i-2',
    FAR,
    ['peering/pcx-5', remotePeering('pcx-5', 1, 'vpc-1', '10.1.0.0/20')],
    'pcx-5 NO_ROUTE_TO_DESTINATION',
  ],
] as const) {
  test(`why stops a packet from ${from} to ${to} when ${what}`, () => {
    const found = ask(from, to, more as Write)
    assert.deepEqual([found.passes, found.last], [false, last])
  })
}

test('linkTroubles says what keeps packets from a peer, and nothing of one that is stopped', () => {
  const of = (...more: readonly Write[]) => {
    const view = startView(...WORLD, ...more)
    const one = view.get('peer', UID)
    return one === null ? null : linkTroubles(view, one)
  }
  assert.deepEqual(of(), [])
  assert.deepEqual(of(SUSPENDED), [])
  assert.deepEqual(of(NO_BORDER), ['no tunnel to it is up'])
  const said = { ...link(1, 'a/a1', 10, false), trouble: 'no room' }
  assert.deepEqual(of(['peer-link/1/a/a1', said]), ['no tunnel to it is up', 'a/a1: no room'])
  const elsewhere = peer(1, { terms: { ...peer(1).terms, borders: ['c'] } })
  assert.deepEqual(of([`peer/${UID}`, elsewhere]), ['no CC of this cloud holds tunnels to it'])
})
