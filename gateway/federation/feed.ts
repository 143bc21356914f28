// The desired state of one agent as a stream of updates: a delta from what it holds or a snapshot,
// then a delta for each change that concerns it. Memory per agent: the keys not yet sent.

import { MalleeError } from '../../common/errors.ts'
import type { Log } from '../../common/log.ts'
import type { Resource } from '../../proto/gen/mallee/v1/desired_pb.js'
import type { DesiredUpdate } from '../../proto/session.ts'
import { canTell, touchedBy } from '../control/affected.ts'
import { checkDesired } from '../control/check.ts'
import { type AgentName, rackDesired, resourceAt, type Secrets } from '../control/desired.ts'
import type { AppliedChange, State } from '../store/state.ts'

/** A quiet rack's cursor is moved on after so many revisions, or it would need everything anew. */
const CURSOR_LAG = 5_000

interface Parts {
  readonly state: State
  readonly secrets: Secrets
  readonly log: Log
}

export interface Held {
  readonly epoch: string
  readonly generation: number
}

export async function* desiredUpdates(
  { state, secrets, log }: Parts,
  agent: AgentName,
  held: Held | null,
  signal: AbortSignal,
): AsyncIterable<DesiredUpdate> {
  const epoch = state.epoch()
  const dirty = new Set<string>()
  let wake: () => void = () => undefined
  const unsubscribe = state.onChange((changes, revision) => {
    note(changes)
    const renewed = state.epoch() !== epoch
    if (dirty.size > 0 || renewed || revision - generation > CURSOR_LAG) wake()
  })
  signal.addEventListener('abort', () => wake(), { once: true })

  function note(changes: readonly AppliedChange[]): void {
    for (const { key, rack } of touchedBy(state.view(), changes)) {
      if (rack === null || rack === agent.rack) dirty.add(key)
    }
  }

  let generation = held?.generation ?? 0
  try {
    const missed = held?.epoch === epoch ? await state.changesSince(generation) : null
    if (missed === null || !canTell(missed) || generation > state.view().revision) {
      const snapshot = wholeState({ state, secrets, log }, agent)
      generation = snapshot.generation
      dirty.clear()
      yield snapshot
    } else {
      note(missed)
    }
    while (!signal.aborted) {
      // Revisions compare within one epoch only: the agent dials again and gets everything.
      if (state.epoch() !== epoch) {
        throw new MalleeError('Unavailable', 'the store began a new history, dial again')
      }
      const revision = state.view().revision
      if (dirty.size > 0 || revision - generation > CURSOR_LAG) {
        const update = delta(agent, generation, dirty)
        dirty.clear()
        generation = update.generation
        yield update
        continue
      }
      await new Promise<void>((resolve) => {
        wake = resolve
        if (signal.aborted || dirty.size > 0) resolve()
      })
    }
  } finally {
    unsubscribe()
  }

  function delta(to: AgentName, from: number, keys: ReadonlySet<string>): DesiredUpdate {
    const view = state.view()
    const upserts: Resource[] = []
    const removals: string[] = []
    for (const key of keys) {
      const one = resourceAt(view, to, key, secrets)
      if (one === null) removals.push(key)
      else upserts.push(one)
    }
    return { kind: 'delta', fromGeneration: from, generation: view.revision, upserts, removals }
  }
}

function wholeState(parts: Parts, agent: AgentName): DesiredUpdate & { kind: 'snapshot' } {
  const view = parts.state.view()
  const desired = rackDesired(view, agent, parts.secrets)
  const problems = checkDesired(desired)
  if (problems.length > 0) {
    parts.log.error('desired state is wrong, not sent', {
      ...agent,
      problems: problems.slice(0, 10),
    })
    throw new MalleeError('Conflict', `the desired state of ${agent.rack} is wrong: ${problems[0]}`)
  }
  return { kind: 'snapshot', generation: view.revision, resources: [...desired.values()] }
}
