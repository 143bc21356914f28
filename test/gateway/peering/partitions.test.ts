// Partition in the middle of each step: the whole life of an agreement and a VPC peering, cut at
// every message (request or answer lost, and nothing gets through from then on) and with a gateway
// killed before and after every commit. Healed, both sides are where they had come without it; at
// no moment does a packet pass that not both state, nor do a cloud's own racks see anything of it.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { lastFirst } from '../../support/cloud.ts'
import { type Outcome, outcomeOf, passes } from './life-checks.ts'
import { STAGES } from './life-stages.ts'
import { assertRest, type Chapter, type Story, tellStory, watchedFaults } from './life-story.ts'
import { type Cut, isOutage } from './lives.ts'

let story: Story

const end = lastFirst({ after })
before(async () => {
  story = await tellStory(end)
})

function* cutsOf({ messages, commits }: Chapter): Generator<Cut> {
  for (let n = 1; n <= messages; n++) {
    for (const lost of ['request', 'answer'] as const) yield { at: 'message', n, lost }
  }
  for (const [index, half] of commits.entries()) {
    const n = index + 1
    // Before one of the same gateway it is as after the one before.
    if (half !== commits[index - 1]) yield { at: 'commit', n, fate: 'killed before' }
    yield { at: 'commit', n, fate: 'killed after' }
  }
}

for (const [index, { name }] of STAGES.entries()) {
  test(`cut anywhere while ${name}`, async () => {
    const chapter = story.chapters[index]
    assert.ok(chapter !== undefined && chapter.commits.length > 0)
    for (const cut of cutsOf(chapter)) await liveThrough(chapter, cut)
  })
}

async function liveThrough(chapter: Chapter, cut: Cut): Promise<void> {
  const { life, own } = story
  const { world } = life
  const { stage, invitation, outcome } = chapter
  const of = `${stage.name}, ${JSON.stringify(cut)}`
  await world.restore(chapter.before, cut)
  life.invitation = invitation
  const faults = watchedFaults(life)
  await stage.act(life).catch((error: unknown) => {
    if (!isOutage(error)) throw error
  })
  await world.settle()
  assert.ok(world.isDown || world.halves.some(({ isDead }) => isDead), `${of}: nothing was cut`)
  await world.heal()
  await world.settle()
  // Who was not told how it ended does it again.
  await stage.act(life)
  await world.settle()
  assertRest(life, own, faults, of)
  if (stage.mayGoUntold === true) await endThere(of, outcome)
  else assert.deepEqual(outcomeOf(life), outcome, of)
}

/** The other learns of an end only if it answers at once; it can always make its own. */
async function endThere(of: string, outcome: Outcome): Promise<void> {
  const { life, chapters } = story
  const last = chapters.at(-1)
  assert.ok(last)
  assert.deepEqual(outcomeOf(life).east, outcome.east, of)
  assert.equal(passes(life), false, of)
  await last.stage.act(life)
  await life.world.settle()
  assert.deepEqual(outcomeOf(life), last.outcome, of)
}
