// This agent's end of the session with its parent: what it holds, what it says, what it is asked.

import { MalleeError } from '../common/errors.ts'
import type { Command, CommandResult } from '../proto/gen/mallee/v1/session_pb.js'
import type { AgentEnd } from '../proto/session.ts'
import type { GuestDriver } from './host-roles.ts'
import type { AgentSerial } from './serial.ts'
import type { AgentState } from './state.ts'
import type { StatusBoard } from './status-board.ts'

export interface UpstreamParts {
  readonly host: string
  readonly state: AgentState
  readonly board: StatusBoard
  /** The console of an instance on this host; null without the role nc. */
  readonly consoleOutput: ((id: string, maxBytes: number) => Promise<Uint8Array>) | null
  /** Null without the role nc. */
  readonly guests: GuestDriver | null
  /** Null where no serial console can be opened. */
  readonly serial: AgentSerial | null
  /** Passes a command on to a node; null without the role cc. */
  readonly relay: ((command: Command) => Promise<CommandResult>) | null
}

const MAX_CONSOLE_BYTES = 64 << 10

export function upstreamEnd(parts: UpstreamParts): AgentEnd {
  const { host, state, board, consoleOutput, guests, serial, relay } = parts
  return {
    held: () => state.held(),
    accept: async (epoch, update) => {
      state.accept(epoch, update)
    },
    statuses: () => board.all(),
    onStatus: (listener) => board.onChange(listener),
    command: async (command) => {
      // With a stream of its own, which comes through here, too.
      const { body } = command
      if (body.case === 'openSerial' && serial !== null) {
        await serial.open(command, body.value)
        return new Uint8Array()
      }
      if (command.host !== host) return relayed(command)
      return run(command)
    },
  }

  async function run({ body }: Command): Promise<Uint8Array> {
    if (body.case === 'consoleOutput' && consoleOutput !== null) {
      const { instanceId, maxBytes } = body.value
      return consoleOutput(instanceId, Math.min(maxBytes, MAX_CONSOLE_BYTES))
    }
    if (body.case === 'screenshot' && guests !== null) {
      return guests.screenshot(body.value.instanceId, body.value.wakeUp)
    }
    if (body.case === 'diagnosticInterrupt' && guests !== null) {
      await guests.interrupt(body.value.instanceId)
      return new Uint8Array()
    }
    throw new MalleeError('NotSupported', `host ${host} does not know this command`)
  }

  async function relayed(command: Command): Promise<Uint8Array> {
    if (relay === null)
      throw new MalleeError('HostNotFound', `this is ${host}, not ${command.host}`)
    const result = await relay(command)
    if (result.errorCode !== '') throw new MalleeError('Unavailable', result.errorMessage)
    return result.payload
  }
}
