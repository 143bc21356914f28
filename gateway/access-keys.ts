// Access keys: made here, kept sealed, opened to check a signature.

import type { RandomHex } from '../common/clock.ts'
import type { Caller } from './aws/handlers.ts'
import type { Sealer } from './secrets.ts'
import type { AccessKeyRecord } from './store/records.ts'
import type { View } from './store/state.ts'

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
const ID_CHARACTERS = 16
const SECRET_BYTES = 30

/** A key as AWS's look: AKIA and 16 characters of base 32; a secret of 40 characters. */
export function createAccessKey(
  { sealer, randomHex, nowMs }: { sealer: Sealer; randomHex: RandomHex; nowMs: number },
  account: string,
): { record: AccessKeyRecord; secret: string } {
  const bytes = Buffer.from(randomHex(ID_CHARACTERS), 'hex')
  const id = `AKIA${[...bytes].map((byte) => BASE32[byte % BASE32.length]).join('')}`
  const secret = Buffer.from(randomHex(SECRET_BYTES), 'hex').toString('base64')
  const sealedSecret = sealer.seal(secret, contextOf(id))
  return { secret, record: { id, account, sealedSecret, status: 'Active', createdAtMs: nowMs } }
}

/** The secret and owner of an active key; null when there is none. */
export function openAccessKey(
  view: View,
  sealer: Sealer,
  id: string,
): { secret: string; caller: Caller } | null {
  if (!/^[A-Z0-9]{16,128}$/.test(id)) return null
  const record = view.get('access-key', id)
  if (record === null || record.status !== 'Active') return null
  const { account } = record
  return {
    secret: sealer.open(record.sealedSecret, contextOf(id)),
    caller: {
      account,
      userArn: `arn:aws:iam::${account}:root`,
      userId: account,
      accessKeyId: id,
    },
  }
}

function contextOf(id: string): string {
  return `access-key/${id}`
}
