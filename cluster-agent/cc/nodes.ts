// The CC as parent of its rack's nodes: the same session one level down. What nodes report goes on
// the CC's board and so up to the gateway; commands for them go through their sessions.

import { create } from '@bufbuild/protobuf'
import { MalleeError } from '../../common/errors.ts'
import type { Identity } from '../../common/identity.ts'
import type { Log } from '../../common/log.ts'
import {
  HostStatusSchema,
  type Status,
  StatusSchema,
} from '../../proto/gen/mallee/v1/observed_pb.js'
import type { Command, CommandResult } from '../../proto/gen/mallee/v1/session_pb.js'
import { bodyAt } from '../../proto/resources.ts'
import type { DesiredUpdate, OpenSession, ParentEnd } from '../../proto/session.ts'
import type { AgentState, Held } from '../state.ts'
import type { StatusBoard } from '../status-board.ts'
import { isFor, nodeDesired } from './spread.ts'

export interface NodesParts {
  readonly cloud: string
  readonly rack: string
  readonly state: AgentState
  readonly board: StatusBoard
  readonly log: Log
}

/** The open sessions of a rack's nodes. */
export class Nodes {
  readonly #parts: NodesParts
  readonly #open = new Map<string, OpenSession>()

  constructor(parts: NodesParts) {
    this.#parts = parts
    // Those that were here before our restart are away until they dial again.
    for (const node of parts.state.nodes()) parts.board.set([nodeStatus(node, false)])
    parts.state.onAccept(() => this.#dismissStrangers())
  }

  parentEnd(): ParentEnd {
    const { cloud, state, log } = this.#parts
    return {
      cloud,
      epoch: () => state.held()?.epoch ?? '',
      admit: async (agent, _hello, keyFingerprint) => this.#admit(agent, keyFingerprint),
      desired: (agent, held, signal) => this.#desired(hostOf(agent), held, signal),
      report: async (agent, _full, statuses) => this.#report(hostOf(agent), statuses),
      acknowledged: () => undefined,
      opened: (agent, _hello, session) => {
        log.info('node connected', { host: hostOf(agent) })
        this.#open.set(hostOf(agent), session)
      },
      closed: (agent, session) => this.#closed(hostOf(agent), session),
    }
  }

  /** Runs a command on a node. Throws HostNotFound when its session is not open. */
  async command(command: Command): Promise<CommandResult> {
    const session = this.#open.get(command.host)
    if (session === undefined) {
      throw new MalleeError('HostNotFound', `host ${command.host} has no session with its CC`)
    }
    return session.command(command)
  }

  /** Is that the key of a host of this rack? */
  isMember(host: string, keyFingerprint: string): boolean {
    return this.#fingerprintOf(host) === keyFingerprint
  }

  /** A node that left: nobody waits for it any more. */
  forget(host: string): void {
    this.#parts.state.forgetNode(host)
    const own = [`host/${host}`, `images/${host}`]
    this.#parts.board.keepOnly((key) => !own.includes(key))
  }

  async closeAll(reason: string): Promise<void> {
    await Promise.all([...this.#open.values()].map((session) => session.close(reason)))
  }

  #admit(agent: Identity, keyFingerprint: string): void {
    const { rack, state } = this.#parts
    if (agent.kind !== 'host' || agent.rack !== rack || agent.roles.includes('cc')) {
      throw new MalleeError('NotSupported', `only nodes of rack ${rack} have a session with its CC`)
    }
    if (state.held() === null) {
      throw new MalleeError('Unavailable', `the CC of rack ${rack} has no desired state yet`)
    }
    if (!this.isMember(agent.host, keyFingerprint)) {
      const sentence = `host ${agent.host} is not in rack ${rack}, or with another key`
      throw new MalleeError('HostNotFound', sentence)
    }
  }

  /** Of the key of a member of the rack; null for who is none. */
  #fingerprintOf(host: string): string | null {
    const members = bodyAt(this.#parts.state.desired(), 'rack', 'rack')?.members ?? []
    return members.find((member) => member.host === host)?.keyFingerprint ?? null
  }

  /** A host that was taken out of the cloud has nothing more to ask here. */
  #dismissStrangers(): void {
    for (const [host, session] of this.#open) {
      if (this.#fingerprintOf(host) !== null) continue
      this.#parts.log.warn('node was taken out', { host })
      this.forget(host)
      void session.close('the host was taken out of the cloud')
    }
  }

  async *#desired(
    host: string,
    held: Held | null,
    signal: AbortSignal,
  ): AsyncIterable<DesiredUpdate> {
    const { state } = this.#parts
    let sent = held
    let wake: () => void = () => undefined
    const unsubscribe = state.onAccept(() => wake())
    signal.addEventListener('abort', () => wake(), { once: true })
    try {
      while (!signal.aborted) {
        const now = state.held()
        if (now !== null && (now.epoch !== sent?.epoch || now.generation !== sent.generation)) {
          const update = this.#updateFor(host, sent, now)
          sent = now
          yield update
          continue
        }
        await new Promise<void>((resolve) => {
          wake = resolve
          if (signal.aborted) resolve()
        })
      }
    } finally {
      unsubscribe()
    }
  }

  #updateFor(host: string, sent: Held | null, now: Held): DesiredUpdate {
    const { state } = this.#parts
    const changed = sent === null ? null : state.changedSince(sent)
    const { generation } = now
    if (sent === null || changed === null) {
      return { kind: 'snapshot', generation, resources: nodeDesired(state.desired(), host) }
    }
    const theirs = changed.upserts.filter((resource) => isFor(host, resource))
    const moved = changed.upserts.filter((resource) => !isFor(host, resource))
    return {
      kind: 'delta',
      fromGeneration: sent.generation,
      generation,
      upserts: theirs,
      removals: [...changed.removals, ...moved.map((resource) => resource.key)],
    }
  }

