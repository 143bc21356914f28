// Commands at the agent: each id runs once, however often it arrives; the answer is kept for a
// while, because the question comes again when a session broke before the answer got through.

import { create } from '@bufbuild/protobuf'
import type { Clock } from '../common/clock.ts'
import { codeOf, MalleeError, messageOf } from '../common/errors.ts'
import {
  type Command,
  type CommandResult,
  CommandResultSchema,
} from './gen/mallee/v1/session_pb.js'

const MAX_KEPT = 64
const MAX_RUNNING = 16
const MAX_TIMEOUT_MS = 120_000
const DEFAULT_TIMEOUT_MS = 10_000
export const MAX_PAYLOAD_BYTES = 1 << 20

export class Commands {
  readonly #run: (command: Command) => Promise<Uint8Array>
  readonly #clock: Clock
  /** By command id, oldest first. */
  readonly #answers = new Map<string, Promise<CommandResult>>()
  #running = 0

  constructor(run: (command: Command) => Promise<Uint8Array>, clock: Clock) {
    this.#run = run
    this.#clock = clock
  }

  /** Never throws: a failure is an answer too. */
  answer(command: Command): Promise<CommandResult> {
    const known = this.#answers.get(command.id)
    if (known !== undefined) return known
    if (this.#running >= MAX_RUNNING) {
      // Not kept, so that asking again may fare better.
      const full = new MalleeError('TooManyRequests', `${MAX_RUNNING} commands run already`)
      return Promise.resolve(this.#failure(command, full))
    }
    const answer = this.#execute(command)
    this.#answers.set(command.id, answer)
    for (const oldest of this.#answers.keys()) {
      if (this.#answers.size <= MAX_KEPT) break
      this.#answers.delete(oldest)
    }
    return answer
  }

  async #execute(command: Command): Promise<CommandResult> {
    this.#running += 1
    const done = new AbortController()
    try {
      // Through a microtask, so that a command that throws at once is a failure like any other.
      const run = Promise.resolve().then(() => this.#run(command))
      const payload = await Promise.race([run, this.#expiry(command, done.signal)])
      if (payload.length > MAX_PAYLOAD_BYTES) {
        throw new MalleeError('BadMessage', `an answer of ${payload.length} bytes is too long`)
      }
      return create(CommandResultSchema, { id: command.id, payload, atMs: this.#nowMs() })
    } catch (error) {
      return this.#failure(command, error)
    } finally {
      done.abort()
      this.#running -= 1
    }
  }

  async #expiry(command: Command, done: AbortSignal): Promise<never> {
    const ms = commandTimeoutMs(command)
    await this.#clock.sleep(ms, done)
    throw new MalleeError('CommandTimeout', `command ${command.id} did not end within ${ms} ms`)
  }

  #failure({ id }: Command, error: unknown): CommandResult {
    return create(CommandResultSchema, {
      id,
      errorCode: codeOf(error) ?? 'CommandFailed',
      errorMessage: messageOf(error),
      atMs: this.#nowMs(),
    })
  }

  #nowMs(): bigint {
    return BigInt(this.#clock.nowMs())
  }
}

/** 10 seconds when the sender named none, and never more than 2 minutes. */
export function commandTimeoutMs({ timeoutMs }: Command): number {
  return timeoutMs === 0 ? DEFAULT_TIMEOUT_MS : Math.min(timeoutMs, MAX_TIMEOUT_MS)
}
