// Two sides that negotiate, with messages lost, late and out of order, users who act at any moment,
// and a peer that states what it likes: both come to the same end, and nothing is open that the
// two do not state alike.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import fc from 'fast-check'
import { inForceOf } from '../../../gateway/peering/agreed.ts'
import { checkConnection } from '../../../gateway/peering/connection-form.ts'
import { stated } from '../../../gateway/peering/connection-statements.ts'
import {
  advance,
  hasEnded,
  type RemoteRecord,
  renewed,
} from '../../../gateway/peering/negotiation.ts'
import type { FormerTerms, RemotePeering } from '../../../gateway/store/network-records.ts'
import {
  type Connection,
  ConnectionSchema,
  ConnectionState,
} from '../../../proto/gen/mallee/v1/peering_pb.js'
import { UIDS } from './two-clouds.ts'

const PCX = `pcx-${'1'.repeat(17)}`
const VPCS = { a: `vpc-${'a'.repeat(17)}`, b: `vpc-${'b'.repeat(17)}` }
const ACCOUNTS = { a: '111111111111', b: '222222222222' }
const OFFERS = {
  a: [['100.64.0.0/20', '100.64.16.0/20'], ['fd00:a::/56']],
  b: [['100.65.0.0/20'], ['fd00:b::/56', 'fd00:b1::/56']],
}
const OWN = { a: ['10.0.0.0/20', 'fd00:a::/56'], b: ['10.0.0.0/20', 'fd00:b::/56'] }
type Name = 'a' | 'b'

interface Side {
  readonly name: Name
  record: RemoteRecord | null
  /** What it holds of the other. */
  heard: Connection | null
}

function begin(name: Name): RemoteRecord {
  const other = name === 'a' ? 'b' : 'a'
  const own = { account: ACCOUNTS[name], vpc: VPCS[name] }
  const none = { account: '', vpc: '' }
  const isA = name === 'a'
  return {
    id: PCX,
    requester: isA ? own : none,
    accepter: isA ? none : own,
    state: isA ? 'initiating-request' : 'pending-acceptance',
    ...{ message: '', createdAtMs: 0, expiresAtMs: 10, endedAtMs: null },
    ...{ requesterDnsResolution: false, accepterDnsResolution: false },
    remote: {
      ...{ uid: UIDS[other], side: isA ? 'requester' : 'accepter' },
      ...{ account: ACCOUNTS[other], vpc: VPCS[other] },
      ...{ own: isA ? OWN.a : [], offers: isA ? OFFERS.a : [] },
      ...{ seenAs: [], theirs: [], terms: '' },
    },
  }
}

/** All that the reconciler does, with every prefix free. */
function act(side: Side): void {
  const { heard, name } = side
  const isAsked = heard?.requester === true && heard.state === ConnectionState.REQUESTED
  if (side.record === null && name === 'b' && isAsked && checkConnection(heard).ok) {
    side.record = begin('b')
  }
  for (let n = 0; side.record !== null && n < 50; n++) {
    const { record } = side
    const peer = { name: 'other', ownUid: UIDS[name] }
    const step = advance(record, heard, peer, 5)
    if (step.kind === 'none') return
    const { remote } = record
    if (step.kind === 'put' || step.kind === 'release') side.record = step.record
    else if (step.kind === 'choose') {
      const theirs = [...remote.theirs]
      theirs[step.index] = step.candidates[0] ?? ''
      side.record = renewed(record, heard, { theirs })
    } else {
      const seenAs = [...remote.seenAs]
      seenAs[step.index] = step.cidr
      side.record = renewed(record, heard, { seenAs })
    }
  }
  assert.equal(side.record, null, 'it does not settle')
}

function state({ record }: Side): Connection | null {
  return record === null ? null : stated(record)
}

/** As agreedOn says it, of one side. */
function isOpen(side: Side): boolean {
  return inForce(side) !== null
}

function inForce({ record, heard }: Side): RemotePeering | null {
  return record?.state !== 'active' || heard === null ? null : inForceOf(record.remote, heard)
}

/** The lists as they were when the terms were made. */
function listsOf({ record }: Side, terms: string): FormerTerms | undefined {
  const remote = record?.remote
  return remote?.terms === terms ? remote : remote?.former?.find((one) => one.terms === terms)
}

