// What nobody asks for and must be so all the same: default subnets for every rack, a pre-shared
// key for every pair, leases that end, terminated instances that fade. Every gateway runs it;
// compare-and-set keeps them out of each other's way.

import type { Clock, RandomHex } from '../../common/clock.ts'
import type { Log } from '../../common/log.ts'
import { Loop } from '../../common/reconcile.ts'
import { pairName } from '../../topology/overlay.ts'
import { tendImaging, wakesImaging } from '../ebs/imaging.ts'
import { ensureDefaultSubnets } from '../ec2/networks.ts'
import { purgeTerminated } from '../ec2/purge.ts'
import { releaseStopped } from '../ec2/release.ts'
import { silenceLinks } from '../federation/peer-reports.ts'
import { withReport } from '../federation/reports.ts'
import type { Sessions } from '../federation/sessions.ts'
import { tendPeers } from '../peering/acts.ts'
import type { Sealer } from '../secrets.ts'
import type { HostRecord, LeaseRecord } from '../store/records.ts'
import type { AppliedChange, State, Transaction, View } from '../store/state.ts'
import { tendAttachments } from './attachment-housekeeping.ts'
import { movesNodes, tendBalancers } from './balancer-life.ts'
import { actOnDrains } from './drain.ts'
import { givenUp, isStuck } from './instance-state.ts'
import { finishAllLost } from './lost.ts'
import { hasPendingNat } from './nat-life.ts'
import { tendNetworks } from './network-housekeeping.ts'
import { renewRoleCredentials } from './role-credentials.ts'
import { tendVpns } from './vpn-life.ts'

const EVERY_MS = 15_000
const PRESHARED_KEY_BYTES = 32
/** Kinds whose change may ask for housekeeping at once. */
const WAKES =
  /^(rack|account|vpc|subnet|nat-gateway|balancer-node|profile-association|iam-profile|iam-role)\//

export interface HousekeepingParts {
  readonly state: State
  readonly sessions: Sessions
  readonly sealer: Sealer
  readonly gateway: string
  /** Where other gateways may reach this one's session port. */
  readonly reachedAt: NonNullable<LeaseRecord['reachedAt']>
  readonly leaseMs: number
  /** When this gateway started, in milliseconds since 1970. */
  readonly startedAtMs: number
  readonly clock: Clock
  readonly randomHex: RandomHex
  readonly chance: () => number
  readonly log: Log
}

/** Starts the loop; resolves its end when the pass under way is done. */
export function startHousekeeping(parts: HousekeepingParts): { stop: () => Promise<void> } {
  const { state, sessions, clock, chance, log } = parts
  const loop = new Loop({
    name: 'housekeeping',
    pass: () => housekeepingPass(parts),
    everyMs: Math.min(EVERY_MS, parts.leaseMs / 3),
    clock,
    chance,
    log,
  })
  const wake = (changes: readonly AppliedChange[]): void => {
    const isDue = ({ key }: AppliedChange) => WAKES.test(key) || wakesImaging(state.view(), key)
    if (changes.some((change) => isDue(change) || movesNodes(change) || isDeparture(change))) {
      loop.wake()
    }
  }
  const offChange = state.onChange(wake)
  const offSession = sessions.onChange(() => loop.wake())
  const offAcknowledged = sessions.onAcknowledged(({ rack }) => {
    if (hasPendingNat(state.view(), rack)) loop.wake()
  })
  loop.start()
  return {
    stop: async () => {
      offChange()
      offSession()
      offAcknowledged()
      await loop.stop()
    },
  }
}

/** What a host that left held is somebody else's. */
function isDeparture({ key, value }: AppliedChange): boolean {
  return key.startsWith('host/') && value === null
}

/** One pass; running it twice changes nothing more. */
export async function housekeepingPass(parts: HousekeepingParts): Promise<void> {
  const { state, clock, randomHex } = parts
  await ensureDefaultSubnets(state, { nowMs: clock.nowMs(), randomHex, log: parts.log })
  await ensurePresharedKeys(parts)
  await closeRemoved(parts)
  await renewLeases(parts)
  await endLeases(parts)
  await purgeTerminated(state, clock.nowMs())
  await tendNetworks(parts, clock.nowMs())
  await tendVpns(parts)
  await tendBalancers(parts, clock.nowMs())
  await renewRoleCredentials(parts, clock.nowMs())
  await actOnDrains(parts)
  await tendImaging(parts)
  await finishAllLost(parts)
  await tendAttachments(parts)
  await tendPeers(parts)
  await giveUpPending(parts)
  await forgetExpired(parts)
}

async function ensurePresharedKeys({ state, sealer, randomHex }: HousekeepingParts): Promise<void> {
  const missing = missingPairs(state.view())
  if (missing.length === 0) return
  await state.update(async (tx) => {
    for (const pair of missing) {
      if ((await tx.get('preshared-key', pair)) !== null) continue
      const key = Buffer.from(randomHex(PRESHARED_KEY_BYTES), 'hex').toString('base64')
      const sealedKey = sealer.seal(key, `preshared-key/${pair}`)
      await tx.put('preshared-key', [pair], { pair, sealedKey })
    }
  })
}

