// One load balancer's node: the filter of its namespace, its HAProxy, and what both say. A pass and
// a look between passes take turns.

import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { create } from '@bufbuild/protobuf'
import type { Clock } from '../../../common/clock.ts'
import { MalleeError, messageOf } from '../../../common/errors.ts'
import type { Exec } from '../../../common/exec.ts'
import type { Log } from '../../../common/log.ts'
import { BalancerStatusSchema, TargetState } from '../../../proto/gen/mallee/v1/balancers_pb.js'
import { type Status, StatusSchema } from '../../../proto/gen/mallee/v1/observed_pb.js'
import {
  checkHaproxyConfig,
  endSessions,
  findHaproxy,
  listWorkers,
  reloadHaproxy,
  type ServerStat,
  serverStates,
  serverStats,
  startHaproxy,
  tellHaproxy,
  workerDescription,
} from '../../host/haproxy.ts'
import { inNetns, killInside } from '../../host/netns.ts'
import type { Paths } from '../../paths.ts'
import { FilterKeeper } from './filter-keeper.ts'
import { type NodeConfig, nodeConfig } from './haproxy-config.ts'
import { type Health, healthOf, targetStatuses, usableTargets } from './health.ts'
import { type NodePlaces, netnsName, nodePlaces } from './names.ts'
import { carriedStates, groupServers, planServers, serverLines } from './servers.ts'
import type { NodeWanted } from './wanted.ts'

export interface NodeOptions {
  readonly exec: Exec
  readonly paths: Paths
  readonly host: string
  readonly clock: Clock
  readonly log: Log
}

const READY_MS = 10_000
/** Passes in which it said nothing at all, until it is ended and started anew. */
const MAX_SILENT_PASSES = 3
const READY_POLL_MS = 25

export class BalancerNode {
  readonly #options: NodeOptions
  readonly #interfaceId: string
  readonly #netns: string
  readonly #at: NodePlaces
  readonly #filter: FilterKeeper
  #wanted: NodeWanted | null = null
  #health: ReadonlyMap<string, Health> = new Map()
  #serving = false
  #trouble = ''
  #unsettled = false
  #silentPasses = 0
  #turn: Promise<void> = Promise.resolve()

  /** Throws BadMessage for an id that cannot be a name. */
  constructor(interfaceId: string, options: NodeOptions) {
    this.#options = options
    this.#interfaceId = interfaceId
    this.#netns = netnsName(interfaceId)
    this.#at = nodePlaces(options.paths, interfaceId)
    this.#filter = new FilterKeeper(inNetns(options.exec, this.#netns))
  }

