// What this agent and those below it say that is, by key; and who wants to hear of changes.

import { equals } from '@bufbuild/protobuf'
import { type Status, StatusSchema } from '../proto/gen/mallee/v1/observed_pb.js'

/** Of resources whose statuses have the same key. */
const WANTED_KINDS = new Set(['instance', 'tunnel', 'balancer', 'volume', 'snapshot', 'vpn'])

/** The resources that a status speaks of: without one of them nobody wants to hear it. */
export function subjectsOf(key: string): string[] {
  const [kind = '', first = '', ...rest] = key.split('/')
  // Of the link, by one of the CCs that have it.
  if (kind === 'peer-link') return [`peer-link/${first}`]
  if (kind === 'target') return [`balancer/${first}`, ['target', ...rest].join('/')]
  return WANTED_KINDS.has(kind) ? [key] : []
}

export class StatusBoard {
  readonly #statuses = new Map<string, Status>()
  readonly #listeners = new Set<(changed: readonly Status[]) => void>()

  /** Takes in statuses; listeners hear of those that differ from what was known. */
  set(statuses: readonly Status[]): void {
    const changed = statuses.filter((status) => {
      const known = this.#statuses.get(status.key)
      return known === undefined || !equals(StatusSchema, known, status)
    })
    if (changed.length === 0) return
    for (const status of changed) this.#statuses.set(status.key, status)
    for (const listener of this.#listeners) listener(changed)
  }

  /** Keys that nobody speaks for any more; nothing is sent, for absence means nothing. */
  keepOnly(wanted: (key: string) => boolean): void {
    for (const key of this.#statuses.keys()) if (!wanted(key)) this.#statuses.delete(key)
  }

  all(): Status[] {
    return [...this.#statuses.values()]
  }

  get(key: string): Status | null {
    return this.#statuses.get(key) ?? null
  }

  onChange(listener: (changed: readonly Status[]) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
}