function missingPairs(view: View): string[] {
  const racks = view.all('rack').map((rack) => rack.name)
  const missing: string[] = []
  for (const [i, a] of racks.entries()) {
    const others = racks.slice(i + 1)
    const ccs = view.withPrefix('host', `${a}/`).filter(({ roles }) => roles.includes('cc'))
    for (const b of ccs.length > 1 ? [a, ...others] : others) {
      const pair = pairName(a, b)
      if (view.get('preshared-key', pair) === null) missing.push(pair)
    }
  }
  return missing
}

/** A host that was taken out of the cloud, and did not leave by itself, has no session any more. */
async function closeRemoved({ state, sessions, log }: HousekeepingParts): Promise<void> {
  const view = state.view()
  const removed = sessions.list().filter(({ rack, host }) => view.get('host', rack, host) === null)
  for (const { rack, host } of removed) {
    log.info('session of a removed host', { rack, host })
    await sessions.close({ rack, host }, 'the host was taken out of the cloud')
  }
}

async function renewLeases({
  state,
  sessions,
  gateway,
  reachedAt,
  clock,
  leaseMs,
}: HousekeepingParts): Promise<void> {
  const nowMs = clock.nowMs()
  const view = state.view()
  const due = sessions.list().filter(({ rack, host }) => {
    const lease = view.get('lease', rack, host)
    const isOurs = lease?.gateway === gateway && nowMs - lease.renewedAtMs <= leaseMs / 3
    return !isOurs || isSaidAway(view.get('host', rack, host))
  })
  if (due.length === 0) return
  await state.update(async (tx) => {
    for (const { rack, host } of due) {
      const record = await tx.get('host', rack, host)
      // Removed a moment ago: its session ends, and a lease would stay for ever.
      if (record === null) continue
      await tx.put('lease', [rack, host], { rack, host, gateway, reachedAt, renewedAtMs: nowMs })
      // Its lease ended between its first report and now; it will not report itself again.
      if (isSaidAway(record)) await putConnected(tx, record, true, nowMs)
    }
  })
}

/**
 * A host whose session nobody holds any more is away. Its guests go on and nothing is removed.
 * While no gateway ran nobody renewed leases: they last until the racks had time to come back.
 */
async function endLeases(parts: HousekeepingParts): Promise<void> {
  const { state, sessions, clock, leaseMs, startedAtMs, log } = parts
  const view = state.view()
  const nowMs = clock.nowMs()
  if (nowMs - startedAtMs <= leaseMs) return
  const open = new Set(sessions.list().map(({ rack, host }) => `${rack}/${host}`))
  const isOver = (lease: LeaseRecord | null): boolean =>
    lease === null || nowMs - lease.renewedAtMs > leaseMs
  const lost = view.all('host').filter(({ rack, host, roles, status }) => {
    if (!roles.includes('cc') || status?.connected !== true) return false
    return !open.has(`${rack}/${host}`) && isOver(view.get('lease', rack, host))
  })
  if (lost.length === 0) return
  await state.update(async (tx) => {
    for (const { rack, host } of lost) {
      const record = await tx.get('host', rack, host)
      if (record?.status?.connected !== true) continue
      if (!isOver(await tx.get('lease', rack, host))) continue
      log.warn('host is away', { rack, host })
      await putConnected(tx, record, false, nowMs)
      await silenceLinks(tx, view, record)
    }
  })
}

function isSaidAway(host: HostRecord | null): boolean {
  return host?.status?.connected === false
}

async function putConnected(
  tx: Transaction,
  host: HostRecord,
  connected: boolean,
  nowMs: number,
): Promise<void> {
  if (host.status === null) return
  const next = withReport(host, { ...host.status, connected }, nowMs)
  await tx.put('host', [host.rack, host.host], next)
}

/** What its host could not start within the limit: pending for ever helps nobody. */
async function giveUpPending({ state, clock, log }: HousekeepingParts): Promise<void> {
  const nowMs = clock.nowMs()
  const stuck = state
    .view()
    .all('instance')
    .filter((one) => isStuck(one, nowMs))
  for (const { id, rack, host } of stuck) {
    const trouble = state.view().get('host', rack, host)?.status?.trouble ?? ''
    await state.update(async (tx) => {
      const record = await tx.get('instance', id)
      if (record === null || !isStuck(record, nowMs)) return
      log.warn('instance given up', { instance: id, rack, host, trouble })
      const next = givenUp(record, trouble, nowMs)
      if (next.state === 'stopped') await releaseStopped(tx, record)
      await tx.put('instance', [id], next)
    })
  }
}

/** Tokens a day after their end, commands whose asker died before it could tidy up. */
async function forgetExpired({ state, clock }: HousekeepingParts): Promise<void> {
  const view = state.view()
  const nowMs = clock.nowMs()
  const dayMs = 86_400_000
  const tokens = view.all('token').filter((token) => nowMs - token.expiresAtMs > dayMs)
  const commands = view.all('command').filter((one) => nowMs - one.expiresAtMs > 60_000)
  if (tokens.length + commands.length === 0) return
  await state.update(async (tx) => {
    for (const { id } of tokens) await tx.delete('token', id)
    for (const { id, rack } of commands) {
      await tx.delete('command', rack, id)
      await tx.delete('command-result', id)
    }
  })
}
