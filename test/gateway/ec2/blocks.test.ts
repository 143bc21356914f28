// Blocks of a space that one transaction takes and gives: each step sees those before it.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import {
  blockKey,
  blocksOf,
  HeldSpaces,
  MAX_REPLACED,
  type Taker,
} from '../../../gateway/ec2/blocks.ts'
import type { State } from '../../../gateway/store/state.ts'
import { formatCidr, mustCidr, nthBlock } from '../../../topology/cidr.ts'
import { MemoryStore } from '../peering/memory-store.ts'
import { closeStates, stateOf } from '../store/states.ts'

after(closeStates)

const SPACE = 'vpc-ipv4'
const OWN: Taker = { space: SPACE, holder: 'pcx-1', account: 'one' }
const OTHER: Taker = { space: SPACE, holder: 'pcx-2', account: 'two' }

async function open(): Promise<State> {
  return await stateOf(new MemoryStore())
}

function take(spaces: HeldSpaces, taker: Taker, cidr: string): Promise<boolean> {
  return spaces.take(taker, () => [mustCidr('10.9.0.0/16')], mustCidr(cidr))
}

/** `cidr holder`, or `cidr` of one that rests. */
function there(state: State): string[] {
  return blocksOf(state.view(), SPACE)
    .map(({ cidr, holder }) => `${cidr} ${holder}`.trim())
    .sort()
}

test('a transaction does not take what it has taken, and may take what it has given', async () => {
  const state = await open()
  const went = await state.update(async (tx) => {
    const spaces = new HeldSpaces(tx, state)
    return [
      await take(spaces, OWN, '10.1.0.0/24'),
      await take(spaces, OTHER, '10.1.0.0/25'),
      await take(spaces, OWN, '10.9.1.0/24'),
      await take(spaces, OWN, '10.2.0.0/24'),
      await spaces.give(SPACE, '10.2.0.0/24'),
      await take(spaces, OTHER, '10.2.0.0/24'),
      await take(spaces, OWN, '10.2.0.0/25'),
      await take(spaces, OWN, '10.2.0.128/26'),
    ]
  })
  assert.deepEqual(went, [true, false, false, true, undefined, false, true, true])
  const rests = ['10.2.0.192/26']
  assert.deepEqual(
    there(state),
    ['10.1.0.0/24 pcx-1', '10.2.0.0/25 pcx-1', '10.2.0.128/26 pcx-1', ...rests].sort(),
  )
})

test('parts of one block at rest go one by one, and nobody gets a part twice', async () => {
  const state = await open()
  await state.update(async (tx) => {
    const spaces = new HeldSpaces(tx, state)
    await take(spaces, OWN, '10.1.0.0/22')
    await spaces.give(SPACE, '10.1.0.0/22')
    await spaces.give(SPACE, '10.1.0.0/22')
    await spaces.give(SPACE, '10.3.0.0/22')
  })
  assert.deepEqual(there(state), ['10.1.0.0/22'])
  const went = await state.update(async (tx) => {
    const spaces = new HeldSpaces(tx, state)
    const parts = ['10.1.0.0/24', '10.1.1.0/24', '10.1.2.0/23', '10.1.3.0/24']
    const all: boolean[] = []
    for (const part of parts) all.push(await take(spaces, OWN, part))
    return all
  })
  assert.deepEqual(went, [true, true, true, false])
  assert.deepEqual(there(state), ['10.1.0.0/24 pcx-1', '10.1.1.0/24 pcx-1', '10.1.2.0/23 pcx-1'])
})

test('more blocks at rest than a transaction can write are in the way', async () => {
  const state = await open()
  const pool = mustCidr('10.1.0.0/16')
  const cidrs = Array.from({ length: MAX_REPLACED + 1 }, (_, n) => nthBlock(pool, 28, n) ?? pool)
  for (let from = 0; from < cidrs.length; from += 1_000) {
    await state.update(async (tx) => {
      for (const cidr of cidrs.slice(from, from + 1_000).map(formatCidr)) {
        const record = { space: SPACE, cidr, account: OWN.account, holder: '', freedAtMs: 1 }
        await tx.put('block', blockKey(SPACE, cidr), record)
      }
    })
  }
  const went = await state.update(async (tx) => {
    const spaces = new HeldSpaces(tx, state)
    const wishes = ['10.1.0.0/16', '10.1.0.0/17', '10.1.128.0/17', '10.1.128.0/19']
    const all: boolean[] = []
    for (const wish of wishes) all.push(await take(spaces, OWN, wish))
    return all
  })
  assert.deepEqual(went, [false, true, false, true])
})

test('of two that take at the same time one sees the other', async () => {
  const state = await open()
  const went = await Promise.all(
    [OWN, OTHER].map((taker) =>
      state.update(async (tx) => await take(new HeldSpaces(tx, state), taker, '10.1.0.0/24')),
    ),
  )
  assert.deepEqual([...went].sort(), [false, true])
})