  /** Makes `wanted` true in the namespace that is there. */
  pass(wanted: NodeWanted): Promise<void> {
    return this.#inTurn(async () => {
      this.#wanted = wanted
      try {
        if (this.#health.size === 0) await this.#recall(wanted)
        await this.#filter.pass(wanted, (groupId) => this.#usable(groupId))
        await this.#keepHaproxy(wanted)
        await this.#look(wanted)
        const deaf = await this.#deafPorts(wanted)
        this.#trouble = sentenceOf(wanted, deaf)
        this.#serving = deaf.length === 0 && wanted.missing.length === 0
      } catch (error) {
        this.#trouble = messageOf(error)
        this.#serving = false
        throw error
      }
    })
  }

  /** Asks HAProxy for its servers, and lets in and out what may go; quietly when it is away. */
  look(): Promise<void> {
    return this.#inTurn(async () => {
      const wanted = this.#wanted
      if (wanted === null || !this.#serving) return
      await this.#look(wanted)
    })
  }

  /** Is something expected to change within a moment? */
  unsettled(): boolean {
    return this.#unsettled && this.#serving
  }

  statuses(): Status[] {
    const wanted = this.#wanted
    if (wanted === null) return []
    const state = { serving: this.#serving, trouble: this.#trouble }
    const own = balancerStatus(wanted, this.#options.host, state)
    return [own, ...targetStatuses(wanted, this.#health)]
  }

  /** Ends HAProxy and forgets its files; the namespace is another's matter. */
  remove(): Promise<void> {
    return this.#inTurn(async () => {
      this.#wanted = null
      this.#serving = false
      await rm(this.#at.dir, { recursive: true, force: true })
    })
  }

  /** A new agent: how targets are is known, only not to us. */
  async #recall(wanted: NodeWanted): Promise<void> {
    const { exec } = this.#options
    if ((await findHaproxy(exec, this.#at)) === null) return
    const stats = await serverStats(this.#at.socket).catch(() => null)
    if (stats !== null) this.#take(wanted, stats)
  }

  async #keepHaproxy(wanted: NodeWanted): Promise<void> {
    const { exec, log } = this.#options
    const at = this.#at
    const config = nodeConfig(wanted, at)
    const running = (await findHaproxy(exec, at)) !== null
    const runs = running ? await this.#ask() : null
    if (runs === null) {
      log.info('haproxy start', { interface: this.#interfaceId })
      // Also workers without their master, which would keep its ports.
      await killInside(exec, this.#netns)
      await rm(at.states, { force: true })
      await this.#writeConfig(config, new Map())
      await startHaproxy(inNetns(exec, this.#netns), at)
      return this.#awaitConfig(config)
    }
    if (runs === config.digest) return
    log.info('haproxy reload', { interface: this.#interfaceId })
    await this.#writeConfig(config, serverLines(wanted, await serverStats(at.socket)))
    // What is well stays so, and what is not gets nobody until it is.
    const states = carriedStates(wanted, await serverStates(at.socket))
    await writeFile(at.states, states, { mode: 0o600 })
    await reloadHaproxy(at.socket)
    return this.#awaitConfig(config)
  }

  /** Which configuration it runs; null when it was silent for too long. Throws Unavailable. */
  async #ask(): Promise<string | null> {
    try {
      const runs = await workerDescription(this.#at.socket)
      this.#silentPasses = 0
      return runs
    } catch (error) {
      this.#silentPasses += 1
      if (this.#silentPasses < MAX_SILENT_PASSES) throw error
      this.#options.log.error('haproxy is silent', { interface: this.#interfaceId, error })
      this.#silentPasses = 0
      return null
    }
  }

  async #writeConfig(
    config: NodeConfig,
    servers: ReadonlyMap<string, readonly string[]>,
  ): Promise<void> {
    const at = this.#at
    await mkdir(at.dir, { recursive: true, mode: 0o700 })
    await mkdir(at.root, { recursive: true, mode: 0o755 })
    await writeFile(at.draft, config.text(servers), { mode: 0o600 })
    await checkHaproxyConfig(this.#options.exec, at.draft)
    await rename(at.draft, at.config)
  }

  async #awaitConfig({ digest }: NodeConfig): Promise<void> {
    const { clock } = this.#options
    const until = clock.nowMs() + READY_MS
    for (;;) {
      const runs = await workerDescription(this.#at.socket).catch(() => null)
      if (runs === digest) return
      if (clock.nowMs() > until) {
        const sentence = `HAProxy of ${this.#interfaceId} does not take its configuration`
        throw new MalleeError('CommandTimeout', `${sentence}: see ${this.#at.log}`)
      }
      await clock.sleep(READY_POLL_MS)
    }
  }

  async #look(wanted: NodeWanted): Promise<void> {
    const { socket } = this.#at
    let stats = await serverStats(socket)
    const plan = planServers(wanted, stats)
    this.#unsettled = plan.unsettled
    const refused = await tellHaproxy(socket, plan.commands)
    if (plan.shutdowns.length > 0) await this.#shutdown(new Set(plan.shutdowns))
    await tellHaproxy(socket, plan.deletions)
    if (plan.commands.length > 0) {
      // Trials that have ended say why a target is ill until it is checked again.
      const trials = wanted.groups.flatMap(({ id }) => [...groupServers(id, stats).trial.values()])
      stats = [...trials, ...(await serverStats(socket))]
    }
    this.#take(wanted, stats)
    await this.#filter.follow(wanted, (groupId) => this.#usable(groupId))
    if (refused.length > 0) {
      throw new MalleeError('CommandFailed', `HAProxy refused: ${refused.join('; ')}`)
    }
  }

  async #shutdown(servers: ReadonlySet<string>): Promise<void> {
    const { newest, old } = await listWorkers(this.#at.socket)
    for (const pid of [newest, ...old]) await endSessions(this.#at.socket, pid, servers)
  }

  #take(wanted: NodeWanted, stats: readonly ServerStat[]): void {
    const { clock, log } = this.#options
    const before = this.#health
    this.#health = healthOf(wanted, stats, before, clock.nowMs())
    for (const [target, { state, reason }] of this.#health) {
      const was = before.get(target)?.state ?? TargetState.INITIAL
      if (was === state || state === TargetState.INITIAL) continue
      const level = state === TargetState.HEALTHY ? 'info' : 'warn'
      log[level]('target health', { target, state: TargetState[state], reason })
    }
  }

  #usable(groupId: string) {
    return this.#wanted === null ? [] : usableTargets(this.#wanted, groupId, this.#health)
  }

  /** Ports of TCP listeners on which nobody listens, in either family. */
  async #deafPorts({ listeners }: NodeWanted): Promise<number[]> {
    const { exec } = this.#options
    const wanted = listeners.filter(({ tcp }) => tcp).map(({ port }) => port)
    if (wanted.length === 0) return []
    const { newest } = await listWorkers(this.#at.socket)
    const tables = ['tcp', 'tcp6'].map((name) => `/proc/${newest}/net/${name}`)
    const [ipv4, ipv6] = await Promise.all(
      tables.map(async (file) => listening((await exec(['cat', file])).stdout)),
    )
    return wanted.filter((port) => !ipv4?.has(port) || !ipv6?.has(port))
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => undefined)
    return turn
  }
}

export function balancerStatus(
  { id, interfaceId }: NodeWanted,
  host: string,
  state: { readonly serving: boolean; readonly trouble: string },
): Status {
  const value = create(BalancerStatusSchema, { id, interfaceId, host, ...state })
  return create(StatusSchema, { key: `balancer/${interfaceId}`, body: { case: 'balancer', value } })
}

/** The local ports in state LISTEN of /proc/net/tcp and tcp6 (proc(5)). */
export function listening(table: string): Set<number> {
  const found = new Set<number>()
  for (const [, port = ''] of table.matchAll(/^\s*\d+: [0-9A-F]+:([0-9A-F]{4}) \S+ 0A /gm)) {
    found.add(Number.parseInt(port, 16))
  }
  return found
}

function sentenceOf({ missing }: NodeWanted, deaf: readonly number[]): string {
  return [
    ...(missing.length > 0 ? [`missing: ${missing.join(', ')}`] : []),
    ...(deaf.length > 0 ? [`nobody listens on port ${deaf.join(', ')}`] : []),
  ].join('; ')
}
