// Commands to a rack's hosts, by way of the store: whoever asks may be another gateway than the one
// that holds the rack's session. The asker deletes the command and its answer.

import { create } from '@bufbuild/protobuf'
import type { Clock, RandomHex } from '../../common/clock.ts'
import { codeOf, MalleeError, messageOf } from '../../common/errors.ts'
import type { Log } from '../../common/log.ts'
import {
  type Command,
  CommandSchema,
  ConsoleOutputSchema,
  DiagnosticInterruptSchema,
  ScreenshotSchema,
} from '../../proto/gen/mallee/v1/session_pb.js'
import { isRackConnected } from '../ec2/zones.ts'
import type { Sessions } from '../federation/sessions.ts'
import type { CommandRecord, CommandResultRecord, InstanceRecord } from '../store/records.ts'
import type { State } from '../store/state.ts'

const COMMAND_MS = 10_000
const CONSOLE_BYTES = 64 << 10

interface Parts {
  readonly state: State
  readonly sessions: Sessions
  readonly clock: Clock
  readonly randomHex: RandomHex
}

/**
 * Asks an instance's host, for the last 64 KiB of its console or something else of its guest.
 * Throws RackAway when nobody has a session of its rack or its host does not answer within 10 s,
 * Unavailable with the host's reason.
 */
export async function askHost(
  parts: Parts,
  kind: CommandRecord['kind'],
  { id: instance, rack, host }: Pick<InstanceRecord, 'id' | 'rack' | 'host'>,
): Promise<{ payload: Uint8Array; atMs: number }> {
  const { state, sessions, clock, randomHex } = parts
  const command: CommandRecord = {
    id: randomHex(8),
    rack,
    host,
    kind,
    instance,
    maxBytes: CONSOLE_BYTES,
    expiresAtMs: clock.nowMs() + COMMAND_MS,
  }
  if (sessions.ofRack(rack) === null && !isRackConnected(state.view(), rack)) {
    throw new MalleeError('RackAway', `rack ${rack} is not connected`)
  }
  const isHere = sessions.ofRack(rack) !== null
  const result = isHere ? await send(parts, command) : await askElsewhere(parts, command)
  if (result === null) {
    throw new MalleeError('RackAway', `host ${host} of rack ${rack} did not answer in time`)
  }
  if (result.errorCode !== '') throw new MalleeError('Unavailable', result.errorMessage)
  return { payload: Buffer.from(result.payloadBase64, 'base64'), atMs: result.atMs }
}

/** Another gateway has the session: it finds the command in the store. Null when it did not. */
async function askElsewhere(
  { state, clock }: Parts,
  command: CommandRecord,
): Promise<CommandResultRecord | null> {
  const { id, rack } = command
  await state.update((tx) => tx.put('command', [rack, id], command))
  try {
    return await awaitResult(state, clock, id)
  } finally {
    await state.update(async (tx) => {
      await tx.delete('command', rack, id)
      await tx.delete('command-result', id)
    })
  }
}

async function awaitResult(
  state: State,
  clock: Clock,
  id: string,
): Promise<CommandResultRecord | null> {
  const found = new AbortController()
  const unsubscribe = state.onChange((changes) => {
    if (changes.some((change) => change.key === `command-result/${id}`)) found.abort()
  })
  // The answer may have been faster than we.
  if (state.view().get('command-result', id) === null) await clock.sleep(COMMAND_MS, found.signal)
  unsubscribe()
  return state.view().get('command-result', id)
}

/** Sends what is for racks whose session is open here, and stores the answers, until ended. */
export function serveCommands({
  state,
  sessions,
  clock,
  log,
}: {
  state: State
  sessions: Sessions
  clock: Clock
  log: Log
}): () => void {
  const underWay = new Set<string>()
  return state.onChange((changes) => {
    for (const { key, value } of changes) {
      if (!key.startsWith('command/') || value === null) continue
      const command = JSON.parse(value) as CommandRecord
      if (underWay.has(command.id) || sessions.ofRack(command.rack) === null) continue
      underWay.add(command.id)
      serve(command)
        .catch((error: unknown) => log.error('command not answered', { id: command.id, error }))
        .finally(() => underWay.delete(command.id))
    }
  })

  async function serve(command: CommandRecord): Promise<void> {
    const result = await send({ sessions, clock }, command)
    await state.update(async (tx) => {
      // The asker gave up and deleted the command: an answer would stay for ever.
      if ((await tx.get('command', command.rack, command.id)) === null) return
      await tx.put('command-result', [command.id], result)
    })
  }
}

/** Never throws: a failure is an answer too. */
async function send(
  { sessions, clock }: Pick<Parts, 'sessions' | 'clock'>,
  command: CommandRecord,
): Promise<CommandResultRecord> {
  const timeoutMs = Math.max(1, command.expiresAtMs - clock.nowMs())
  const { id, host } = command
  try {
    const session = sessions.ofRack(command.rack)
    if (session === null) throw new MalleeError('RackAway', `rack ${command.rack} is away`)
    const body = bodyOf(command)
    const answer = await session.command(create(CommandSchema, { id, host, timeoutMs, body }))
    return {
      id,
      errorCode: answer.errorCode,
      errorMessage: answer.errorMessage,
      payloadBase64: Buffer.from(answer.payload).toString('base64'),
      atMs: Number(answer.atMs),
    }
  } catch (error) {
    const errorCode = codeOf(error) ?? 'Unavailable'
    return { id, errorCode, errorMessage: messageOf(error), payloadBase64: '', atMs: clock.nowMs() }
  }
}

function bodyOf({ kind, instance: instanceId, maxBytes }: CommandRecord): Command['body'] {
  switch (kind) {
    case 'console-output':
      return { case: 'consoleOutput', value: create(ConsoleOutputSchema, { instanceId, maxBytes }) }
    case 'screenshot':
    case 'wake-and-screenshot': {
      const wakeUp = kind === 'wake-and-screenshot'
      return { case: 'screenshot', value: create(ScreenshotSchema, { instanceId, wakeUp }) }
    }
    case 'diagnostic-interrupt': {
      const value = create(DiagnosticInterruptSchema, { instanceId })
      return { case: 'diagnosticInterrupt', value }
    }
  }
}
