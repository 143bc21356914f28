// What the two ends of a Session bring to it. session-client.ts runs the agent's end,
// session-server.ts the parent's (the gateway towards CCs, a CC towards its NCs and SCs).

import { MalleeError } from '../common/errors.ts'
import type { Identity } from '../common/identity.ts'
import type { Resource } from './gen/mallee/v1/desired_pb.js'
import type { Status } from './gen/mallee/v1/observed_pb.js'
import type { Command, CommandResult, Hello } from './gen/mallee/v1/session_pb.js'

export const PROTOCOL_MIN = 1
export const PROTOCOL_MAX = 1

/** How often both ends say something, and after how much silence the other one is away. */
export const SESSION_TIMING = { heartbeatMs: 5_000, leaseMs: 15_000 } as const

/** A step of the desired state towards an agent. */
export type DesiredUpdate =
  | {
      readonly kind: 'snapshot'
      readonly generation: number
      readonly resources: readonly Resource[]
    }
  | {
      readonly kind: 'delta'
      readonly fromGeneration: number
      readonly generation: number
      readonly upserts: readonly Resource[]
      readonly removals: readonly string[]
    }

/** What an agent brings. All of it survives reconnects. */
export interface AgentEnd {
  /** What it holds on disk, for Hello; null when nothing was ever accepted. */
  held(): { readonly epoch: string; readonly generation: number } | null
  /** Stores an update durably. Throws MalleeError StaleGeneration for an older or unfitting one. */
  accept(epoch: string, update: DesiredUpdate): Promise<void>
  /** Everything that is, for the first report of a session. */
  statuses(): readonly Status[]
  /** Calls back with what changed, until the returned function is called. */
  onStatus(listener: (changed: readonly Status[]) => void): () => void
  /** Runs a command that is not for relaying. Throws MalleeError; the code travels. */
  command(command: Command): Promise<Uint8Array>
}

/** What a parent brings for all of its agents. */
export interface ParentEnd {
  readonly cloud: string
  epoch(): string
  /**
   * May this agent have a session? `keyFingerprint` is of its certificate's key. Throws MalleeError
   * if not (unknown host, one that left, another host of its name).
   */
  admit(agent: Identity, hello: Hello, keyFingerprint: string): Promise<void>
  /**
   * The desired state of one agent: first a snapshot, or a delta from what it holds if that is
   * possible; then each change, until aborted. A slow reader gets changes folded together.
   */
  desired(
    agent: Identity,
    held: { readonly epoch: string; readonly generation: number } | null,
    signal: AbortSignal,
  ): AsyncIterable<DesiredUpdate>
  /** Stores a report durably before it resolves. */
  report(agent: Identity, full: boolean, statuses: readonly Status[]): Promise<void>
  /** The agent stored this generation. */
  acknowledged(agent: Identity, generation: number): void
  opened(agent: Identity, hello: Hello, session: OpenSession): void
  closed(agent: Identity, session: OpenSession): void
}

/** An agent's session as its parent sees it. */
export interface OpenSession {
  readonly agent: Identity
  /** Resolves with the agent's answer, throws Unavailable when the session ends before. */
  command(command: Command): Promise<CommandResult>
  /** Says Goodbye and closes once the agent has hung up, or after a few seconds. */
  close(reason: string): Promise<void>
}

/**
 * The newest version that both sides speak. Throws ProtocolMismatch that names both ranges, so
 * that an operator sees which side is to be upgraded.
 */
export function negotiateProtocol(peer: {
  readonly minProtocol: number
  readonly maxProtocol: number
}): number {
  const newest = Math.min(peer.maxProtocol, PROTOCOL_MAX)
  if (newest >= Math.max(peer.minProtocol, PROTOCOL_MIN)) return newest
  const [theirs, ours] = [
    range(peer.minProtocol, peer.maxProtocol),
    range(PROTOCOL_MIN, PROTOCOL_MAX),
  ]
  const older = peer.maxProtocol < PROTOCOL_MIN ? 'upgrade the agent' : 'upgrade its parent'
  throw new MalleeError(
    'ProtocolMismatch',
    `the agent speaks protocol ${theirs}, its parent ${ours}: ${older} first`,
  )
}

function range(min: number, max: number): string {
  return min === max ? `${min}` : `${min} to ${max}`
}
