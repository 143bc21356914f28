// Accounts' own access keys for operators. Users' keys: IAM.

import type { FastifyInstance } from 'fastify'
import { type AccountParts, createKey, deleteKey, keysOf, setKeyStatus } from '../accounts.ts'
import type { AccessKeyRecord } from '../store/records.ts'
import { unknownAccount } from './refusals.ts'
import { route } from './route.ts'
import {
  accountParam,
  list,
  named,
  object,
  oneOf,
  secret,
  type Typed,
  text,
  time,
} from './schema.ts'

export const MAX_KEY_ID = 128
export const EXAMPLE_ACCOUNT = '111122223333'
export const EXAMPLE_KEY = 'AKIAIOSFODNN7EXAMPLE'
const AT_MS = 1_785_000_000_000

export const NEW_KEY = named(
  'NewKey',
  object({
    account: accountParam,
    accessKeyId: text({ maxLength: MAX_KEY_ID }),
    secretAccessKey: secret('Shown once, kept only sealed'),
  }),
)
export type NewKey = Typed<typeof NEW_KEY>
export const NEW_KEY_EXAMPLE: NewKey = {
  ...{ account: EXAMPLE_ACCOUNT, accessKeyId: EXAMPLE_KEY },
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
}

const STATUS = oneOf('Active', 'Inactive')
const KEY = named(
  'Key',
  object({
    id: text({ maxLength: MAX_KEY_ID }),
    status: STATUS,
    createdAtMs: time('When it was made'),
  }),
)
export type Key = Typed<typeof KEY>

const ONE = object({ account: accountParam })
const KEY_PARAMS = object({
  account: accountParam,
  key: text({ minLength: 1, maxLength: MAX_KEY_ID, description: 'Id of the key' }),
})
const KEYS = '/v1/accounts/{account}/keys'

export function addKeyRoutes(app: FastifyInstance, parts: AccountParts): void {
  const { state } = parts
  route(
    app,
    {
      id: 'createKey',
      summary: 'Make another access key of an account; it may have two',
      method: 'POST',
      path: KEYS,
      params: ONE,
      answer: NEW_KEY,
      example: NEW_KEY_EXAMPLE,
      refusals: ['NotFound', 'Conflict'],
    },
    ({ params }) => createKey(parts, params.account),
  )

  route(
    app,
    {
      id: 'listKeys',
      summary: 'Access keys of an account',
      method: 'GET',
      path: KEYS,
      params: ONE,
      answer: object({ keys: list(KEY) }),
      example: { keys: [{ id: EXAMPLE_KEY, status: 'Active', createdAtMs: AT_MS }] },
      refusals: ['NotFound'],
    },
    async ({ params }) => {
      const view = await state.fresh()
      if (view.get('account', params.account) === null) throw unknownAccount(params.account)
      return { keys: keysOf(view, params.account).map(shown) }
    },
  )

  route(
    app,
    {
      id: 'changeKey',
      summary: 'Let an access key sign nothing for a while, or again',
      method: 'PUT',
      path: `${KEYS}/{key}`,
      params: KEY_PARAMS,
      body: object({ status: STATUS }),
      bodyExample: { status: 'Inactive' },
      answer: KEY,
      example: { id: EXAMPLE_KEY, status: 'Inactive', createdAtMs: AT_MS },
      refusals: ['NotFound'],
    },
    async ({ params: { account, key }, body: { status } }) =>
      shown(await setKeyStatus(state, account, key, status)),
  )

  route(
    app,
    {
      id: 'deleteKey',
      summary: 'End an access key: what it signs is refused from now on',
      method: 'DELETE',
      path: `${KEYS}/{key}`,
      params: KEY_PARAMS,
      answer: object({ deleted: text({}) }),
      example: { deleted: EXAMPLE_KEY },
      refusals: ['NotFound'],
    },
    async ({ params }) => {
      await deleteKey(state, params.account, params.key)
      return { deleted: params.key }
    },
  )
}

function shown({ id, status, createdAtMs }: AccessKeyRecord): Key {
  return { id, status, createdAtMs }
}
