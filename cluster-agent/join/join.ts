// Joins this host to a cloud: check, trade the token for a certificate, write the configuration,
// start the agent, and wait until it is one with the rest.

import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { systemClock } from '../../common/clock.ts'
import { writeDurably } from '../../common/durable-file.ts'
import { MalleeError } from '../../common/errors.ts'
import { exec } from '../../common/exec.ts'
import { certificateRequest, newKey } from '../../common/pki.ts'
import { SESSION_PORT } from '../../common/ports.ts'
import type { Invitation } from '../../common/token.ts'
import { VERSION } from '../../common/version.ts'
import type { VolumeTargetChoice } from '../../common/volume-target.ts'
import { check, fetchPinnedCa, type JoinFields, join } from '../../proto/membership-client.ts'
import { type AgentConfig, CONFIG_DEFAULTS, checkAgentConfig } from '../config.ts'
import { ensureKey, keepIdentity, readIdentity } from '../identity.ts'
import { objectsDir, type Paths, volumesDir } from '../paths.ts'
import type { Role } from '../role.ts'
import { STORAGE_PORT } from '../storage-net/names.ts'
import {
  type Check,
  checkAddresses,
  checkClock,
  checkHost,
  checkMtu,
  checkPort,
  failed,
} from './checks.ts'
import { startService } from './service.ts'
import { checkVolumes } from './volume-checks.ts'

export interface JoinOptions {
  readonly invitation: Invitation
  readonly host: string
  readonly roles: readonly Role[]
  readonly trunk: string | null
  /** A CC's; null for where its default routes lead. */
  readonly public: AgentConfig['public']
  readonly endpoints: readonly string[]
  readonly capacity: AgentConfig['capacity']
  /** An SC's; empty for a folder beside its state. */
  readonly objectDirs: readonly string[]
  readonly volumeDir: string | null
  /** An LVM thin pool instead of a folder. */
  readonly volumePool: string | null
  /** An SC's; null for a folder. */
  readonly volumeCeph: AgentConfig['volumeCeph']
  readonly volumeTarget: VolumeTargetChoice
  /** Null for one of the rack's own storage network. */
  readonly storageAddress: string | null
  readonly wireguardPort: number
  /** Where a CC serves its nodes. */
  readonly sessionPort: number
  readonly joinPort: number
  readonly simulated: boolean
  readonly paths: Paths
}

export interface Plan {
  readonly checks: readonly Check[]
  /** What joining would change on this host. */
  readonly changes: readonly string[]
  readonly ok: boolean
}

/** Looks at everything and changes nothing, neither here nor at the gateway. */
export async function planJoin(options: JoinOptions): Promise<Plan> {
  const { invitation, paths } = options
  const checks: Check[] = options.simulated
    ? []
    : [
        ...(await checkHost(exec, { ...options, runDir: paths.runDir })),
        ...(await checkVolumes(exec, { ...options, rack: invitation.token.rack })),
      ]
  checks.push(await checkPort(invitation.host, invitation.port))
  if ((await readIdentity(paths)) !== null) {
    checks.push(
      failed('state', `this host has joined already (${paths.stateDir}): rack-join leave`),
    )
  }
  if (checks.every((one) => one.name !== 'reach' || one.outcome === 'ok')) {
    if (!options.simulated) checks.push(await checkMtu(exec, invitation.host))
    checks.push(...(await askGateway(options)))
  }
  return { checks, changes: changesOf(options), ok: checks.every((c) => c.outcome !== 'failed') }
}

async function askGateway(options: JoinOptions): Promise<Check[]> {
  const { host, port, token } = options.invitation
  const caPem = await fetchPinnedCa(host, port, token.caDigest)
  // A key for the question only: a plan leaves nothing behind.
  const { keyPem } = await newKey()
  const sentMs = systemClock.nowMs()
  const fields = await joinFields(options, keyPem)
  const answer = await check({ host, port, caPem, clock: systemClock }, fields)
  const clock = checkClock(Number(answer.clockMs), (sentMs + systemClock.nowMs()) / 2)
  const checks: Check[] = [clock]
  const { refusalCode, refusalMessage } = answer
  if (refusalCode === '') {
    const sentence = `cloud ${answer.cloud}, region ${answer.region}, rack ${token.rack}`
    checks.push({ name: 'token', outcome: 'ok', sentence })
  } else if (refusalCode !== 'ClockSkew') {
    checks.push(failed('token', `${refusalCode}: ${refusalMessage}`))
  }
  return checks
}

