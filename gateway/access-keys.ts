// Access keys: made here, kept sealed, opened to check a signature.

import type { RandomHex } from '../common/clock.ts'
import type { Caller } from './aws/handlers.ts'
import { arnOf, randomBase32 } from './iam/entities.ts'
import type { Sealer } from './secrets.ts'
import type { AccessKeyRecord } from './store/records.ts'
import type { State, View } from './store/state.ts'
import { SessionTokens } from './sts/credentials.ts'

const ID_CHARACTERS = 16
const SECRET_BYTES = 30

/**
 * A key as AWS's look: AKIA and 16 characters of base 32; a secret of 40 characters. `user` is the
 * id of whose it is, undefined for the account's root.
 */
export function createAccessKey(
  { sealer, randomHex, nowMs }: { sealer: Sealer; randomHex: RandomHex; nowMs: number },
  account: string,
  user?: string,
): { record: AccessKeyRecord; secret: string } {
  const id = `AKIA${randomBase32(randomHex, ID_CHARACTERS)}`
  const secret = Buffer.from(randomHex(SECRET_BYTES), 'hex').toString('base64')
  const sealedSecret = sealer.seal(secret, contextOf(id))
  const owner = user === undefined ? {} : { user }
  const status = 'Active'
  return { secret, record: { id, account, ...owner, sealedSecret, status, createdAtMs: nowMs } }
}

/** Finds secrets for signatures: of kept keys, and of temporary ones by their session tokens. */
export function secretsOf(
  state: Pick<State, 'view'>,
  sealer: Sealer,
): (
  accessKeyId: string,
  sessionToken: string,
) => Promise<{ secret: string; caller: Caller } | null> {
  const sessions = new SessionTokens(sealer)
  // By the record itself: what is made in its place, or seals another secret, is another one.
  const opened = new WeakMap<AccessKeyRecord, string>()
  const secretIn = (record: AccessKeyRecord): string => {
    const secret = opened.get(record) ?? secretOfKey(sealer, record)
    opened.set(record, secret)
    return secret
  }
  return async (id, token) =>
    token === ''
      ? openAccessKey(state.view(), secretIn, id)
      : sessions.open(state.view(), id, token)
}

/** The secret and owner of an active key; null when there is none. */
function openAccessKey(
  view: View,
  secretIn: (record: AccessKeyRecord) => string,
  id: string,
): { secret: string; caller: Caller } | null {
  if (!/^[A-Z0-9]{16,128}$/.test(id)) return null
  const record = view.get('access-key', id)
  if (record === null || record.status !== 'Active') return null
  const owner = ownerOf(view, record)
  if (owner === null) return null
  const caller = { account: record.account, ...owner, accessKeyId: id }
  return { secret: secretIn(record), caller }
}

export function secretOfKey(sealer: Sealer, { id, sealedSecret }: AccessKeyRecord): string {
  return sealer.open(sealedSecret, contextOf(id))
}

/** Null when its user is gone. */
function ownerOf(
  view: View,
  { account, user }: AccessKeyRecord,
): Pick<Caller, 'userArn' | 'userId'> | null {
  if (user === undefined) return { userArn: `arn:aws:iam::${account}:root`, userId: account }
  const [found] = view.by('iam-user', 'id', user)
  return found === undefined ? null : { userArn: arnOf('iam-user', found), userId: found.id }
}

function contextOf(id: string): string {
  return `access-key/${id}`
}
