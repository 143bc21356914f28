// A CC that is nothing but its session: it takes what the gateway's feed gives it, and says when it
// has it on its disk.

import assert from 'node:assert/strict'
import { create } from '@bufbuild/protobuf'
import { systemClock } from '../../../common/clock.ts'
import { silentLog } from '../../../common/log.ts'
import type { NatParts } from '../../../gateway/control/nat-life.ts'
import type { Held } from '../../../gateway/federation/feed.ts'
import { gatewayParent } from '../../../gateway/federation/parent.ts'
import { Sessions } from '../../../gateway/federation/sessions.ts'
import type { State } from '../../../gateway/store/state.ts'
import { HelloSchema } from '../../../proto/gen/mallee/v1/session_pb.js'
import { SECRETS } from '../control/records.ts'
import { START_MS } from './support.ts'

export interface FakeCc {
  /** The keys of the next update, which it now holds. */
  readonly take: () => Promise<readonly string[]>
  readonly acknowledge: () => void
  readonly held: () => Held
  readonly hangUp: () => void
}

/** What network housekeeping needs, of a gateway that has run for long. */
export function natParts(state: State, sessions = new Sessions()): NatParts {
  return { state, sessions, startedAtMs: START_MS - 3_600_000, leaseMs: 15_000 }
}

/** Opens the session of a CC that holds `held`. */
export function dial(
  { state, sessions }: { readonly state: State; readonly sessions: Sessions },
  at: { readonly rack: string; readonly host: string },
  held: Held | null = null,
): FakeCc {
  const parts = { state, sessions, secrets: SECRETS, cloud: 'test', clock: systemClock }
  const parent = gatewayParent({ ...parts, log: silentLog })
  const agent = { kind: 'host', cloud: 'test', ...at, roles: ['cc'] } as const
  const session = { agent, command: notAsked, close: notAsked }
  const hello = { epoch: held?.epoch ?? '', generation: BigInt(held?.generation ?? 0) }
  const ended = new AbortController()
  parent.opened(agent, create(HelloSchema, hello), session)
  const updates = parent.desired(agent, held, ended.signal)[Symbol.asyncIterator]()
  let now = held
  return {
    take: async () => {
      const { value: update, done } = await updates.next()
      assert.ok(done !== true)
      now = { epoch: state.epoch(), generation: update.generation }
      if (update.kind === 'delta') return update.upserts.map(({ key }) => key)
      return update.resources.map(({ key }) => key)
    },
    acknowledge: () => parent.acknowledged(agent, now?.generation ?? 0),
    held: () => {
      assert.ok(now)
      return now
    },
    hangUp: () => {
      ended.abort()
      parent.closed(agent, session)
    },
  }
}

async function notAsked(): Promise<never> {
  throw new Error('nobody asks this CC anything')
}