  /**
   * A node speaks for itself, its instances, volumes and snapshots, and its load balancers' nodes,
   * for nothing else.
   */
  #report(host: string, statuses: readonly Status[]): void {
    const { board, state, rack } = this.#parts
    for (const status of statuses) {
      const { body } = status
      if (body.case === 'host' && body.value.host === host && body.value.rack === rack) {
        const seen = nodeStatus(body.value, true)
        if (seen.body.case === 'host') state.keepNode(seen.body.value)
        board.set([seen])
      } else if (this.#isTheirs(host, status)) board.set([status])
    }
  }

  /** May the node `host` say this of what is not itself? */
  #isTheirs(host: string, { key, body }: Status): boolean {
    if (body.case === 'instance') return body.value.host === host
    if (body.case === 'images') return key === `images/${host}`
    if (body.case === 'volume' || body.case === 'volumeSnapshot') {
      const { id } = body.value
      const desired = this.#parts.state.desired()
      const [at, one] =
        body.case === 'volume'
          ? [`volume/${id}`, bodyAt(desired, `volume/${id}`, 'volume')]
          : [`snapshot/${id}`, bodyAt(desired, `snapshot/${id}`, 'volumeSnapshot')]
      return key === at && body.value.host === host && one?.host === host
    }
    if (body.case !== 'balancer' && body.case !== 'target') return false
    const { interfaceId } = body.value
    // Under another key it would stand for another node's word.
    if (!`${key}/`.startsWith(`${body.case}/${interfaceId}/`)) return false
    const balancer = bodyAt(this.#parts.state.desired(), `balancer/${interfaceId}`, 'balancer')
    return balancer?.host === host
  }

  #closed(host: string, session: OpenSession): void {
    if (this.#open.get(host) !== session) return
    this.#open.delete(host)
    this.#parts.log.warn('node is away', { host })
    const known = this.#parts.board.get(`host/${host}`)
    if (known?.body.case === 'host') this.#parts.board.set([nodeStatus(known.body.value, false)])
  }
}

function nodeStatus(value: HostStatusInit, connected: boolean): Status {
  const host = create(HostStatusSchema, { ...value, connected })
  return create(StatusSchema, { key: `host/${value.host}`, body: { case: 'host', value: host } })
}

type HostStatusInit = Parameters<typeof create<typeof HostStatusSchema>>[1] & { host: string }

function hostOf(agent: Identity): string {
  return agent.kind === 'host' ? agent.host : ''
}
