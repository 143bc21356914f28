// Who becomes a member: a token, minted for an operator, turns a host's key into a certificate and
// the host into records with numbers of their own. All in one transaction, or not at all.

import { create } from '@bufbuild/protobuf'
import type { Clock, RandomHex } from '../../common/clock.ts'
import { codeOf, MalleeError, messageOf } from '../../common/errors.ts'
import { isName } from '../../common/identity.ts'
import type { Log } from '../../common/log.ts'
import { type CertificateAuthority, checkRequest, keyFingerprint } from '../../common/pki.ts'
import { formatToken, hashSecret, newTokenSecret } from '../../common/token.ts'
import {
  type CheckRequest,
  type CheckResponse,
  CheckResponseSchema,
  type JoinRequest,
  type JoinResponse,
  JoinResponseSchema,
} from '../../proto/gen/mallee/v1/membership_pb.js'
import { membershipService } from '../../proto/membership-server.ts'
import type { RpcService } from '../../proto/service.ts'
import { negotiateProtocol } from '../../proto/session.ts'
import { formatCidr, mustCidr } from '../../topology/cidr.ts'
import { rackFabric } from '../../topology/plan.ts'
import { type Band, HOST_INDEXES, RACK_INDEXES } from '../../topology/ranges.ts'
import { hostIndexPool, RACK_INDEX_POOL } from '../pools.ts'
import type { CloudRecord, HostRecord, RackRecord, Role } from '../store/records.ts'
import type { Pool, State, Transaction } from '../store/state.ts'
import { checkClock, checkPlace, checkToken, refusal } from './admission.ts'
import { signHost } from './host-certificate.ts'

export interface MembershipParts {
  readonly state: State
  readonly ca: CertificateAuthority
  readonly clock: Clock
  readonly log: Log
}

export interface TokenWish {
  readonly rack: string
  readonly roles: readonly Role[]
  readonly ttlMs: number
  /** May its CC join a rack that has one already? */
  readonly additional?: boolean
}

const MAX_TTL_MS = 7 * 86_400_000

/**
 * A new token for one host of `rack`; the gateway keeps only the hash of its secret. The time to
 * live is at most a week. Throws BadArgument.
 */
export async function mintToken(
  parts: {
    readonly state: State
    readonly clock: Clock
    readonly randomHex: RandomHex
    readonly caDigest: string
  },
  { rack, roles, ttlMs, additional = false }: TokenWish,
): Promise<string> {
  if (!isName(rack)) throw new MalleeError('BadArgument', `${rack} is no name of a rack`)
  if (roles.length === 0) throw new MalleeError('BadArgument', 'a token needs a role')
  if (!(ttlMs > 0 && ttlMs <= MAX_TTL_MS)) {
    throw new MalleeError('BadArgument', `a token cannot live for ${ttlMs} ms, a week at most`)
  }
  const id = parts.randomHex(8)
  const secret = newTokenSecret()
  const createdAtMs = parts.clock.nowMs()
  await parts.state.update((tx) =>
    tx.put('token', [id], {
      id,
      secretHash: hashSecret(secret),
      rack,
      roles,
      additional,
      createdAtMs,
      expiresAtMs: createdAtMs + ttlMs,
      used: null,
    }),
  )
  return formatToken({ rack, id, secret, caDigest: parts.caDigest })
}

/** What the join port answers hosts that ask. */
export function joinService(parts: MembershipParts, sessionPort: () => number): RpcService {
  const { clock, log } = parts
  const end = {
    join: (request: JoinRequest) => joinHost(parts, request),
    check: (request: CheckRequest) => checkJoin(parts, request),
  }
  return membershipService(end, { clock, log, sessionPort })
}

/** A host with a good token becomes a member. Throws MalleeError with the refusal's code. */
export async function joinHost(
  { state, ca, clock, log }: MembershipParts,
  request: JoinRequest,
): Promise<JoinResponse> {
  const nowMs = clock.nowMs()
  const protocol = negotiateProtocol(request)
  checkClock(request, nowMs)
  await checkRequest(request.certificateRequest)
  const joined = await state.update((tx) => enroll(state, tx, request, nowMs))
  const { cloud, rack, host } = joined
  const csr = request.certificateRequest
  const { certificatePem, serial } = await signHost(ca, cloud.name, host, csr, nowMs)
  log.info('host joined', {
    rack: rack.name,
    host: host.host,
    roles: host.roles,
    token: request.tokenId,
    serial,
  })
  return create(JoinResponseSchema, {
    protocol,
    cloud: cloud.name,
    region: cloud.region,
    certificatePem,
    caPem: ca.certificatePem,
    rackIndex: rack.index,
    hostIndex: host.index,
    fabricPrefix: formatCidr(rackFabric(mustCidr(cloud.fabricPrefix), rack.index)),
  })
}

