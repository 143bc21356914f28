// The gateway as parent of the racks' CCs: who may have a session, what each shall hold, where its
// reports go. All state is in the store; here are the sessions that are open in this process.

import type { Clock } from '../../common/clock.ts'
import { type Code, codeOf, MalleeError, messageOf } from '../../common/errors.ts'
import type { Identity } from '../../common/identity.ts'
import type { Log } from '../../common/log.ts'
import type { Status } from '../../proto/gen/mallee/v1/observed_pb.js'
import type { Hello } from '../../proto/gen/mallee/v1/session_pb.js'
import type { OpenSession, ParentEnd } from '../../proto/session.ts'
import type { AgentName, Secrets } from '../control/desired.ts'
import type { State } from '../store/state.ts'
import { desiredUpdates } from './feed.ts'
import { recordReport } from './reports.ts'
import type { Sessions } from './sessions.ts'

const RETRY_FIRST_MS = 100
const RETRY_LAST_MS = 2_000
/** What the store says when trying again may help. */
const PASSING: readonly (Code | null)[] = [
  'StoreFull',
  'StoreUnavailable',
  'Conflict',
  'Unavailable',
]

export interface GatewayParentParts {
  readonly state: State
  readonly sessions: Sessions
  readonly secrets: Secrets
  readonly cloud: string
  readonly clock: Clock
  readonly log: Log
}

export function gatewayParent(parts: GatewayParentParts): ParentEnd {
  const { state, sessions, secrets, cloud, clock, log } = parts
  return {
    cloud,
    epoch: () => state.epoch(),
    admit: (agent, hello, fingerprint) => admit(state, agent, hello, fingerprint),
    desired: (agent, held, signal) =>
      desiredUpdates({ state, secrets, log }, agentName(agent), held, signal),
    report: (agent, full, statuses) => report(agent, full, statuses),
    acknowledged: (agent, generation) => sessions.acknowledged(agentName(agent), generation),
    opened: (agent, hello, session) => opened(agent, hello, session),
    closed: (agent, session) => closed(agent, session),
  }

  async function report(
    agent: Identity,
    full: boolean,
    statuses: readonly Status[],
  ): Promise<void> {
    const name = agentName(agent)
    sessions.observed(name, full, statuses)
    for (let waitMs = RETRY_FIRST_MS; ; waitMs = Math.min(RETRY_LAST_MS, waitMs * 2)) {
      try {
        return await recordReport({ state, clock, log }, name, statuses)
      } catch (error) {
        // A store that is full or away for a while ends no session: all would come back at once.
        if (!PASSING.includes(codeOf(error)) || !sessions.isOpen(name)) throw error
        log.warn('report waits for the store', { ...name, error: messageOf(error) })
      }
      await clock.sleep(waitMs)
    }
  }

  function opened(agent: Identity, hello: Hello, session: OpenSession): void {
    const name = agentName(agent)
    log.info('session opened', { ...name, agent: hello.agentVersion, simulated: hello.simulated })
    const epoch = state.epoch()
    // What it says of another epoch means nothing here.
    const generation = hello.epoch === epoch ? Number(hello.generation) : 0
    sessions.opened(name, session, { epoch, generation }, clock.nowMs())
  }

  function closed(agent: Identity, session: OpenSession): void {
    const name = agentName(agent)
    log.info('session closed', { ...name })
    sessions.closed(name, session)
  }
}

/** A CC that joined and was not removed since, with the simulated flag it joined with. */
async function admit(
  state: State,
  agent: Identity,
  hello: Hello,
  keyFingerprint: string,
): Promise<void> {
  const { rack, host } = agentName(agent)
  const record = (await state.fresh()).get('host', rack, host)
  if (record === null) {
    throw new MalleeError('HostNotFound', `host ${host} of rack ${rack} is not in this cloud`)
  }
  if (record.keyFingerprint !== keyFingerprint) {
    const sentence = `host ${host} of rack ${rack} joined again with another key, this one is void`
    throw new MalleeError('NotAllowed', sentence)
  }
  if (record.simulated !== hello.simulated) {
    const was = record.simulated ? 'simulated' : 'real'
    throw new MalleeError('BadMessage', `host ${host} of rack ${rack} joined as a ${was} host`)
  }
}

function agentName(agent: Identity): AgentName {
  if (agent.kind !== 'host' || !agent.roles.includes('cc')) {
    throw new MalleeError('NotSupported', 'only a CC has a session with the gateway')
  }
  return { rack: agent.rack, host: agent.host }
}
