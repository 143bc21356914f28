// Accounts and access keys for operators.

import type { FastifyInstance } from 'fastify'
import { MalleeError } from '../../common/errors.ts'
import { type AccountParts, createAccount, createKey, deleteKey, keysOf } from '../accounts.ts'
import type { AccountRecord } from '../store/records.ts'

const BODY = {
  type: 'object',
  required: ['name'],
  additionalProperties: false,
  properties: { name: { type: 'string', maxLength: 64 } },
} as const

interface AccountPath {
  Params: { account: string }
}
interface KeyPath {
  Params: { account: string; key: string }
}

export function addAccountRoutes(app: FastifyInstance, parts: AccountParts): void {
  const { state } = parts
  app.post<{ Body: { name: string } }>('/v1/accounts', { schema: { body: BODY } }, ({ body }) =>
    createAccount(parts, body.name),
  )

  app.get('/v1/accounts', async () => {
    const view = await state.fresh()
    return { accounts: view.all('account').map((account) => shown(view, account)) }
  })

  app.post<AccountPath>('/v1/accounts/:account/keys', ({ params }) =>
    createKey(parts, params.account),
  )

  app.get<AccountPath>('/v1/accounts/:account/keys', async ({ params }) => {
    const view = await state.fresh()
    if (view.get('account', params.account) === null) {
      throw new MalleeError('NotFound', `there is no account ${params.account}`)
    }
    const keys = keysOf(view, params.account)
    return { keys: keys.map(({ id, status, createdAtMs }) => ({ id, status, createdAtMs })) }
  })

  app.delete<KeyPath>('/v1/accounts/:account/keys/:key', async ({ params }) => {
    await deleteKey(state, params.account, params.key)
    return { deleted: params.key }
  })
}

function shown(view: ReturnType<AccountParts['state']['view']>, account: AccountRecord): object {
  const { id, name, createdAtMs } = account
  const keys = keysOf(view, id).map((key) => key.id)
  return { id, name, createdAtMs, keys, instances: view.instancesOf('account', id).length }
}
