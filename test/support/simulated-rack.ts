// Simulated hosts of a test cloud: they join with a real token over gRPC and run the real agent, on
// loopback and with a model instead of a machine.

import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { startAgent } from '../../cluster-agent/agent.ts'
import { type AgentConfig, CONFIG_DEFAULTS, type Parent } from '../../cluster-agent/config.ts'
import type { HostFacts } from '../../cluster-agent/host-status.ts'
import { HeldIdentity } from '../../cluster-agent/identity.ts'
import type { Paths } from '../../cluster-agent/paths.ts'
import type { Role } from '../../cluster-agent/role.ts'
import { simulatedPutRoot } from '../../cluster-agent/simulated/put-root.ts'
import {
  SIMULATED_CAPACITY,
  type SimulatedRoles,
  simulatedRoles,
} from '../../cluster-agent/simulated/roles.ts'
import { systemClock } from '../../common/clock.ts'
import { silentLog } from '../../common/log.ts'
import { certificateRequest, newKey } from '../../common/pki.ts'
import { parseToken } from '../../common/token.ts'
import { VERSION } from '../../common/version.ts'
import {
  fetchPinnedCa,
  type JoinFields,
  join as joinMembership,
} from '../../proto/membership-client.ts'
import type { TlsIdentity } from '../../proto/tls.ts'
import { until } from '../../sandbox/until.ts'
import type { TestCloud } from './cloud.ts'
import { agedIdentity } from './old-certificate.ts'
import { freePorts } from './ports.ts'

const BOOT_MS = 50

export interface RackHost {
  readonly name: string
  readonly config: AgentConfig
  readonly paths: Paths
  /** As it joined. */
  readonly identity: TlsIdentity
  /** The newest. */
  readonly current: () => TlsIdentity
  /** What a machine would have in it: it stays when the agent restarts. */
  readonly roles: SimulatedRoles
  readonly start: () => Promise<void>
  readonly stop: () => Promise<void>
}

export interface HostWish {
  readonly rack: string
  readonly host: string
  readonly roles: readonly Role[]
  /** The CC of a node; a CC has the gateway. */
  readonly parent?: RackHost
  /** Where the parent's sessions are reached, when not directly. */
  readonly sessionPort?: number
  /** More gateways, for a CC. */
  readonly others?: readonly TestCloud[]
  readonly vcpus?: number
  /** The certificate ends so soon; in a year when not given. */
  readonly leftMs?: number
}

/** A token from the operator's API. */
export async function newToken(
  cloud: TestCloud,
  rack: string,
  roles: readonly Role[],
): Promise<string> {
  const body = { rack, roles, minutes: 10 }
  const { token } = await cloud.local<{ token: string }>({
    ...{ method: 'POST', path: '/v1/tokens' },
    body,
  })
  return token
}

/** What a host would send to join with that token, but for what a test wants otherwise. */
export async function joinFields(
  tokenText: string,
  wish: { readonly host: string; readonly roles: readonly Role[]; readonly keyPem: string },
): Promise<JoinFields> {
  const token = parseToken(tokenText)
  return {
    tokenId: token.id,
    tokenSecret: token.secret,
    rack: token.rack,
    host: wish.host,
    roles: [...wish.roles],
    certificateRequest: await certificateRequest(wish.keyPem),
    agentVersion: VERSION,
    simulated: true,
    clockMs: BigInt(systemClock.nowMs()),
  }
}

