// Puts an agent together and runs it: state from disk first, so that guests and tunnels are made
// true with nobody reachable; then the session with the parent, and for a CC its nodes.

import { join } from 'node:path'
import { chance, randomHex, systemClock } from '../common/clock.ts'
import { isThere } from '../common/durable-file.ts'
import type { Log } from '../common/log.ts'
import { Loop } from '../common/reconcile.ts'
import { VERSION } from '../common/version.ts'
import { SerialDesk } from '../proto/serial.ts'
import { SessionClient } from '../proto/session-client.ts'
import type { SecuredCall } from '../proto/tls.ts'
import { Nodes } from './cc/nodes.ts'
import { type NodeServer, startNodeServer } from './cc/server.ts'
import type { AgentConfig } from './config.ts'
import type { HostPass, HostRoles } from './host-roles.ts'
import { type HostFacts, hostStatus } from './host-status.ts'
import type { HeldIdentity } from './identity.ts'
import { startNeighbourServer } from './images/neighbour-server.ts'
import { Members } from './members.ts'
import { isParentOf } from './parent.ts'
import type { Paths } from './paths.ts'
import { drainFile, writeProgress } from './progress.ts'
import { startRenewal } from './renewal.ts'
import { relayOffers } from './sc/relay.ts'
import { openStorageRole } from './sc/storage.ts'
import { agentSerial } from './serial.ts'
import { AgentState } from './state.ts'
import { StatusBoard, subjectsOf } from './status-board.ts'
import { upstreamEnd } from './upstream.ts'

const PASS_EVERY_MS = 5_000
const TELL_EVERY_MS = 1_000

export interface AgentParts {
  readonly config: AgentConfig
  readonly paths: Paths
  readonly identity: HeldIdentity
  readonly roles: HostRoles
  readonly facts: HostFacts
  readonly log: Log
}