/** What the reconciler does when the VPC has other blocks than are offered. */
function haveBlocks(side: Side, blocks: readonly string[]): void {
  const { record, heard, name } = side
  if (record === null || hasEnded(record) || record.remote.own.length === 0) return
  const { own, offers, seenAs } = record.remote
  const kept = own.filter((one) => blocks.includes(one))
  const added = blocks.filter((one) => !own.includes(one))
  side.record = renewed(record, heard, {
    own: [...kept, ...added],
    offers: [...kept.map((one) => offers[own.indexOf(one)] ?? []), ...added.map(offersFor(name))],
    seenAs: seenAs.filter((_, i) => blocks.includes(own[i] ?? '')),
  })
}

function offersFor(name: Name): (block: string) => string[] {
  return (block) => {
    const n = Number(block.split('.')[1])
    const ten = name === 'a' ? 10 : 20
    return [`100.${64 + ten}.${n * 16}.0/20`, `100.${65 + ten}.${n * 16}.0/20`]
  }
}

function accept(side: Side): void {
  if (side.name !== 'b' || side.record?.state !== 'pending-acceptance') return
  const remote = { ...side.record.remote, own: OWN.b, offers: OFFERS.b }
  side.record = { ...side.record, state: 'provisioning', remote }
}

function remove(side: Side): void {
  if (side.record === null || hasEnded(side.record)) return
  side.record = { ...side.record, state: 'deleted', endedAtMs: 5 }
}

const someMove = fc.constantFrom('to-a', 'to-b', 'accept', 'delete-a', 'delete-b', 'forget-b')

function run(moves: readonly string[]): { a: Side; b: Side } {
  const a: Side = { name: 'a', record: begin('a'), heard: null }
  const b: Side = { name: 'b', record: null, heard: null }
  for (const move of moves) {
    if (move === 'to-a') a.heard = state(b)
    if (move === 'to-b') b.heard = state(a)
    if (move === 'accept') accept(b)
    if (move === 'delete-a') remove(a)
    if (move === 'delete-b') remove(b)
    // A backup of before the request.
    if (move === 'forget-b') Object.assign(b, { record: null, heard: null })
    act(a)
    act(b)
    // Both that are open mean the same, at every moment.
    if (isOpen(a) && isOpen(b)) {
      sameMeaning(a, b)
      sameMeaning(b, a)
    }
  }
  return { a, b }
}

/** What one lets pass the other has agreed to in these very words. */
function sameMeaning(one: Side, other: Side): void {
  const terms = inForce(one)?.terms ?? ''
  const [mine, theirs] = [listsOf(one, terms), listsOf(other, terms)]
  assert.ok(mine)
  // The other may have left terms that it stated; then this side has not heard of it yet.
  if (theirs === undefined) return
  assert.deepEqual(mine.theirs, theirs.seenAs)
  assert.deepEqual(mine.seenAs, theirs.theirs)
}

test('whatever comes in between, both come to the same end', () => {
  const settle = Array.from({ length: 12 }, () => ['to-a', 'to-b']).flat()
  fc.assert(
    fc.property(fc.array(someMove, { maxLength: 25 }), (moves) => {
      const { a, b } = run([...moves, ...settle])
      assert.equal(isOpen(a), isOpen(b))
      const ended = [a, b].map(({ record }) => record !== null && hasEnded(record))
      if (moves.includes('delete-a')) assert.deepEqual(ended, [true, ended[1]])
      if (isOpen(a)) assert.deepEqual(ended, [false, false])
      // Nobody waits for somebody who has ended it.
      if (ended[1]) assert.ok(ended[0], 'b has ended it, and a goes on')
    }),
    { numRuns: 1_000 },
  )
})

test('accepted and left alone it becomes active with what was offered', () => {
  const { a, b } = run(['to-b', 'accept', ...Array(6).fill(['to-a', 'to-b']).flat()])
  assert.deepEqual([isOpen(a), isOpen(b)], [true, true])
  assert.deepEqual(a.record?.remote.seenAs, ['100.64.0.0/20', 'fd00:a::/56'])
  assert.deepEqual(a.record?.remote.theirs, ['100.65.0.0/20', 'fd00:b::/56'])
})

