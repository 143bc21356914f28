// This agent's end of the session with its parent: what it holds, what it says, what it is asked.

import { MalleeError } from '../common/errors.ts'
import type { Command, CommandResult } from '../proto/gen/mallee/v1/session_pb.js'
import type { AgentEnd } from '../proto/session.ts'
import type { AgentState } from './state.ts'
import type { StatusBoard } from './status-board.ts'

export interface UpstreamParts {
  readonly host: string
  readonly state: AgentState
  readonly board: StatusBoard
  /** The console of an instance on this host; null without the role nc. */
  readonly consoleOutput: ((id: string, maxBytes: number) => Promise<Uint8Array>) | null
  /** Passes a command on to a node; null without the role cc. */
  readonly relay: ((command: Command) => Promise<CommandResult>) | null
}

const MAX_CONSOLE_BYTES = 64 << 10

export function upstreamEnd(parts: UpstreamParts): AgentEnd {
  const { host, state, board, consoleOutput, relay } = parts
  return {
    held: () => state.held(),
    accept: async (epoch, update) => {
      state.accept(epoch, update)
    },
    statuses: () => board.all(),
    onStatus: (listener) => board.onChange(listener),
    command: async (command) => {
      if (command.host !== host) return relayed(command)
      if (command.body.case !== 'consoleOutput' || consoleOutput === null) {
        throw new MalleeError('NotSupported', `host ${host} does not know this command`)
      }
      const { instanceId, maxBytes } = command.body.value
      return consoleOutput(instanceId, Math.min(maxBytes, MAX_CONSOLE_BYTES))
    },
  }

  async function relayed(command: Command): Promise<Uint8Array> {
    if (relay === null)
      throw new MalleeError('HostNotFound', `this is ${host}, not ${command.host}`)
    const result = await relay(command)
    if (result.errorCode !== '') throw new MalleeError('Unavailable', result.errorMessage)
    return result.payload
  }
}
