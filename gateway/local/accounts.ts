// Accounts and access keys for operators.

import type { FastifyInstance } from 'fastify'
import { MalleeError } from '../../common/errors.ts'
import { type AccountParts, createAccount, createKey, deleteKey, keysOf } from '../accounts.ts'
import type { AccountRecord } from '../store/records.ts'
import type { View } from '../store/state.ts'
import { route } from './route.ts'
import {
  accountParam,
  integer,
  list,
  named,
  object,
  oneOf,
  secret,
  type Typed,
  text,
  time,
} from './schema.ts'

const MAX_NAME = 64
const MAX_KEY_ID = 128
const EXAMPLE_ACCOUNT = '111122223333'
const EXAMPLE_KEY = 'AKIAIOSFODNN7EXAMPLE'
const AT_MS = 1_785_000_000_000

const NEW_ACCOUNT = object({
  name: text({
    maxLength: MAX_NAME,
    description: '1 to 64 letters, digits and any of _+=,.@-; nobody else has it',
  }),
})
const NEW_KEY = named(
  'NewKey',
  object({
    account: accountParam,
    accessKeyId: text({ maxLength: MAX_KEY_ID }),
    secretAccessKey: secret('Shown once, kept only sealed'),
  }),
)
export type NewKey = Typed<typeof NEW_KEY>
const NEW_KEY_EXAMPLE: NewKey = {
  ...{ account: EXAMPLE_ACCOUNT, accessKeyId: EXAMPLE_KEY },
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
}

const ACCOUNT = named(
  'Account',
  object({
    id: accountParam,
    name: text({ maxLength: MAX_NAME }),
    createdAtMs: time('When it was made'),
    keys: list(text({ maxLength: MAX_KEY_ID }), { description: "Ids of its own keys, not users'" }),
    instances: integer({ minimum: 0, description: 'Those that are still shown' }),
  }),
)
export type Account = Typed<typeof ACCOUNT>
const ACCOUNT_EXAMPLE: Account = {
  ...{ id: EXAMPLE_ACCOUNT, name: 'research', createdAtMs: AT_MS },
  ...{ keys: [EXAMPLE_KEY], instances: 3 },
}

const KEY = named(
  'Key',
  object({
    id: text({ maxLength: MAX_KEY_ID }),
    status: oneOf('Active', 'Inactive'),
    createdAtMs: time('When it was made'),
  }),
)
export type Key = Typed<typeof KEY>

const ONE = object({ account: accountParam })
const KEYS = '/v1/accounts/{account}/keys'

export function addAccountRoutes(app: FastifyInstance, parts: AccountParts): void {
  const { state } = parts
  route(
    app,
    {
      id: 'createAccount',
      summary: 'Make an account with a default VPC and an access key',
      method: 'POST',
      path: '/v1/accounts',
      body: NEW_ACCOUNT,
      bodyExample: { name: 'research' },
      answer: NEW_KEY,
      example: NEW_KEY_EXAMPLE,
      refusals: ['NameTaken'],
    },
    ({ body }) => createAccount(parts, body.name),
  )

  route(
    app,
    {
      id: 'listAccounts',
      summary: 'Accounts, their keys and how many instances they have',
      method: 'GET',
      path: '/v1/accounts',
      answer: object({ accounts: list(ACCOUNT) }),
      example: { accounts: [ACCOUNT_EXAMPLE] },
    },
    async () => {
      const view = await state.fresh()
      return { accounts: view.all('account').map((account) => shown(view, account)) }
    },
  )

  route(
    app,
    {
      id: 'getAccount',
      summary: 'An account and its keys',
      method: 'GET',
      path: '/v1/accounts/{account}',
      params: ONE,
      answer: ACCOUNT,
      example: ACCOUNT_EXAMPLE,
      refusals: ['NotFound'],
    },
    async ({ params }) => {
      const view = await state.fresh()
      return shown(view, accountOf(view, params.account))
    },
  )

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
      const keys = keysOf(view, accountOf(view, params.account).id)
      return { keys: keys.map(({ id, status, createdAtMs }) => ({ id, status, createdAtMs })) }
    },
  )

  route(
    app,
    {
      id: 'deleteKey',
      summary: 'End an access key: what it signs is refused from now on',
      method: 'DELETE',
      path: `${KEYS}/{key}`,
      params: object({
        account: accountParam,
        key: text({ minLength: 1, maxLength: MAX_KEY_ID, description: 'Id of the key' }),
      }),
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

function accountOf(view: View, id: string): AccountRecord {
  const account = view.get('account', id)
  if (account === null) throw new MalleeError('NotFound', `there is no account ${id}`)
  return account
}

function shown(view: View, { id, name, createdAtMs }: AccountRecord): Account {
  const keys = keysOf(view, id).map((key) => key.id)
  return { id, name, createdAtMs, keys, instances: view.instancesOf('account', id).length }
}
