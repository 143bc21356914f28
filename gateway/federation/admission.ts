// May this host join, and as what? Pure: everything that is known comes in as arguments.

import { MAX_JOIN_SKEW_MS } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import { keyFingerprint } from '../../common/pki.ts'
import { sameSecret } from '../../common/token.ts'
import type { JoinRequest } from '../../proto/gen/mallee/v1/membership_pb.js'
import { never, no, ok, type Result } from '../../topology/result.ts'
import type { HostRecord, RackRecord, Role, TokenRecord } from '../store/records.ts'

export type TokenRefusal =
  | 'TokenUnknown'
  | 'TokenExpired'
  | 'TokenUsed'
  | 'TokenWrongRack'
  | 'TokenWrongRole'

/** A certificate of a host whose clock is further off would be refused, or last too long. */
const ROLES: readonly Role[] = ['cc', 'sc', 'nc']

/** Is the request covered by its token? The same key may use its token again. */
export function checkToken(
  token: TokenRecord | null,
  request: JoinRequest,
  nowMs: number,
): Result<TokenRecord, TokenRefusal> {
  // One answer for an unknown id and a wrong secret: ids are no secret and shall not be probed.
  if (token === null || !sameSecret(request.tokenSecret, token.secretHash)) {
    return no('TokenUnknown')
  }
  if (nowMs >= token.expiresAtMs) return no('TokenExpired')
  if (token.rack !== request.rack) return no('TokenWrongRack')
  if (!request.roles.every((role) => token.roles.some((one) => one === role))) {
    return no('TokenWrongRole')
  }
  if (token.used !== null) {
    const { keyFingerprint: key, host } = token.used
    const again = key === keyFingerprint(request.certificateRequest) && host === request.host
    if (!again) return no('TokenUsed')
  }
  return ok(token)
}

/** What to tell the operator. */
export function refusal(why: TokenRefusal, { tokenId, rack, roles }: JoinRequest): MalleeError {
  switch (why) {
    case 'TokenUnknown':
      return new MalleeError(why, `token ${tokenId} is not known here, or its secret is wrong`)
    case 'TokenExpired':
      return new MalleeError(why, `token ${tokenId} has expired, make a new one`)
    case 'TokenUsed':
      return new MalleeError(why, `token ${tokenId} was used by another host, make a new one`)
    case 'TokenWrongRack':
      return new MalleeError(why, `token ${tokenId} is not for rack ${rack}`)
    case 'TokenWrongRole':
      return new MalleeError(why, `token ${tokenId} is not for the roles ${roles.join(',')}`)
    default:
      return never(why)
  }
}

/** Throws ClockSkew when the host's clock is more than five minutes off. */
export function checkClock({ clockMs }: JoinRequest, nowMs: number): void {
  const skewMs = Number(clockMs) - nowMs
  if (Math.abs(skewMs) <= MAX_JOIN_SKEW_MS) return
  const side = skewMs > 0 ? 'ahead of' : 'behind'
  throw new MalleeError(
    'ClockSkew',
    `the host's clock says ${time(Number(clockMs))}, ${Math.round(Math.abs(skewMs) / 1000)} s ` +
      `${side} the gateway's, which says ${time(nowMs)}; more than 300 s is too much`,
  )
}

/** What the store knows of the place that a host wants. */
export interface Place {
  readonly token: TokenRecord
  readonly rack: RackRecord | null
  readonly host: HostRecord | null
  /** All hosts of the rack. */
  readonly hosts: readonly HostRecord[]
}

/**
 * The roles that the host gets: those it asks for, or all of the token's. Throws NameTaken when
 * another key has the host's name or another CC the rack, RackNotFound for a node before its CC,
 * Conflict for a lost host.
 */
export function checkPlace({ token, rack, host, hosts }: Place, request: JoinRequest): Role[] {
  const roles = ROLES.filter((role) =>
    request.roles.length === 0 ? token.roles.includes(role) : request.roles.includes(role),
  )
  const fingerprint = keyFingerprint(request.certificateRequest)
  if (host?.lostAtMs !== undefined) {
    const sentence = `host ${request.host} was declared lost and is being taken out, wait for that`
    throw new MalleeError('Conflict', sentence)
  }
  if (host !== null && host.keyFingerprint !== fingerprint) {
    throw new MalleeError(
      'NameTaken',
      `rack ${request.rack} has a host ${request.host} already, with another key`,
    )
  }
  if (!roles.includes('cc')) {
    if (rack === null) {
      throw new MalleeError(
        'RackNotFound',
        `there is no rack ${request.rack} yet, its CC joins first`,
      )
    }
    return roles
  }
  const other = hosts.find((one) => one.roles.includes('cc') && one.host !== request.host)
  if (other !== undefined && token.additional !== true) {
    throw new MalleeError(
      'NameTaken',
      `there is a rack ${request.rack} already, with the CC ${other.host}`,
    )
  }
  return roles
}

/** ISO 8601; a number that is no time stays a number. */
function time(ms: number): string {
  return Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : `${ms} ms`
}
