// What two clouds must find alike: candidates, terms, and the pair of borders that carries.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { covers, formatCidr, mustCidr, nthBlock, overlaps } from '../../topology/cidr.ts'
import {
  type BorderEnd,
  candidatesFor,
  componentsOf,
  MAX_CANDIDATES,
  pairFor,
  termsText,
} from '../../topology/peering.ts'

const UIDS = ['0'.repeat(32), 'f'.repeat(32)] as const
const PRIVATE = ['100.64.0.0/10', '172.16.0.0/12', '192.168.0.0/16', '10.0.0.0/8', 'fc00::/7']

function digest(text: string): bigint {
  return BigInt(`0x${createHash('sha256').update(text).digest('hex')}`)
}

const ipv4Block = fc.tuple(fc.integer({ min: 16, max: 28 }), fc.nat()).map(([length, n]) => {
  const pool = mustCidr('10.0.0.0/8')
  return formatCidr(nthBlock(pool, length, n % 2 ** (length - 8)) ?? pool)
})
const ipv6Block = fc.tuple(fc.integer({ min: 44, max: 60 }), fc.nat(0xffff)).map(([length, n]) => {
  const pool = mustCidr('fd12::/40')
  return formatCidr(nthBlock(pool, length, n % 2 ** (length - 40)) ?? pool)
})
const block = fc.oneof(ipv4Block, ipv6Block)

test('candidatesFor gives free private prefixes of the length, the block itself first', () => {
  const property = fc.property(block, fc.array(block), fc.array(block), (own, ours, theirs) => {
    const inTheWay = { ours: [own, ...ours].map(mustCidr), theirs: theirs.map(mustCidr) }
    const found = candidatesFor(own, UIDS, inTheWay, digest)
    const isInTheWay = theirs.some((one) => overlaps(mustCidr(one), mustCidr(own)))
    assert.equal(found[0] === own, !isInTheWay)
    assert.ok(found.length <= MAX_CANDIDATES && found.length > 1, `${found.length}`)
    assert.equal(new Set(found).size, found.length)
    for (const cidr of found.map(mustCidr)) {
      assert.equal(cidr.length, mustCidr(own).length)
      assert.ok(PRIVATE.some((one) => covers(mustCidr(one), cidr)))
      const taken = formatCidr(cidr) === own ? theirs : [own, ...ours, ...theirs]
      assert.ok(!taken.some((one) => overlaps(mustCidr(one), cidr)))
    }
    // Whoever asks, and in whatever order they are named.
    const again = candidatesFor(own, [UIDS[1], UIDS[0]], inTheWay, digest)
    assert.deepEqual(again, found)
  })
  fc.assert(property, { numRuns: 200 })
})

test('candidatesFor looks elsewhere when a whole range is taken, and ends when all are', () => {
  const theirs = ['10.0.0.0/8', '100.64.0.0/10', '172.16.0.0/12'].map(mustCidr)
  const found = candidatesFor('10.0.0.0/20', UIDS, { ours: [], theirs }, digest)
  assert.equal(found.length, 2)
  assert.ok(found.every((one) => one.startsWith('192.168.')))
  const all = { ours: [], theirs: PRIVATE.map(mustCidr) }
  assert.deepEqual(candidatesFor('10.0.0.0/20', UIDS, all, digest), [])
  assert.deepEqual(candidatesFor('fd12::/56', UIDS, all, digest), [])
})

test('termsText differs with every part of it and not with how a prefix is written', () => {
  const side = (seenAs: string) => ({ uid: 'a', account: '1', vpc: 'vpc-1', seenAs: [seenAs] })
  const text = termsText('pcx-1', side('fd00:0::/56'), side('10.0.0.0/20'))
  assert.equal(text, termsText('pcx-1', side('fd00::/56'), side('10.0.0.0/20')))
  assert.equal(text, 'mallee-peering 1\npcx-1\na 1 vpc-1\n  fd00::/56\na 1 vpc-1\n  10.0.0.0/20\n')
  assert.notEqual(text, termsText('pcx-1', side('10.0.0.0/20'), side('fd00::/56')))
})

test('componentsOf joins peerings over VPCs of either side, whatever these are called', () => {
  const links = [
    { id: 'pcx-3', own: 'vpc-a', theirs: 'vpc-x' },
    { id: 'pcx-2', own: 'vpc-b', theirs: 'vpc-x' },
    { id: 'pcx-4', own: 'vpc-b', theirs: 'vpc-y' },
    { id: 'pcx-1', own: 'vpc-x', theirs: 'vpc-a' },
  ]
  const found = componentsOf(links)
  assert.deepEqual(
    ['pcx-1', 'pcx-2', 'pcx-3', 'pcx-4'].map((id) => found.get(id)),
    ['pcx-1', 'pcx-2', 'pcx-2', 'pcx-2'],
  )
})

