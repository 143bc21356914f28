// Accounts for operators.

import type { FastifyInstance } from 'fastify'
import { type AccountParts, changeAccount, createAccount, keysOf } from '../accounts.ts'
import type { AccountRecord } from '../store/records.ts'
import type { View } from '../store/state.ts'
import { EXAMPLE_ACCOUNT, EXAMPLE_KEY, MAX_KEY_ID, NEW_KEY, NEW_KEY_EXAMPLE } from './keys.ts'
import { unknownAccount } from './refusals.ts'
import { route } from './route.ts'
import {
  accountParam,
  flag,
  integer,
  list,
  named,
  object,
  type Typed,
  text,
  time,
} from './schema.ts'

const MAX_NAME = 64
const AT_MS = 1_785_000_000_000

const NAME = text({
  maxLength: MAX_NAME,
  description: '1 to 64 letters, digits and any of _+=,.@-; nobody else has it',
})
const BLOCKED = flag('All its calls are refused')
const ACCOUNT = named(
  'Account',
  object({
    id: accountParam,
    name: NAME,
    createdAtMs: time('When it was made'),
    keys: list(text({ maxLength: MAX_KEY_ID }), { description: "Ids of its own keys, not users'" }),
    instances: integer({ minimum: 0, description: 'Those that are still shown' }),
    isBlocked: BLOCKED,
  }),
)
export type Account = Typed<typeof ACCOUNT>
const ACCOUNT_EXAMPLE: Account = {
  ...{ id: EXAMPLE_ACCOUNT, name: 'research', createdAtMs: AT_MS },
  ...{ keys: [EXAMPLE_KEY], instances: 3, isBlocked: false },
}

const ONE = object({ account: accountParam })

export function addAccountRoutes(app: FastifyInstance, parts: AccountParts): void {
  const { state } = parts
  route(
    app,
    {
      id: 'createAccount',
      summary: 'Make an account with a default VPC and an access key',
      method: 'POST',
      path: '/v1/accounts',
      body: object({ name: NAME }),
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
      id: 'changeAccount',
      summary: 'Rename an account, or refuse all its calls; what it has goes on',
      method: 'PUT',
      path: '/v1/accounts/{account}',
      params: ONE,
      body: { ...object({}, { name: NAME, isBlocked: BLOCKED }), minProperties: 1 },
      bodyExample: { isBlocked: true },
      answer: ACCOUNT,
      example: { ...ACCOUNT_EXAMPLE, isBlocked: true },
      refusals: ['NotFound', 'NameTaken'],
    },
    async ({ params: { account }, body }) => {
      await changeAccount(parts, account, body)
      const view = await state.fresh()
      return shown(view, accountOf(view, account))
    },
  )
}

function accountOf(view: View, id: string): AccountRecord {
  const account = view.get('account', id)
  if (account === null) throw unknownAccount(id)
  return account
}

function shown(view: View, { id, name, createdAtMs, blockedAtMs }: AccountRecord): Account {
  const keys = keysOf(view, id).map((key) => key.id)
  const instances = view.instancesOf('account', id).length
  return { id, name, createdAtMs, keys, instances, isBlocked: blockedAtMs !== undefined }
}