/** Joins a host and starts its agent. It ends with the cloud. */
export async function addHost(cloud: TestCloud, wish: HostWish): Promise<RackHost> {
  const { rack, host, roles, vcpus, leftMs } = wish
  const token = await newToken(cloud, rack, roles)
  const parents = parentsOf(cloud, wish)
  const [first] = parents
  if (first === undefined) throw new Error(`${host} has no parent`)
  const { keyPem } = await newKey()
  const server = { host: first.host, port: first.joinPort }
  const caPem = await fetchPinnedCa(server.host, server.port, parseToken(token).caDigest)
  const answer = await joinMembership(
    { ...server, caPem, clock: systemClock },
    await joinFields(token, { host, roles, keyPem }),
  )
  const [sessionPort = 0, joinPort = 0] = roles.includes('cc') ? await freePorts(2) : [1, 1]
  const capacity = vcpus === undefined ? SIMULATED_CAPACITY : { ...SIMULATED_CAPACITY, vcpus }
  const config: AgentConfig = {
    ...CONFIG_DEFAULTS,
    cloud: answer.cloud,
    region: answer.region,
    rack,
    rackIndex: answer.rackIndex,
    host,
    hostIndex: answer.hostIndex,
    roles,
    parents,
    sessionPort,
    joinPort,
    listenHost: '127.0.0.1',
    simulated: true,
    capacity,
  }
  const given = { keyPem, certificatePem: answer.certificatePem, caPem: answer.caPem }
  const identity = leftMs === undefined ? given : await agedIdentity(cloud, given, leftMs)
  const made = runHost(cloud, config, identity)
  cloud.onEnd(made.stop)
  await made.start()
  return made
}

/** Waits until the cloud says of all these hosts that they are connected. */
export async function connected(cloud: TestCloud, hosts: readonly RackHost[]): Promise<void> {
  const names = hosts.map((one) => one.name).join(', ')
  const all = async (): Promise<boolean> => {
    const { racks } = await cloud.status()
    return hosts.every(({ name, config }) =>
      racks
        .find((rack) => rack.name === config.rack)
        ?.hosts.some((one) => one.host === name && one.connected),
    )
  }
  await until(`${names} are connected`, all)
}

/** Rack `a` with its CC host and a node behind it, rack `b` of one host; all connected. */
export async function addTwoRacks(
  cloud: TestCloud,
  more: Pick<HostWish, 'vcpus' | 'others'> = {},
): Promise<{ cc: RackHost; node: RackHost; other: RackHost }> {
  const cc = await addHost(cloud, { rack: 'a', host: 'a-cc', roles: ['cc', 'nc'], ...more })
  const other = await addHost(cloud, { rack: 'b', host: 'b-all', roles: ['cc', 'nc'], ...more })
  await connected(cloud, [cc, other])
  const node = await addHost(cloud, {
    ...{ rack: 'a', host: 'a-nc', roles: ['nc'], ...more },
    parent: cc,
  })
  await connected(cloud, [node])
  return { cc, node, other }
}

function parentsOf(cloud: TestCloud, { parent, others = [], sessionPort }: HostWish): Parent[] {
  const gateways = [cloud, ...others].map((one) => one.config)
  const configs = parent === undefined ? gateways : [parent.config]
  return configs.map((config) => ({
    host: '127.0.0.1',
    port: sessionPort ?? config.sessionPort,
    joinPort: config.joinPort,
  }))
}

function runHost(cloud: TestCloud, config: AgentConfig, identity: TlsIdentity): RackHost {
  const { host, roles } = config
  const base = join(cloud.dir, host)
  const paths = {
    stateDir: join(base, 'state'),
    runDir: join(base, 'run'),
    configFile: join(base, 'agent.json'),
  }
  const publicKey = createHash('sha256').update(`${config.rack}/${host}`).digest('base64')
  const held = new HeldIdentity(paths, identity)
  const putRoot = simulatedPutRoot(config, held.current, systemClock)
  const own = { host, roles, clock: systemClock, bootMs: BOOT_MS }
  const model = simulatedRoles({ ...own, publicKey, putRoot })
  const simulated = 'simulated'
  const facts: HostFacts = {
    version: VERSION,
    accelerator: simulated,
    ovsDatapath: simulated,
    volumeTarget: simulated,
    wireguard: simulated,
    ipsec: simulated,
    capacity: roles.includes('nc') ? config.capacity : null,
  }
  let agent: { stop: () => Promise<void> } | null = null
  const parts = { config, paths, facts }
  return {
    name: host,
    config,
    paths,
    identity,
    current: held.current,
    roles: model,
    start: async () => {
      agent = await startAgent({ ...parts, identity: held, roles: model, log: silentLog })
    },
    stop: async () => {
      await agent?.stop()
      agent = null
    },
  }
}