const someLinks = fc.uniqueArray(
  fc.record({
    id: fc.nat(99).map((n) => `pcx-${n}`),
    own: fc.nat(9).map((n) => `vpc-${n}`),
    theirs: fc.nat(9).map((n) => `vpc-${n}`),
  }),
  { selector: ({ id }) => id, maxLength: 20 },
)

test('componentsOf is the same from the other side', () => {
  const property = fc.property(someLinks, (links) => {
    const turned = links.map(({ id, own, theirs }) => ({ id, own: theirs, theirs: own }))
    assert.deepEqual(componentsOf(turned), componentsOf(links))
  })
  fc.assert(property)
})

const someBorders: fc.Arbitrary<BorderEnd[]> = fc.uniqueArray(
  fc.record({
    rack: fc.constantFrom('a', 'b', 'c'),
    host: fc.constantFrom('1', '2'),
    up: fc.boolean(),
    heard: fc.subarray(['a', 'b', 'c'].flatMap((rack) => [`${rack}/1`, `${rack}/2`])),
  }),
  { selector: ({ rack, host }) => `${rack}/${host}` },
)
const component = fc.nat(99).map((n) => `pcx-${n}`)

test('pairFor is the same from both sides, and of those that are up', () => {
  const property = fc.property(component, someBorders, someBorders, (id, here, there) => {
    const a = { uid: UIDS[0], borders: here }
    const b = { uid: UIDS[1], borders: there }
    const [one, other] = [pairFor(id, a, b), pairFor(id, b, a)]
    assert.equal(one === null, here.length === 0 || there.length === 0)
    if (one === null || other === null) return
    assert.deepEqual([one.own, one.theirs], [other.theirs, other.own])
    assert.equal(
      one.own.up,
      here.some(({ up }) => up),
    )
    assert.equal(
      one.theirs.up,
      there.some(({ up }) => up),
    )
  })
  fc.assert(property)
})

test('pairFor takes a pair of which both hear each other, when there is one', () => {
  const property = fc.property(component, someBorders, someBorders, (id, here, there) => {
    const pair = pairFor(id, { uid: UIDS[0], borders: here }, { uid: UIDS[1], borders: there })
    const hears = (a: BorderEnd, b: BorderEnd): boolean =>
      a.up && (a.heard.length === 0 || a.heard.includes(`${b.rack}/${b.host}`))
    const isMutual = (a: BorderEnd, b: BorderEnd): boolean => hears(a, b) && hears(b, a)
    const isAny = here.some((a) => there.some((b) => isMutual(a, b)))
    assert.equal(pair !== null && isMutual(pair.own, pair.theirs), isAny)
  })
  fc.assert(property)
})

test('pairFor leaves a pair of which only one end is silent to the other', () => {
  const names = ['a/1', 'b/1']
  const end = (name: string, heard: readonly string[]): BorderEnd => {
    const [rack = '', host = ''] = name.split('/')
    return { rack, host, up: heard.length > 0, heard }
  }
  const all = names.map((name) => end(name, names))
  for (let n = 0; n < 20; n += 1) {
    const of = (here: BorderEnd[], there: BorderEnd[]) =>
      pairFor(`pcx-${n}`, { uid: UIDS[0], borders: here }, { uid: UIDS[1], borders: there })
    const before = of(all, all)
    assert.ok(before !== null)
    // The far end still believes to hear it; its own other tunnel is well.
    const here = all.map((one) =>
      one === before.own
        ? end(
            `${one.rack}/${one.host}`,
            names.filter((name) => name !== `${before.theirs.rack}/1`),
          )
        : one,
    )
    const after = of(here, all)
    assert.notDeepEqual(
      [after?.own.rack, after?.theirs.rack],
      [before.own.rack, before.theirs.rack],
    )
  }
})

test('pairFor moves only what a border gets that comes, or had that goes', () => {
  const property = fc.property(component, someBorders, someBorders, (id, here, there) => {
    const all = here.map((one) => ({ ...one, up: true }))
    const [first, ...rest] = all
    if (first === undefined) return
    const theirs = { uid: UIDS[1], borders: there }
    const before = pairFor(id, { uid: UIDS[0], borders: all }, theirs)
    const after = pairFor(id, { uid: UIDS[0], borders: rest }, theirs)
    if (before !== null && before.own !== first) assert.deepEqual(after, before)
  })
  fc.assert(property)
})

test('pairFor spreads components over all pairs', () => {
  const borders = ['a', 'b'].map((rack) => ({ rack, host: '1', up: true, heard: [] }))
  const pairs = Array.from({ length: 200 }, (_, n) => {
    const pair = pairFor(`pcx-${n}`, { uid: UIDS[0], borders }, { uid: UIDS[1], borders })
    return `${pair?.own.rack}${pair?.theirs.rack}`
  })
  for (const name of ['aa', 'ab', 'ba', 'bb']) {
    const share = pairs.filter((one) => one === name).length
    assert.ok(share > 25 && share < 75, `${name} carries ${share}`)
  }
})
