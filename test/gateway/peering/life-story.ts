// The whole life without any fault, with what it was like between its stages: from there a test
// lets something else happen.

import assert from 'node:assert/strict'
import type { Ending } from '../../support/cloud.ts'
import type { Half } from './half.ts'
import { assertTold, faultOf, type Outcome, outcomeOf, ownTraffic, passes } from './life-checks.ts'
import { type Life, prepare, STAGES, type Stage } from './life-stages.ts'
import { type Moment, type Sent, World } from './lives.ts'

export interface Chapter {
  readonly stage: Stage
  readonly before: Moment
  readonly invitation: string
  /** By then, since the life began. */
  readonly sent: readonly Sent[]
  /** Until all was at rest again. */
  readonly messages: number
  /** Whose they were. */
  readonly commits: readonly Half[]
  readonly outcome: Outcome
}

export interface Story {
  readonly life: Life
  readonly chapters: readonly Chapter[]
  /** What the racks of both have of VPCs of which no other cloud hears. */
  readonly own: ReadonlyMap<string, string>
}

/** Longer than positions are left uncompared. */
const BETWEEN_MS = 31_000

export async function tellStory(end: Ending): Promise<Story> {
  const world = await World.open(end)
  const life = await prepare(world)
  const own = ownTraffic(life)
  const chapters: Chapter[] = []
  for (const stage of STAGES) {
    const before = world.keep()
    const { invitation } = life
    const sent = chapters.at(-1)?.sent ?? []
    const lately = [...world.sent]
    await world.restore(before, null)
    const faults = watchedFaults(life)
    await stage.act(life)
    await world.settle()
    assertRest(life, own, faults, stage.name)
    assert.equal(passes(life), stage.passes, stage.name)
    const { messages } = world
    const commits = [...world.commits]
    const outcome = outcomeOf(life)
    const all = [...sent, ...lately]
    chapters.push({ stage, before, invitation, sent: all, messages, commits, outcome })
    world.pass(BETWEEN_MS)
  }
  return { life, chapters, own }
}

/** From now on, whatever is wrong after any change of either store. */
export function watchedFaults(life: Life, isRestored = false): string[] {
  const faults: string[] = []
  life.world.check = () => {
    const fault = faultOf(life, isRestored)
    if (fault !== null) faults.push(fault)
  }
  return faults
}

/** Nothing was wrong at any moment, each knows what the other states, and nobody else felt it. */
export function assertRest(
  life: Life,
  own: Story['own'],
  faults: readonly string[],
  of: string,
): void {
  assert.deepEqual(faults, [], of)
  assertTold(life)
  assert.deepEqual(ownTraffic(life), own, of)
}