/** Runs until stopped. Guests, tunnels and switches stay: the next start adopts them. */
export async function startAgent(parts: AgentParts): Promise<{ stop: () => Promise<void> }> {
  const { config, paths, identity, roles, facts, log } = parts
  const clock = systemClock
  const state = new AgentState(join(paths.stateDir, 'state.db'))
  const board = new StatusBoard()
  const isCc = config.roles.includes('cc')
  const nodes = isCc
    ? new Nodes({ cloud: config.cloud, rack: config.rack, state, board, log })
    : null
  /** By pass: the generation that it made true last. */
  const made = new Map<string, number>()
  /** How often something came that is to be made. */
  let news = 0
  let draining = false

  const loops = roles.passes.map((one) => {
    const pass = (): Promise<void> => runPass(one)
    return new Loop({ name: one.name, everyMs: PASS_EVERY_MS, clock, chance, log, pass })
  })
  const wake = (): void => {
    for (const loop of loops) loop.wake()
  }
  const { guests } = roles
  const connection = () => session.connection()
  const desk = new SerialDesk(clock)
  const serial = agentSerial({
    rack: config.rack,
    host: config.host,
    port: guests === null ? null : (instance) => guests.serialPort(instance),
    nodes: nodes === null ? null : { desk, command: (command) => nodes.command(command) },
    connection,
    clock,
    log,
  })
  const session: SessionClient = new SessionClient({
    agent: upstreamEnd({
      host: config.host,
      state,
      board,
      consoleOutput: roles.consoleOutput,
      guests,
      serial,
      relay: nodes === null ? null : (command) => nodes.command(command),
    }),
    connect: config.parents,
    identity: identity.current,
    expect: isParentOf(config),
    clock,
    log,
    chance,
    incarnation: randomHex(8),
    agentVersion: VERSION,
    simulated: config.simulated,
  })

  const members = new Members(config, () => state.desired())
  const admit = (call: SecuredCall): string => members.admit(call)
  const storage = config.roles.includes('sc')
    ? await openStorageRole({ ...config, paths, connection, clock, randomHex, log })
    : null
  const server = nodes === null ? null : await openNodeServer(nodes)
  const neighbours =
    nodes !== null || roles.images === null
      ? null
      : startNeighbourServer({
          ...{ config, identity: identity.current, images: roles.images, admit, log },
        })
  const renewed = (): void => {
    server?.renewed()
    neighbours?.renewed()
  }
  const renewal = startRenewal({ config, identity, renewed, clock, chance, log })
  publish()
  const offState = state.onAccept(({ from, generation, isNews }) => {
    if (isNews) {
      news += 1
      return wake()
    }
    // What made the one before true made this one true, too.
    for (const [name, at] of made) if (at === from) made.set(name, generation)
  })
  const offRoles = roles.onStatus((onlyTold = false) => {
    publish()
    if (!onlyTold) wake()
  })
  storage?.onChange(publish)
  for (const loop of loops) loop.start()
  session.start()
  await tell()
  let telling = Promise.resolve()
  const timer = setInterval(() => {
    telling = telling.then(tell)
  }, TELL_EVERY_MS)
  log.info('agent is up', { host: config.host, rack: config.rack, roles: config.roles })
  return { stop }

  async function openNodeServer(served: Nodes): Promise<NodeServer> {
    try {
      return await startNodeServer({
        config,
        roles,
        admit,
        nodes: served,
        desk,
        offered: relayOffers({
          rack: config.rack,
          isMember: (host, fingerprint) => served.isMember(host, fingerprint),
          connection,
        }),
        connection,
        identity: identity.current,
        log,
      })
    } catch (error) {
      state.close()
      throw error
    }
  }

  async function runPass({ name, run }: HostPass): Promise<void> {
    const held = state.held()
    const [before, known] = [news, made.get(name)]
    try {
      if (held === null) return
      await run(state.desired())
      const generation = news === before ? state.held()?.generation : held.generation
      made.set(name, generation ?? held.generation)
      // The CC has made ports that the NC's flows must know.
      if (known !== made.get(name) && name === 'cc') {
        loops[roles.passes.findIndex((other) => other.name === 'nc')]?.wake()
      }
    } finally {
      publish()
    }
  }

  function publish(): void {
    const now = {
      wireguardPublicKey: roles.wireguardPublicKey(),
      wireguardEndpoints: roles.wireguardEndpoints(),
      trouble: trouble(),
      draining,
      disks: storage?.disks() ?? [],
      volumes: roles.volumeStore(),
    }
    const own = roles.statuses().filter(({ key }) => isWanted(key))
    board.set([hostStatus(config, facts, now), ...own])
    board.keepOnly(isWanted)
  }

  /** What all passes have made true; a host with nothing to make is done with what it holds. */
  function madeGeneration(): number | null {
    if (loops.length === 0) return state.held()?.generation ?? null
    return made.size < loops.length ? null : Math.min(...made.values())
  }

  function trouble(): string {
    const all = [...loops, renewal, ...(server === null ? [] : [server])]
    return all.flatMap((one) => one.trouble() ?? []).join('; ')
  }

  /** Of what the parent took out of the desired state it wants to hear no more. */
  function isWanted(key: string): boolean {
    return state.held() === null || subjectsOf(key).every((one) => state.desired().has(one))
  }

  async function tell(): Promise<void> {
    await lookForDrain()
    const own = roles.statuses()
    const tunnels = own.flatMap(({ body }) => (body.case === 'tunnel' ? [body.value] : []))
    await writeProgress(paths, {
      pid: process.pid,
      version: VERSION,
      connected: session.connected(),
      connectTrouble: session.connected() ? '' : (session.state().trouble?.message ?? ''),
      generation: state.held()?.generation ?? null,
      madeGeneration: madeGeneration(),
      trouble: trouble(),
      instances: own.filter(({ body }) => body.case === 'instance').length,
      draining,
      tunnels: tunnels.map((one) => ({
        rack: one.rack,
        host: one.host,
        latestHandshakeMs: Number(one.latestHandshakeMs),
        receivedBytes: Number(one.receivedBytes),
      })),
    }).catch((error: unknown) => log.warn('progress not written', { error }))
  }

  /** The operator's wish lies there as a file; a host without passes must see it too. */
  async function lookForDrain(): Promise<void> {
    const wished = await isThere(drainFile(paths))
    if (wished === draining) return
    draining = wished
    publish()
  }

  async function stop(): Promise<void> {
    clearInterval(timer)
    await telling
    offState()
    offRoles()
    await renewal.stop()
    await serial.close()
    await storage?.close()
    await session.stop()
    await nodes?.closeAll('the CC stops')
    await server?.close()
    await neighbours?.close()
    await Promise.all(loops.map((loop) => loop.stop()))
    await roles.close()
    state.close()
  }
}
