// Public pools for operators.

import type { FastifyInstance } from 'fastify'
import type { Clock, RandomHex } from '../../common/clock.ts'
import { availableOf } from '../ec2/public-pools.ts'
import { createPublicPool, deletePublicPool, type NewPublicPool } from '../public-pools.ts'
import type { State } from '../store/state.ts'

interface PoolParts {
  readonly state: State
  readonly clock: Clock
  readonly randomHex: RandomHex
}

const MAX_LISTED = 1_000

const BODY = {
  type: 'object',
  required: ['cidr', 'racks', 'exclude'],
  additionalProperties: false,
  properties: {
    cidr: { type: 'string', maxLength: 43 },
    racks: { type: 'array', maxItems: MAX_LISTED, items: { type: 'string', maxLength: 63 } },
    exclude: { type: 'array', maxItems: MAX_LISTED, items: { type: 'string', maxLength: 45 } },
  },
} as const

export function addPoolRoutes(app: FastifyInstance, { state, clock, randomHex }: PoolParts): void {
  app.get('/v1/pools', async () => {
    const view = await state.fresh()
    const pools = view
      .all('public-pool')
      .map((pool) => ({ ...pool, out: view.by('address', 'pool', pool.id).length }))
    return { pools: pools.map((pool) => ({ ...pool, available: availableOf(view, pool) })) }
  })

  app.post<{ Body: NewPublicPool }>('/v1/pools', { schema: { body: BODY } }, async ({ body }) =>
    createPublicPool({ state, randomHex, nowMs: clock.nowMs() }, body),
  )

  app.delete<{ Params: { id: string } }>('/v1/pools/:id', async ({ params }) => {
    await deletePublicPool(state, params.id)
    return { deleted: params.id }
  })
}
