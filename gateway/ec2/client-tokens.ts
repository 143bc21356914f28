// Client tokens: the answer of a request is kept under its token, so that the same request gets the
// same answer, from any gateway and after a restart (EC2 API reference, "Ensuring idempotency").

import { createHash } from 'node:crypto'
import { ApiError } from '../aws/api-error.ts'
import type { CallContext } from '../aws/handlers.ts'
import type { ClientTokenRecord } from '../store/records.ts'
import type { Transaction } from '../store/state.ts'
import { compareText } from './paging.ts'

/** A token is known for so long at least. */
export const TOKEN_MS = 24 * 3_600_000

/** EC2 API reference, "Ensuring idempotency": up to 64 ASCII characters. */
const CLIENT_TOKEN = /^[\x21-\x7e]{1,64}$/

/** Parameters that may differ between a request and its repetition. */
const NOT_ASKED = new Set(['ClientToken', 'DryRun'])

export interface TokenUse {
  readonly context: CallContext
  readonly action: string
  /** '' is no token: every request is a new one. */
  readonly token: string
}

/** '' when there is none. */
export function parseClientToken(token: string | undefined): string {
  if (token === undefined || token === '' || CLIENT_TOKEN.test(token)) return token ?? ''
  throw new ApiError('InvalidClientToken', 'A client token is 1 to 64 ASCII characters')
}

/**
 * The reservation that the same request got before, null when it is new. Throws
 * IdempotentParameterMismatch when the token came with other parameters.
 */
export async function answeredBefore(tx: Transaction, use: TokenUse): Promise<string | null> {
  if (use.token === '') return null
  const known = await tx.get('client-token', ...tokenKey(use))
  if (known === null) return null
  if (known.parametersHash === hashOf(use.context)) return known.reservation
  throw new ApiError(
    'IdempotentParameterMismatch',
    'The client token was used by a request with other parameters',
  )
}

export async function keepAnswer(
  tx: Transaction,
  use: TokenUse,
  reservation: string,
): Promise<void> {
  if (use.token === '') return
  const { context, action, token } = use
  await tx.put('client-token', tokenKey(use), {
    account: context.caller.account,
    action,
    token,
    parametersHash: hashOf(context),
    reservation,
    createdAtMs: context.nowMs,
  })
}

/** Ends tokens whose time is over. */
export async function forgetToken(tx: Transaction, record: ClientTokenRecord): Promise<void> {
  const { account, action, token } = record
  await tx.delete('client-token', account, action, digest(token))
}

/** A token may have any character: its digest is the key. */
function tokenKey({ context, action, token }: TokenUse): [string, string, string] {
  return [context.caller.account, action, digest(token)]
}

function hashOf({ parameters }: CallContext): string {
  const asked = [...parameters].filter(([name]) => !NOT_ASKED.has(name))
  return digest(JSON.stringify(asked.sort(([a], [b]) => compareText(a, b))))
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
