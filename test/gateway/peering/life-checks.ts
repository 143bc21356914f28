// What holds of two clouds at every moment, and what is to be seen of them when they have come to
// rest: read from what each states and holds, not from what anybody remembers.

import assert from 'node:assert/strict'
import { toJson } from '@bufbuild/protobuf'
import { resourceAt } from '../../../gateway/control/desired.ts'
import { statementAt } from '../../../gateway/peering/agreed.ts'
import { statementDigest } from '../../../gateway/peering/chain.ts'
import { isRemote } from '../../../gateway/peering/negotiation.ts'
import type { Passing } from '../../../gateway/peering/passing.ts'
import { stated } from '../../../gateway/peering/stated.ts'
import { trafficOf } from '../../../gateway/peering/traffic.ts'
import type { View } from '../../../gateway/store/state.ts'
import { ResourceSchema } from '../../../proto/gen/mallee/v1/desired_pb.js'
import {
  type Connection,
  ConnectionState,
  type Statement,
} from '../../../proto/gen/mallee/v1/peering_pb.js'
import { SECRETS } from '../control/records.ts'
import type { Half } from './half.ts'
import type { Life } from './life-stages.ts'

type Stated = ReturnType<typeof stated>

/**
 * What is wrong now; null when nothing is. Who came back from a backup believes the other's
 * statements of then until the first word: of other terms only what both have in common passes.
 */
export function faultOf({ world: { east, west } }: Life, isRestored: boolean): string | null {
  for (const [half, other] of [
    [east, west],
    [west, east],
  ] as const) {
    for (const one of passingAt(half)) {
      const own = saysOpen(half, one.id)
      if (own === null) return `${half.name} lets ${one.id} pass and does not state it`
      const there = passingAt(other).find(({ id }) => id === one.id)
      if (there === undefined) continue
      const theirs = saysOpen(other, one.id)
      if (theirs === null) return `${other.name} lets ${one.id} pass and does not state it`
      const common = termsIn(own).filter((terms) => termsIn(theirs).includes(terms))
      if (common.length === 0 && !isRestored) return `${one.id} passes with different terms`
      const odd = seenOf(there).filter((b) => one.theirs.includes(b) && !own.chosen.includes(b))
      if (odd.length > 0) return `${odd} passes, and ${half.name} does not state it`
    }
  }
  return null
}

/** Whether each side lets packets pass to the other. */
export function gates({ world: { east, west } }: Life): { east: boolean; west: boolean } {
  return { east: passingAt(east).length > 0, west: passingAt(west).length > 0 }
}

/** Packets of both pass each other. */
export function passes(life: Life): boolean {
  const { east, west } = gates(life)
  return east && west
}

export interface Outcome {
  readonly east: object
  readonly west: object
}

/** All that users and operators see of it, and racks get; without the ids, which chance made. */
export function outcomeOf({ world: { east, west } }: Life): Outcome {
  return { east: seenAt(east), west: seenAt(west) }
}

/** At rest each holds what the other states, and what one sends to is what the other has. */
export function assertTold({ world: { east, west } }: Life): void {
  for (const one of passingAt(east)) {
    const there = passingAt(west).find(({ id }) => id === one.id)
    if (there === undefined) continue
    assert.deepEqual([one.theirs, there.theirs], [seenOf(there), seenOf(one)])
  }
  for (const [half, other] of [
    [east, west],
    [west, east],
  ] as const) {
    if (half.peer() === null || other.peer() === null) continue
    const held = statementsHeld(half.view, other.uid).map((one) => [one.key, statementDigest(one)])
    const now = [...stated(other.view, half.uid).values()].map((one) => [
      one.key,
      statementDigest(one),
    ])
    assert.deepEqual(held.sort(), now.sort(), `what ${half.name} was told`)
  }
}

/** What racks have of VPCs that no other cloud hears of, by cloud and key. */
export function ownTraffic(life: Life): Map<string, string> {
  const all = (['east', 'west'] as const).flatMap((side) => {
    const { view } = life.world[side]
    const { own } = life[side]
    const isOwn = ({ vpc }: { readonly vpc: string }): boolean => own.includes(vpc)
    const keys = [
      ...own.map((id) => `vpc/${id}`),
      ...view
        .all('subnet')
        .filter(isOwn)
        .flatMap(({ id }) => [`network/${id}`, `routing/${id}`]),
      ...view
        .all('security-group')
        .filter(isOwn)
        .map(({ id }) => `group/${id}`),
      ...view
        .all('interface')
        .filter(isOwn)
        .map(({ id }) => `interface/${id}`),
    ]
    return keys.map((key): [string, string] => {
      const one = resourceAt(view, { rack: 'a', host: 'a0' }, key, SECRETS)
      return [`${side} ${key}`, JSON.stringify(one && toJson(ResourceSchema, one))]
    })
  })
  return new Map(all)
}

function seenOf({ blocks }: Passing): string[] {
  return blocks.map(({ seenAs }) => seenAs)
}

function passingAt({ view }: Half): Passing[] {
  return [...trafficOf(view).byPeering.values()].filter(
    ({ pair, theirs, blocks }) => pair !== null && theirs.length > 0 && blocks.length > 0,
  )
}

const known = new WeakMap<Half, { readonly revision: number; readonly now: Stated }>()

function statedBy(half: Half): Stated {
  const { view } = half
  const last = known.get(half)
  if (last?.revision === view.revision) return last.now
  const now = stated(view, half.peer()?.uid ?? '')
  known.set(half, { revision: view.revision, now })
  return now
}

/** What a side states of a peering now, when that lets packets pass. */
function saysOpen(half: Half, id: string): Connection | null {
  const now = statedBy(half)
  const cloud = now.get('cloud')?.body
  if (cloud?.case !== 'cloud' || cloud.value.suspended || cloud.value.ended) return null
  const body = now.get(`connection/${id}`)?.body
  if (body?.case !== 'connection' || body.value.state !== ConnectionState.ACTIVE) return null
  return termsIn(body.value).length === 0 ? null : body.value
}

function termsIn({ terms, formerTerms }: Connection): string[] {
  return [terms, ...formerTerms].filter((one) => one !== '')
}

function seenAt(half: Half): object {
  const { view } = half
  return {
    peers: view.all('peer').map(({ terms, region, state, card, number }) => {
      const { limits, suspended, ended = false } = card
      return { terms, region, state, number, limits, suspended, ended }
    }),
    peerings: view
      .all('peering')
      .filter(isRemote)
      .map(({ state, message, remote }) => {
        const { side, own, seenAs, theirs, offers, terms } = remote
        return { state, message, side, own, seenAs, theirs, offers, isAgreed: terms !== '' }
      }),
    passing: passingAt(half).map(({ vpc, blocks, theirs, pair }) => {
      return { vpc, blocks, theirs, own: pair?.own.publicKey, their: pair?.theirs.publicKey }
    }),
  }
}

function statementsHeld(view: View, uid: string): Statement[] {
  return view.under('peer-statement', uid).flatMap(({ key }) => statementAt(view, uid, key) ?? [])
}