const SETTLE = Array.from({ length: 6 }, () => ['to-a', 'to-b']).flat()
const someBlocks = fc.subarray(['10.1.0.0/20', '10.2.0.0/20', '10.3.0.0/20', '10.4.0.0/20'])
const someStep = fc.oneof(
  ...(['a', 'b'] as const).map((name) => someBlocks.map((more) => ({ name, more }))),
  ...[fc.constant('to-a'), fc.constant('to-b')],
)

/** What passes at both sides, by the prefixes that are seen. */
function passing(a: Side, b: Side): Set<string> {
  const both = (one: Side, other: Side): string[] => {
    const { seenAs = [] } = inForce(one) ?? {}
    return seenAs.filter((cidr) => inForce(other)?.theirs.includes(cidr))
  }
  return new Set([...both(a, b), ...both(b, a)])
}

test('blocks that come and go later stop nothing but themselves, and are seen in the end', () => {
  fc.assert(
    fc.property(fc.array(someStep, { maxLength: 20 }), (steps) => {
      const { a, b } = run(['to-b', 'accept', ...SETTLE])
      const have = { a: [...OWN.a], b: [...OWN.b] }
      for (const step of [...steps, ...SETTLE]) {
        const before = passing(a, b)
        if (step === 'to-a') a.heard = state(b)
        else if (step === 'to-b') b.heard = state(a)
        else if (typeof step === 'object') {
          have[step.name] = [...OWN[step.name], ...step.more]
          haveBlocks(step.name === 'a' ? a : b, have[step.name])
        }
        act(a)
        act(b)
        sameMeaning(a, b)
        sameMeaning(b, a)
        const now = passing(a, b)
        for (const side of [a, b]) {
          const { own = [], seenAs = [] } = side.record?.remote ?? {}
          for (const [i, cidr] of seenAs.entries()) {
            if (before.has(cidr) && own[i] !== undefined) assert.ok(now.has(cidr), cidr)
          }
        }
        assert.deepEqual([a.record?.state, b.record?.state], ['active', 'active'])
      }
      for (const [side, other, name] of [
        [a, b, 'a'],
        [b, a, 'b'],
      ] as const) {
        assert.deepEqual([...(inForce(side)?.own ?? [])].sort(), have[name].sort())
        assert.deepEqual(inForce(other)?.theirs, inForce(side)?.seenAs)
        assert.equal(side.record?.remote.former, undefined)
      }
    }),
    { numRuns: 150 },
  )
})

test('what a peer states settles in few steps, and opens nothing that was not accepted here', () => {
  const text = fc.constantFrom('100.64.0.0/20', '10.0.0.0/8', '0.0.0.0/0', 'fd00:b::/56', 'x', '')
  const offers = fc.array(fc.record({ candidates: fc.array(text, { maxLength: 3 }) }), {
    maxLength: 12,
  })
  const said = fc.record({
    requester: fc.boolean(),
    state: fc.constantFrom(...[1, 2, 3, 4, 5, 6, 7, 8].map((n) => n as ConnectionState)),
    account: fc.constantFrom(ACCOUNTS.a, ACCOUNTS.b),
    vpcId: fc.constantFrom(VPCS.a, VPCS.b),
    offers,
    chosen: fc.array(text, { maxLength: 4 }),
    terms: fc.constantFrom('', 'a'.repeat(64)),
  })
  fc.assert(
    fc.property(fc.array(said, { maxLength: 8 }), fc.constantFrom<Name>('a', 'b'), (all, name) => {
      const side: Side = { name, record: begin(name), heard: null }
      for (const one of all) {
        const ends = { otherAccount: ACCOUNTS[name], otherVpcId: VPCS[name], expiresAtMs: 10n }
        side.heard = create(ConnectionSchema, { id: PCX, ...ends, ...one })
        act(side)
        if (name === 'b') assert.ok(!isOpen(side))
        for (const [index, cidr] of (side.record?.remote.seenAs ?? []).entries()) {
          assert.ok(side.record?.remote.offers[index]?.includes(cidr))
        }
      }
    }),
    { numRuns: 1_000 },
  )
})