/** What joinHost would answer. Writes nothing. */
export async function checkJoin(
  { state, clock }: Pick<MembershipParts, 'state' | 'clock'>,
  { join }: CheckRequest,
): Promise<CheckResponse> {
  const nowMs = clock.nowMs()
  const view = await state.fresh()
  const cloud = view.get('cloud', 'self')
  const answer = {
    cloud: cloud?.name ?? '',
    region: cloud?.region ?? '',
    clockMs: BigInt(nowMs),
  }
  try {
    if (join === undefined) throw new MalleeError('BadMessage', 'a check without a join')
    negotiateProtocol(join)
    checkClock(join, nowMs)
    await checkRequest(join.certificateRequest)
    const token = checkToken(view.get('token', join.tokenId), join, nowMs)
    if (!token.ok) throw refusal(token.why, join)
    checkPlace(
      {
        token: token.value,
        rack: view.get('rack', join.rack),
        host: view.get('host', join.rack, join.host),
        hosts: view.withPrefix('host', `${join.rack}/`),
      },
      join,
    )
    return create(CheckResponseSchema, answer)
  } catch (error) {
    const refusalCode = codeOf(error)
    if (refusalCode === null) throw error
    return create(CheckResponseSchema, { ...answer, refusalCode, refusalMessage: messageOf(error) })
  }
}

/** The join's transaction: reads everything anew whenever it is run again. */
async function enroll(
  state: State,
  tx: Transaction,
  request: JoinRequest,
  nowMs: number,
): Promise<{ cloud: CloudRecord; rack: RackRecord; host: HostRecord }> {
  const cloud = await tx.get('cloud', 'self')
  if (cloud === null) throw new MalleeError('BadConfig', 'there is no cloud in the store')
  const checked = checkToken(await tx.get('token', request.tokenId), request, nowMs)
  if (!checked.ok) throw refusal(checked.why, request)
  const token = checked.value
  const known = await tx.get('rack', request.rack)
  const before = await tx.get('host', request.rack, request.host)
  const hosts = (await state.fresh()).withPrefix('host', `${request.rack}/`)
  const roles = checkPlace({ token, rack: known, host: before, hosts }, request)

  const rack = known ?? (await newRack(tx, request.rack, nowMs))
  // Written by every CC's join, also unchanged: of two first CCs at once, one is run again.
  if (roles.includes('cc')) await tx.put('rack', [rack.name], rack)
  const fingerprint = keyFingerprint(request.certificateRequest)
  const host: HostRecord = {
    rack: rack.name,
    host: request.host,
    index:
      before?.index ?? (await take(tx.pool(hostIndexPool(rack.name)), HOST_INDEXES, 'host index')),
    roles,
    keyFingerprint: fingerprint,
    simulated: request.simulated,
    joinedAtMs: before?.joinedAtMs ?? nowMs,
    ...(before?.cordoned === true && { cordoned: true }),
    ...(before?.drain !== undefined && { drain: before.drain }),
    status: before?.status ?? null,
  }
  await tx.put('host', [rack.name, host.host], host)
  if (token.used === null) {
    const used = { keyFingerprint: fingerprint, host: host.host, atMs: nowMs }
    await tx.put('token', [token.id], { ...token, used })
  }
  return { cloud, rack, host }
}

async function newRack(tx: Transaction, name: string, nowMs: number): Promise<RackRecord> {
  const index = await take(tx.pool(RACK_INDEX_POOL), RACK_INDEXES, 'rack index')
  const rack: RackRecord = { name, index, state: 'joined', createdAtMs: nowMs }
  await tx.put('rack', [name], rack)
  return rack
}

async function take(pool: Pool, band: Band, what: string): Promise<number> {
  const number = await pool.take(band)
  if (number === null) throw new MalleeError('Unavailable', `no ${what} is free`)
  return number
}
