// Both ends of a session as tests want them: in memory, with everything that happened written down.

import { create } from '@bufbuild/protobuf'
import { systemClock } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import type { Identity } from '../../common/identity.ts'
import { silentLog } from '../../common/log.ts'
import { type Resource, ResourceSchema } from '../../proto/gen/mallee/v1/desired_pb.js'
import { type Status, StatusSchema } from '../../proto/gen/mallee/v1/observed_pb.js'
import type { Command, Hello } from '../../proto/gen/mallee/v1/session_pb.js'
import type { AgentEnd, DesiredUpdate, OpenSession, ParentEnd } from '../../proto/session.ts'
import { SessionClient, type SessionClientOptions } from '../../proto/session-client.ts'
import { hostOf, type TestCloud } from './cloud.ts'

export function vpc(id: string, cidr = '10.0.0.0/20'): Resource {
  return create(ResourceSchema, {
    key: `vpc/${id}`,
    body: { case: 'vpc', value: { id, ipv4Cidrs: [cidr] } },
  })
}

export function hostStatus(host: string, trouble = ''): Status {
  return create(StatusSchema, {
    key: `host/${host}`,
    body: { case: 'host', value: { host, trouble } },
  })
}

/** A parent whose desired state is a map that the test changes. */
export class TestParent implements ParentEnd {
  readonly cloud: string
  readonly log: string[] = []
  readonly sessions = new Map<string, OpenSession>()
  readonly reports: { full: boolean; keys: string[]; troubles: string[] }[] = []
  readonly sent: DesiredUpdate[] = []
  generation = 1
  theEpoch = 'e1'
  resources = new Map<string, Resource>()
  refuse: MalleeError | null = null
  holdReports: Promise<void> = Promise.resolve()
  holdAdmission: Promise<void> = Promise.resolve()
  /** Deltas claim to begin here; for agents that shall refuse them. */
  pretendHeld: number | null = null
  acked = 0
  #changedAt = new Map<string, number>()
  #wake = new Set<() => void>()

  constructor(cloud: string) {
    this.cloud = cloud
  }

  set(...resources: Resource[]): void {
    this.generation += 1
    for (const resource of resources) {
      this.resources.set(resource.key, resource)
      this.#changedAt.set(resource.key, this.generation)
    }
    for (const wake of [...this.#wake]) wake()
  }

  remove(key: string): void {
    this.generation += 1
    this.resources.delete(key)
    this.#changedAt.set(key, this.generation)
    for (const wake of [...this.#wake]) wake()
  }

  epoch(): string {
    return this.theEpoch
  }

  async admit(_agent: Identity, hello: Hello): Promise<void> {
    this.log.push(`hello ${hello.epoch}@${hello.generation}`)
    await this.holdAdmission
    if (this.refuse !== null) throw this.refuse
  }

  async *desired(
    _agent: Identity,
    held: { epoch: string; generation: number } | null,
    signal: AbortSignal,
  ): AsyncIterable<DesiredUpdate> {
    let at = held?.epoch === this.theEpoch ? held.generation : null
    while (!signal.aborted) {
      if (at !== this.generation) {
        const update = this.#updateFrom(at)
        at = this.generation
        this.sent.push(update)
        yield update
        continue
      }
      await new Promise<void>((resolve) => {
        const wake = () => {
          this.#wake.delete(wake)
          resolve()
        }
        this.#wake.add(wake)
        signal.addEventListener('abort', wake, { once: true })
      })
    }
    this.log.push('desired ended')
  }

  #updateFrom(at: number | null): DesiredUpdate {
    const { generation } = this
    if (at === null)
      return { kind: 'snapshot', generation, resources: [...this.resources.values()] }
    const changed = [...this.#changedAt].filter(([, since]) => since > at).map(([key]) => key)
    return {
      kind: 'delta',
      fromGeneration: this.pretendHeld ?? at,
      generation,
      upserts: changed.flatMap((key) => this.resources.get(key) ?? []),
      removals: changed.filter((key) => !this.resources.has(key)),
    }
  }

  async report(_agent: Identity, full: boolean, statuses: readonly Status[]): Promise<void> {
    this.reports.push({
      full,
      keys: statuses.map(({ key }) => key),
      troubles: statuses.map(({ body }) => (body.case === 'host' ? body.value.trouble : '')),
    })
    await this.holdReports
  }

  acknowledged(_agent: Identity, generation: number): void {
    this.acked = generation
  }

  opened(agent: Identity, _hello: Hello, session: OpenSession): void {
    const name = nameOf(agent)
    this.log.push(`opened ${name}`)
    this.sessions.set(name, session)
  }

  closed(agent: Identity, session: OpenSession): void {
    const name = nameOf(agent)
    this.log.push(`closed ${name}`)
    if (this.sessions.get(name) === session) this.sessions.delete(name)
  }
}

/** An agent that keeps what it accepts in memory, and refuses what does not fit as it must. */
export class TestAgent implements AgentEnd {
  epoch: string | null = null
  generation = 0
  resources = new Map<string, Resource>()
  all: Status[] = [hostStatus('a-1')]
  readonly accepted: string[] = []
  readonly commands: string[] = []
  /** Accepting waits for this. */
  hold: Promise<void> = Promise.resolve()
  run: (command: Command) => Promise<Uint8Array> = async () => new Uint8Array()
  #listeners = new Set<(changed: readonly Status[]) => void>()

  held(): { epoch: string; generation: number } | null {
    return this.epoch === null ? null : { epoch: this.epoch, generation: this.generation }
  }

  async accept(epoch: string, update: DesiredUpdate): Promise<void> {
    await this.hold
    const older = epoch === this.epoch && update.generation < this.generation
    const unfit = update.kind === 'delta' && update.fromGeneration !== this.generation
    if (older || unfit) {
      this.accepted.push(`refused ${update.kind} ${update.generation}`)
      throw new MalleeError(
        'StaleGeneration',
        `${update.kind} to ${update.generation} does not fit`,
      )
    }
    if (update.kind === 'snapshot') {
      this.resources = new Map(update.resources.map((one) => [one.key, one]))
    } else {
      for (const one of update.upserts) this.resources.set(one.key, one)
      for (const key of update.removals) this.resources.delete(key)
    }
    this.epoch = epoch
    this.generation = update.generation
    this.accepted.push(`${update.kind} ${update.generation}`)
  }

  statuses(): readonly Status[] {
    return this.all
  }

  onStatus(listener: (changed: readonly Status[]) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  say(...changed: Status[]): void {
    for (const listener of this.#listeners) listener(changed)
  }

  async command(command: Command): Promise<Uint8Array> {
    this.commands.push(command.id)
    return this.run(command)
  }
}

export async function makeClient(
  cloud: TestCloud,
  port: number,
  agent: AgentEnd,
  options: Partial<SessionClientOptions> = {},
): Promise<SessionClient> {
  const identity = await cloud.issue(hostOf(cloud, 'a-1'))
  return new SessionClient({
    agent,
    connect: [{ host: '127.0.0.1', port }],
    identity: () => identity,
    expect: (peer) => peer.kind === 'gateway' && peer.cloud === cloud.name,
    clock: systemClock,
    log: silentLog,
    chance: () => 0.05,
    incarnation: 'i1',
    agentVersion: '1.0',
    simulated: true,
    ...options,
  })
}

function nameOf(agent: Identity): string {
  return agent.kind === 'host' ? agent.host : agent.kind
}
