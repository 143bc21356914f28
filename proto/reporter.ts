// Reports of one session, upward: everything first, then what changed. One report at most is on
// its way; what changes meanwhile waits by key, so that only its last word is sent.

import type { Status } from './gen/mallee/v1/observed_pb.js'
import type { ReportAck, SessionRequest } from './gen/mallee/v1/session_pb.js'
import { reportParts } from './parts.ts'
import type { AgentEnd } from './session.ts'

type ReportBody = Extract<SessionRequest['body'], { case: 'report' }>

export interface ReporterParts {
  readonly agent: AgentEnd
  readonly send: (body: ReportBody) => void
  /** Resolves when the stream takes another big frame. */
  readonly ready: () => Promise<void>
  readonly failed: (error: unknown) => void
}

export class Reporter {
  readonly #parts: ReporterParts
  readonly #changed = new Map<string, Status>()
  #unsubscribe: () => void = () => undefined
  /** Id of the report on its way, null when there is none. */
  #sent: bigint | null = null
  #lastId = 0n
  #stopped = false

  constructor(parts: ReporterParts) {
    this.#parts = parts
  }

  start(): void {
    // Listen before reading: what changes in between is reported twice and not never.
    this.#unsubscribe = this.#parts.agent.onStatus((changed) => {
      for (const status of changed) this.#changed.set(status.key, status)
      this.#sendChanges()
    })
    void this.#report(true, this.#parts.agent.statuses())
  }

  /** The parent has stored a report. */
  acknowledged(id: ReportAck['id']): void {
    if (this.#sent !== id) return
    this.#sent = null
    this.#sendChanges()
  }

  stop(): void {
    this.#stopped = true
    this.#unsubscribe()
  }

  #sendChanges(): void {
    if (this.#stopped || this.#sent !== null || this.#changed.size === 0) return
    const statuses = [...this.#changed.values()]
    this.#changed.clear()
    void this.#report(false, statuses)
  }

  async #report(full: boolean, statuses: readonly Status[]): Promise<void> {
    this.#lastId += 1n
    this.#sent = this.#lastId
    try {
      for (const part of reportParts(this.#lastId, full, statuses)) {
        await this.#parts.ready()
        if (this.#stopped) return
        this.#parts.send(part)
      }
    } catch (error) {
      this.#parts.failed(error)
    }
  }
}
