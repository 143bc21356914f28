// Either cloud comes back from a backup of any moment of the life that it had with the other, at
// any later one; and both users and operators act while nothing gets through. No packet passes that
// not both state, both come to rest, and what went over the line before changes nothing any more.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { create, toBinary } from '@bufbuild/protobuf'
import { codeOf } from '../../../common/errors.ts'
import { suspendPeer } from '../../../gateway/peering/acts.ts'
import { DeliverRequestSchema } from '../../../proto/gen/mallee/v1/peering_pb.js'
import { lastFirst } from '../../support/cloud.ts'
import { gates, passes } from './life-checks.ts'
import { acceptVpc, deleteVpc, remoteOf, STAGES } from './life-stages.ts'
import { assertRest, type Story, tellStory, watchedFaults } from './life-story.ts'
import type { Sent } from './lives.ts'

/** Every other moment to come back to, and to come back at. */
const STRIDE = 2

let story: Story

const end = lastFirst({ after })
before(async () => {
  story = await tellStory(end)
})

for (const side of ['east', 'west'] as const) {
  test(`${side} comes back from a backup of any moment, at any later one`, async () => {
    const { life, chapters, own } = story
    const { world } = life
    for (let at = 3; at < chapters.length; at += STRIDE) {
      for (let of = at - 1; of >= 0; of -= STRIDE) {
        const [now, then] = [chapters[at], chapters[of]]
        assert.ok(now && then)
        const what = `${side}, at "${now.stage.name}", from before "${then.stage.name}"`
        await world.restore(now.before, null)
        const faults = watchedFaults(life, true)
        await world.bringBack(world[side], then.before)
        await world.settle()
        world.pass(31_000)
        await world.settle()
        assertRest(life, own, faults, what)
        // Where it waits for a user again, one agrees again.
        await acceptVpc(life)
        await world.settle()
        // What one operator's terms keep from passing is active all the same.
        const active = world.halves.map((half) => remoteOf(half)?.state === 'active')
        const isKnown = world.halves.every((half) => half.peer() !== null)
        if (isKnown) assert.equal(active[0], active[1], `${what}: active on one side only`)
        await replay([...now.sent, ...world.sent], what)
      }
    }
  })
}

async function replay(sent: readonly Sent[], what: string): Promise<void> {
  const { world } = story.life
  const before = world.keep()
  for (const { to, batch } of sent.toReversed()) {
    const clockMs = BigInt(to.clock.nowMs())
    const request = create(DeliverRequestSchema, { batch, clockMs })
    await world
      .hear(to, toBinary(DeliverRequestSchema, request))
      .catch((error: unknown) => assert.notEqual(codeOf(error), null, `${what} ${error}`))
  }
  assert.deepEqual(world.keep(), before, `${what}: a replay changed something`)
}

for (const [what, act] of [
  ['a user deletes it', ({ life }: Story) => deleteVpc(life.world.east)],
  ['both users delete it', ({ life }: Story) => Promise.all(life.world.halves.map(deleteVpc))],
  [
    'one operator suspends it and a user of the other deletes it',
    async ({ life }: Story) => {
      await suspendPeer(life.world.east.inviting, 'west')
      await deleteVpc(life.world.west)
    },
  ],
] as const) {
  test(`while nothing gets through, ${what}: it stops there at once, and stays so`, async () => {
    const { life, chapters, own } = story
    const { world } = life
    for (const name of ['a user of the other accepts it', 'both add routes']) {
      const chapter = chapters[STAGES.findIndex((one) => one.name === name)]
      assert.ok(chapter)
      for (let n = 1; n <= chapter.messages; n++) {
        for (const lost of ['request', 'answer'] as const) {
          const of = `${name}, ${lost} ${n} lost, ${what}`
          await world.restore(chapter.before, { at: 'message', n, lost })
          const faults = watchedFaults(life)
          await chapter.stage.act(life)
          await world.settle()
          await act(story)
          assert.equal(passes(life), false, of)
          await world.settle()
          await world.heal()
          await world.settle()
          assertRest(life, own, faults, of)
          assert.deepEqual(gates(life), { east: false, west: false }, of)
        }
      }
    }
  })
}
