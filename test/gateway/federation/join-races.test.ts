// Joins at the same time: who wins, and that nothing is numbered twice.

import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { joinHost } from '../../../gateway/federation/membership.ts'
import type { JoinRequest } from '../../../proto/gen/mallee/v1/membership_pb.js'
import { type Members, openMembers, requests } from './members.ts'

describe('joins at the same time', () => {
  let members: Members
  beforeEach(async () => {
    members = await openMembers()
  })
  afterEach(() => members.close())

  /** The codes of those that were refused. */
  async function refusals(all: readonly JoinRequest[]): Promise<string[]> {
    const joins = all.map((request) => joinHost(members.parts, request))
    const settled = await Promise.allSettled(joins)
    return settled.flatMap((one) => (one.status === 'rejected' ? [String(one.reason.code)] : []))
  }

  const rest = requests.slice(1)

  test('of many first CCs of a rack let one in', async () => {
    const { mint, asking, list, parts } = members
    const tokens = await Promise.all(requests.map(() => mint()))
    const codes = await refusals(tokens.map((token, i) => asking(token, `cc-${i}`, i)))
    assert.deepEqual(codes, Array(rest.length).fill('NameTaken'))
    assert.equal(list().length, 1)
    assert.equal(parts.state.view().all('rack').length, 1)
  })

  test('of many nodes that want to be the CC let one be it', async () => {
    const { mint, asking, list, parts } = members
    const tokens = await Promise.all(requests.map(() => mint({ additional: true })))
    await refusals(tokens.map((token, i) => asking(token, `h-${i}`, i)))
    // All are members, with numbers of their own; the CC that the rack had is gone.
    for (const host of parts.state.view().all('host')) {
      await parts.state.update((tx) => tx.put('host', ['a', host.host], { ...host, roles: ['nc'] }))
    }
    const again = await Promise.all(requests.map(() => mint()))
    const codes = await refusals(again.map((token, i) => asking(token, `h-${i}`, i)))
    assert.deepEqual(codes, Array(rest.length).fill('NameTaken'))
    assert.equal(list().filter((one) => one.endsWith(' cc')).length, 1)
  })

  test('with one token let one in', async () => {
    const { mint, asking, list, parts } = members
    await joinHost(parts, asking(await mint(), 'a-cc', 0))
    const token = await mint({ roles: ['nc'] })
    const codes = await refusals(rest.map((_, i) => asking(token, `n-${i}`, i + 1)))
    assert.deepEqual(codes, Array(rest.length - 1).fill('TokenUsed'))
    assert.equal(list().length, 2)
  })

  test('give every host a number of its own', async () => {
    const { mint, asking, parts } = members
    await joinHost(parts, asking(await mint(), 'a-cc', 0))
    const tokens = await Promise.all(rest.map(() => mint({ roles: ['nc'] })))
    assert.deepEqual(await refusals(tokens.map((token, i) => asking(token, `n-${i}`, i + 1))), [])
    const indexes = parts.state
      .view()
      .all('host')
      .map(({ index }) => index)
    assert.deepEqual(
      indexes.sort((a, b) => a - b),
      requests.map((_, i) => i + 1),
    )
  })
})
