// Temporary credentials. Nothing is kept of them: all that they stand for is in the session token,
// sealed with the cloud's master key, so that every gateway reads it and nobody else can.

import { hash } from 'node:crypto'
import type { Credentials } from '@aws-sdk/client-sts'
import type { RandomHex } from '../../common/clock.ts'
import { codeOf } from '../../common/errors.ts'
import type { Caller, CallerSession } from '../aws/handlers.ts'
import { arnOf, randomBase32 } from '../iam/entities.ts'
import type { Sealer } from '../secrets.ts'
import type { View } from '../store/state.ts'

/** What credentials are given for. */
export interface SessionSpec extends CallerSession {
  readonly account: string
  /** Id of a role or user, or the account's number for its root. */
  readonly principal: string
  /** Of a role's session or a federated user; '' else. */
  readonly name: string
}

export interface SessionCredentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken: string
}

interface Sealed extends SessionSpec {
  readonly accessKeyId: string
  readonly secret: string
}

/** Bytes of what is sealed; the token is a third longer, and a header has room for it. */
export const MAX_TOKEN_BYTES = 5_120
const MAX_TOKEN_CHARACTERS = 2 * MAX_TOKEN_BYTES
const CONTEXT = 'session-token'
const SECRET_BYTES = 30
const ACCOUNT_CHARACTERS = 8
const RANDOM_CHARACTERS = 8
const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
const MAX_OPENED = 2_000

/** How much of the room for a token a session takes; more than 1 is too much. */
export function packedSize(spec: SessionSpec): number {
  const longest = { ...spec, accessKeyId: 'A'.repeat(20), secret: 'A'.repeat(40) }
  return Buffer.byteLength(JSON.stringify(longest)) / MAX_TOKEN_BYTES
}

/** New credentials. Their id tells the account, as AWS' do. */
export function issueCredentials(
  { sealer, randomHex }: { readonly sealer: Sealer; readonly randomHex: RandomHex },
  spec: SessionSpec,
): SessionCredentials {
  const accessKeyId = `ASIA${accountIn32(spec.account)}${randomBase32(randomHex, RANDOM_CHARACTERS)}`
  const secret = Buffer.from(randomHex(SECRET_BYTES), 'hex').toString('base64')
  const sealed: Sealed = { ...spec, accessKeyId, secret }
  const sessionToken = sealer.seal(JSON.stringify(sealed), CONTEXT)
  return { accessKeyId, secretAccessKey: secret, sessionToken }
}

/** New ones as an answer of STS shows them. */
export function newCredentials(
  parts: Parameters<typeof issueCredentials>[0],
  spec: SessionSpec,
): Credentials {
  const { accessKeyId, secretAccessKey, sessionToken } = issueCredentials(parts, spec)
  return {
    AccessKeyId: accessKeyId,
    SecretAccessKey: secretAccessKey,
    SessionToken: sessionToken,
    Expiration: new Date(spec.expiresAtMs),
  }
}

/** The account of a temporary key's id; null when it is none of ours. */
export function accountOfKey(id: string): string | null {
  if (!/^ASIA[A-Z2-7]{16}$/.test(id)) return null
  const digits = [...id.slice(4, 4 + ACCOUNT_CHARACTERS)].map((one) => BASE32.indexOf(one))
  const number = digits.reduce((sum, digit) => sum * 32n + BigInt(digit), 0n)
  const account = String(number).padStart(12, '0')
  return account.length === 12 ? account : null
}

function accountIn32(account: string): string {
  let number = BigInt(account)
  let text = ''
  for (let at = 0; at < ACCOUNT_CHARACTERS; at += 1) {
    text = `${BASE32[Number(number % 32n)]}${text}`
    number /= 32n
  }
  return text
}

/** Opens tokens, and remembers the newest ones by their digest. */
export class SessionTokens {
  readonly #sealer: Sealer
  readonly #opened = new Map<string, Sealed>()

  constructor(sealer: Sealer) {
    this.#sealer = sealer
  }

  /**
   * Whose credentials these are; null when the token is none of ours or was given with another key,
   * or when its role, user or account is gone. Whether they have ended is the caller's to ask.
   */
  open(
    view: View,
    accessKeyId: string,
    token: string,
  ): { secret: string; caller: Caller & { session: CallerSession } } | null {
    const sealed = this.#unseal(token)
    if (sealed === null || sealed.accessKeyId !== accessKeyId) return null
    const who = principalOf(view, sealed)
    if (who === null) return null
    const { account, secret } = sealed
    return { secret, caller: { account, ...who, accessKeyId, session: sealed } }
  }

  #unseal(token: string): Sealed | null {
    if (token.length > MAX_TOKEN_CHARACTERS) return null
    const digest = hash('sha256', token, 'base64')
    const known = this.#opened.get(digest)
    if (known !== undefined) return known
    try {
      const sealed: Sealed = JSON.parse(this.#sealer.open(token, CONTEXT))
      const oldest = this.#opened.keys().next()
      if (this.#opened.size >= MAX_OPENED && oldest.done !== true) this.#opened.delete(oldest.value)
      this.#opened.set(digest, sealed)
      return sealed
    } catch (error) {
      if (codeOf(error) === 'BadMessage') return null
      throw error
    }
  }
}

/** Null when it is gone, also when another has its name by now. */
function principalOf(
  view: View,
  { account, principal, name, federatedBy }: Sealed,
): Pick<Caller, 'userArn' | 'userId'> | null {
  if (view.get('account', account) === null) return null
  if (federatedBy !== undefined) {
    const isThere = principal === account || view.by('iam-user', 'id', principal).length > 0
    const userArn = `arn:aws:sts::${account}:federated-user/${name}`
    return isThere ? { userArn, userId: `${account}:${name}` } : null
  }
  if (principal === account) {
    return { userArn: `arn:aws:iam::${account}:root`, userId: account }
  }
  const [user] = view.by('iam-user', 'id', principal)
  if (user !== undefined) return { userArn: arnOf('iam-user', user), userId: user.id }
  const [role] = view.by('iam-role', 'id', principal)
  if (role === undefined) return null
  return {
    userArn: `arn:aws:sts::${account}:assumed-role/${role.name}/${name}`,
    userId: `${role.id}:${name}`,
  }
}