/** Does it. Repeating it after a failure anywhere goes on where that was. */
export async function joinCloud(
  options: JoinOptions,
  progress: (sentence: string) => void,
): Promise<AgentConfig> {
  const { invitation, paths, roles } = options
  const { host, port, token } = invitation
  progress(`checking the CA of ${host}`)
  const caPem = await fetchPinnedCa(host, port, token.caDigest)
  const keyPem = await ensureKey(paths)
  progress(`joining rack ${token.rack} as ${options.host} (${roles.join(', ')})`)
  const fields = await joinFields(options, keyPem)
  const answer = await join({ host, port, caPem, clock: systemClock }, fields)
  const clash = options.simulated ? null : checkAddresses(answer.fabricPrefix)
  if (clash !== null && clash.outcome === 'failed') {
    throw new MalleeError('Conflict', clash.sentence)
  }
  const config = checkAgentConfig(paths.configFile, {
    ...CONFIG_DEFAULTS,
    cloud: answer.cloud,
    region: answer.region,
    rack: token.rack,
    rackIndex: answer.rackIndex,
    host: options.host,
    hostIndex: answer.hostIndex,
    roles,
    parents: [{ host, port: answer.sessionPort || SESSION_PORT, joinPort: port }],
    trunk: options.trunk,
    public: options.public,
    endpoints: options.endpoints,
    wireguardPort: options.wireguardPort,
    sessionPort: options.sessionPort,
    joinPort: options.joinPort,
    capacity: options.capacity,
    objectDirs: options.objectDirs,
    volumeDir: options.volumeDir,
    volumePool: options.volumePool,
    volumeCeph: options.volumeCeph,
    volumeTarget: options.volumeTarget,
    storageAddress: options.storageAddress,
    simulated: options.simulated,
  })
  await keepIdentity(paths, { certificatePem: answer.certificatePem, caPem: answer.caPem })
  await mkdir(dirname(paths.configFile), { recursive: true, mode: 0o755 })
  await writeDurably(paths.configFile, `${JSON.stringify(config, null, 2)}\n`)
  progress('starting the cluster-agent')
  await startService({ exec, paths, clock: systemClock })
  return config
}

async function joinFields(options: JoinOptions, keyPem: string): Promise<JoinFields> {
  const { token } = options.invitation
  return {
    tokenId: token.id,
    tokenSecret: token.secret,
    rack: token.rack,
    host: options.host,
    roles: [...options.roles],
    certificateRequest: await certificateRequest(keyPem),
    agentVersion: VERSION,
    simulated: options.simulated,
    clockMs: BigInt(systemClock.nowMs()),
  }
}

function volumesAt(options: JoinOptions): string {
  const { volumeCeph } = options
  return volumeCeph === null
    ? `volumes in ${volumesIn(options)}, ${servedBy(options)}`
    : `volumes in Ceph's pool ${volumeCeph.pool}, by ${volumeCeph.conf}`
}

function changesOf(options: JoinOptions): string[] {
  const { roles, trunk, public: side, paths, simulated, objectDirs } = options
  const dirs = objectDirs.length === 0 ? [objectsDir(paths)] : objectDirs
  if (simulated) return [`a simulated host in ${paths.stateDir}, nothing on this machine`]
  const has = (role: Role): boolean => roles.includes(role)
  return [
    `keys and state in ${paths.stateDir}, configuration in ${paths.configFile}`,
    'the service cluster-agent',
    ...(has('cc') || has('nc') || options.storageAddress === null
      ? ['the Open vSwitch bridge br-int']
      : []),
    ...(trunk === null ? [] : [`${trunk} becomes a port of br-int`]),
    ...(has('cc')
      ? [
          'WireGuard interface mallee0 (mallee-p* to peer clouds), nftables table inet mallee, ' +
            'IP forwarding, one dnsmasq',
        ]
      : []),
    ...(side === null ? [] : [`public addresses of tenants on ${side.device}`]),
    ...(has('nc') ? ['a QEMU process and a tap port for each instance'] : []),
    ...(has('sc') ? [`bytes of objects in ${dirs.join(', ')}`] : []),
    ...(has('sc') ? [volumesAt(options)] : []),
    ...((has('sc') || has('nc')) && options.storageAddress === null
      ? [`${STORAGE_PORT}, a port of br-int in the rack's storage network`]
      : []),
  ]
}

function servedBy({ volumeTarget }: JoinOptions): string {
  if (volumeTarget === 'auto') return "served by the kernel's LIO, or by a tgtd where it has none"
  return volumeTarget === 'lio' ? "served by the kernel's LIO" : 'served by a tgtd'
}

function volumesIn({ volumePool, volumeDir, paths }: JoinOptions): string {
  if (volumePool === null) return volumeDir ?? volumesDir(paths)
  return `the thin pool ${volumePool}, which gets a mark and fails writes when it is full`
}
