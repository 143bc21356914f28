// Accounts' quotas for operators: list, set, reset.

import type { FastifyInstance } from 'fastify'
import { MalleeError } from '../../common/errors.ts'
import { QUOTA_IDS, QUOTAS, type QuotaId, quotaOf } from '../ec2/quotas.ts'
import type { State, View } from '../store/state.ts'
import { unknownAccount } from './refusals.ts'
import { route } from './route.ts'
import { accountParam, integer, list, named, nullable, object, type Typed, text } from './schema.ts'

/** Numbers up to here are exact in everything that reads them. */
const MAX_VALUE = 1_000_000_000
const MAX_NAME = 256

const QUOTA = named(
  'Quota',
  object({
    id: text({ description: 'Its short name' }),
    name: text({ description: 'As AWS Service Quotas has it' }),
    value: integer({ minimum: 0, maximum: MAX_VALUE }),
    default: integer({ minimum: 0, description: 'When nobody set it' }),
    used: nullable(integer({ minimum: 0 }), 'null where each VPC has its own count'),
  }),
)
export type QuotaShown = Typed<typeof QUOTA>
const EXAMPLE: QuotaShown = {
  ...{ id: 'vpcs', name: 'VPCs per Region', value: 5, default: 5_000, used: 1 },
}
const NAMED = object({
  account: accountParam,
  name: text({ minLength: 1, maxLength: MAX_NAME, description: 'Either name of the quota' }),
})
const PATH = '/v1/accounts/{account}/quotas/{name}'

export function addQuotaRoutes(app: FastifyInstance, { state }: { readonly state: State }): void {
  route(
    app,
    {
      id: 'listQuotas',
      summary: 'Quotas of an account, and what it uses of them',
      method: 'GET',
      path: '/v1/accounts/{account}/quotas',
      params: object({ account: accountParam }),
      answer: object({ quotas: list(QUOTA) }),
      example: { quotas: [EXAMPLE] },
      refusals: ['NotFound'],
    },
    async ({ params: { account } }) => {
      const view = await state.fresh()
      if (view.get('account', account) === null) throw unknownAccount(account)
      return { quotas: QUOTA_IDS.map((id) => shown(view, account, id)) }
    },
  )

  route(
    app,
    {
      id: 'setQuota',
      summary: 'Set a quota of an account; what it has already stays',
      method: 'PUT',
      path: PATH,
      params: NAMED,
      body: object({ value: integer({ minimum: 0, maximum: MAX_VALUE }) }),
      bodyExample: { value: 5 },
      answer: QUOTA,
      example: EXAMPLE,
      refusals: ['NotFound'],
    },
    ({ params, body }) => change(params.account, quotaNamed(params.name), body.value),
  )

  route(
    app,
    {
      id: 'resetQuota',
      summary: 'Give a quota its default value again',
      method: 'DELETE',
      path: PATH,
      params: NAMED,
      answer: QUOTA,
      example: { ...EXAMPLE, value: EXAMPLE.default },
      refusals: ['NotFound'],
    },
    ({ params }) => change(params.account, quotaNamed(params.name), null),
  )

  /** null: as if nobody had said anything. */
  async function change(account: string, id: QuotaId, value: number | null): Promise<QuotaShown> {
    await state.update(async (tx) => {
      if ((await tx.get('account', account)) === null) throw unknownAccount(account)
      await tx.get('quota', account, id)
      if (value === null) await tx.delete('quota', account, id)
      else await tx.put('quota', [account, id], { account, id, value })
    })
    return shown(await state.fresh(), account, id)
  }
}

/** By the name that Service Quotas has, in letters of either case, or by the short one. */
function quotaNamed(name: string): QuotaId {
  const plain = name.toLowerCase()
  const found = QUOTA_IDS.find((id) => id === plain || QUOTAS[id].name.toLowerCase() === plain)
  if (found !== undefined) return found
  const sentence = `there is no quota ${JSON.stringify(name.slice(0, 100))}; there are`
  throw new MalleeError('NotFound', `${sentence} ${QUOTA_IDS.join(', ')}`)
}

function shown(view: View, account: string, id: QuotaId): QuotaShown {
  const { name, value, used } = QUOTAS[id]
  const now = quotaOf(view, account, id)
  return { id, name, value: now, default: value, used: used?.(view, account) ?? null }
}
