// Accounts' quotas for operators: list, set, reset.

import type { FastifyInstance } from 'fastify'
import { MalleeError } from '../../common/errors.ts'
import { QUOTA_IDS, QUOTAS, type QuotaId, quotaOf } from '../ec2/quotas.ts'
import type { State, View } from '../store/state.ts'

/** As one account's quota is listed. */
export interface QuotaShown {
  readonly id: QuotaId
  readonly name: string
  readonly value: number
  readonly default: number
  /** null where each VPC has its own count. */
  readonly used: number | null
}

/** Numbers up to here are exact in everything that reads them. */
const MAX_VALUE = 1_000_000_000

const BODY = {
  type: 'object',
  required: ['value'],
  additionalProperties: false,
  properties: { value: { type: 'integer', minimum: 0, maximum: MAX_VALUE } },
} as const

interface AccountPath {
  Params: { account: string }
}
interface QuotaPath {
  Params: { account: string; name: string }
}

export function addQuotaRoutes(app: FastifyInstance, { state }: { readonly state: State }): void {
  app.get<AccountPath>('/v1/accounts/:account/quotas', async ({ params: { account } }) => {
    const view = await state.fresh()
    if (view.get('account', account) === null) throw unknownAccount(account)
    return { quotas: QUOTA_IDS.map((id) => shown(view, account, id)) }
  })

  app.put<QuotaPath & { Body: { value: number } }>(
    '/v1/accounts/:account/quotas/:name',
    { schema: { body: BODY } },
    ({ params, body }) => change(params.account, quotaNamed(params.name), body.value),
  )

  app.delete<QuotaPath>('/v1/accounts/:account/quotas/:name', ({ params }) =>
    change(params.account, quotaNamed(params.name), null),
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

function unknownAccount(account: string): MalleeError {
  return new MalleeError('NotFound', `there is no account ${account}`)
}
