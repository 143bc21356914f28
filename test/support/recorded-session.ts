// A host's session with its parent, with the host's own state on disk, that writes down what comes.
// For a host whose agent is stopped.

import { join } from 'node:path'
import { AgentState } from '../../cluster-agent/state.ts'
import { StatusBoard } from '../../cluster-agent/status-board.ts'
import { upstreamEnd } from '../../cluster-agent/upstream.ts'
import { chance, systemClock } from '../../common/clock.ts'
import { silentLog } from '../../common/log.ts'
import type { DesiredUpdate } from '../../proto/session.ts'
import { SessionClient } from '../../proto/session-client.ts'
import { until } from '../../sandbox/until.ts'
import type { RackHost } from './simulated-rack.ts'

export interface RecordedSession {
  readonly state: AgentState
  readonly updates: readonly DesiredUpdate[]
  /** Connects and waits until what came fits. */
  readonly until: (fits: (updates: readonly DesiredUpdate[]) => boolean) => Promise<void>
  readonly stop: () => Promise<void>
}

export function recordUpdates({ config, identity, paths }: RackHost): RecordedSession {
  const state = new AgentState(join(paths.stateDir, 'state.db'))
  const updates: DesiredUpdate[] = []
  const { host } = config
  const end = upstreamEnd({
    ...{ host, state, board: new StatusBoard(), log: silentLog },
    consoleOutput: null,
    guests: null,
    serial: null,
    relay: null,
  })
  const session = new SessionClient({
    agent: {
      ...end,
      accept: async (epoch, update) => {
        await end.accept(epoch, update)
        updates.push(update)
      },
    },
    connect: config.parents,
    identity: () => identity,
    expect: () => true,
    clock: systemClock,
    log: silentLog,
    chance,
    incarnation: 'recorded',
    agentVersion: 'test',
    simulated: true,
  })
  return {
    state,
    updates,
    until: async (fits) => {
      session.start()
      await until('the updates came', () => fits(updates))
    },
    stop: async () => {
      await session.stop()
      state.close()
    },
  }
}
