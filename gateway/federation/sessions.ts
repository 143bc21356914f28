// The sessions that are open in this process, what their agents hold for sure, and what their
// tunnels said. Nothing here needs to survive: an agent comes back and says it all again.

import type { ImagesStatus, Status } from '../../proto/gen/mallee/v1/observed_pb.js'
import type { OpenSession } from '../../proto/session.ts'
import type { AgentName } from '../control/desired.ts'
import type { Held } from './feed.ts'

/** A tunnel as its rack's CC sees it. */
export interface TunnelSeen {
  readonly fromRack: string
  readonly toRack: string
  readonly latestHandshakeMs: number
  readonly receivedBytes: number
  readonly sentBytes: number
  readonly endpoint: string
}

/** What a host keeps of images, and what came to it. */
export type ImagesSeen = Pick<
  ImagesStatus,
  'bytes' | 'maxBytes' | 'hits' | 'misses' | 'bytesFromParents' | 'bytesFromNeighbours'
>

interface Known {
  readonly session: OpenSession
  readonly openedAtMs: number
  readonly tunnels: Map<string, TunnelSeen>
  readonly images: Map<string, ImagesSeen>
  held: Held
}

export class Sessions {
  readonly #open = new Map<string, Known>()
  readonly #listeners = new Set<(agent: AgentName, open: boolean) => void>()
  readonly #onAcknowledged = new Set<(agent: AgentName) => void>()

  /** `held` is of the session's epoch; generation 0 when the agent holds nothing of that. */
  opened(agent: AgentName, session: OpenSession, held: Held, nowMs: number): void {
    const known = this.#open.get(nameOf(agent))
    const tunnels = known?.tunnels ?? new Map<string, TunnelSeen>()
    const images = known?.images ?? new Map<string, ImagesSeen>()
    this.#open.set(nameOf(agent), { session, openedAtMs: nowMs, tunnels, images, held })
    for (const listener of this.#listeners) listener(agent, true)
  }

  /** Of an agent that dialled again, the old session's end says nothing about the new one. */
  closed(agent: AgentName, session: OpenSession): void {
    if (this.#open.get(nameOf(agent))?.session !== session) return
    this.#open.delete(nameOf(agent))
    for (const listener of this.#listeners) listener(agent, false)
  }

  isOpen(agent: AgentName): boolean {
    return this.#open.has(nameOf(agent))
  }

  acknowledged(agent: AgentName, generation: number): void {
    const known = this.#open.get(nameOf(agent))
    if (known === undefined) return
    known.held = { ...known.held, generation }
    for (const listener of this.#onAcknowledged) listener(agent)
  }

  /** The desired state that an agent has on its disk; null when its session is not here. */
  heldBy(agent: AgentName): Held | null {
    return this.#open.get(nameOf(agent))?.held ?? null
  }

  observed(agent: AgentName, full: boolean, statuses: readonly Status[]): void {
    const known = this.#open.get(nameOf(agent))
    if (known === undefined) return
    if (full) known.tunnels.clear()
    if (full) known.images.clear()
    for (const { key, body } of statuses) {
      if (body.case === 'images') known.images.set(key, body.value)
      if (body.case !== 'tunnel') continue
      known.tunnels.set(key, {
        fromRack: agent.rack,
        toRack: body.value.rack,
        latestHandshakeMs: Number(body.value.latestHandshakeMs),
        receivedBytes: Number(body.value.receivedBytes),
        sentBytes: Number(body.value.sentBytes),
        endpoint: body.value.endpoint,
      })
    }
  }

  /** Open sessions, by rack and host, with the generation that each agent holds. */
  list(): { rack: string; host: string; openedAtMs: number; generation: number }[] {
    return [...this.#open.values()].map(({ session: { agent }, openedAtMs, held }) => ({
      rack: agent.kind === 'host' ? agent.rack : '',
      host: agent.kind === 'host' ? agent.host : '',
      openedAtMs,
      generation: held.generation,
    }))
  }

  tunnels(): TunnelSeen[] {
    return [...this.#open.values()].flatMap((known) => [...known.tunnels.values()])
  }

  /** Of each host whose rack's session is here. */
  images(): ImagesSeen[] {
    return [...this.#open.values()].flatMap((known) => [...known.images.values()])
  }

  /** Any open session of a rack's CCs; null when none is open here. */
  ofRack(rack: string): OpenSession | null {
    for (const { session } of this.#open.values()) {
      if (session.agent.kind === 'host' && session.agent.rack === rack) return session
    }
    return null
  }

  onChange(listener: (agent: AgentName, open: boolean) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Called after each acknowledgement of an agent whose session is here. */
  onAcknowledged(listener: (agent: AgentName) => void): () => void {
    this.#onAcknowledged.add(listener)
    return () => this.#onAcknowledged.delete(listener)
  }

  async close(agent: AgentName, reason: string): Promise<void> {
    await this.#open.get(nameOf(agent))?.session.close(reason)
  }

  async closeAll(reason: string): Promise<void> {
    await Promise.all([...this.#open.values()].map(({ session }) => session.close(reason)))
  }
}

function nameOf(agent: AgentName): string {
  return `${agent.rack}/${agent.host}`
}
