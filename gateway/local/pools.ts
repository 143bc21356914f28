// Public pools for operators.

import type { FastifyInstance } from 'fastify'
import type { Clock, RandomHex } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import { availableOf } from '../ec2/public-pools.ts'
import { changePublicPool, createPublicPool, deletePublicPool } from '../public-pools.ts'
import type { PublicPoolRecord } from '../store/network-records.ts'
import type { State, View } from '../store/state.ts'
import { route } from './route.ts'
import { flag, integer, list, named, object, rackParam, type Typed, text, time } from './schema.ts'

interface PoolParts {
  readonly state: State
  readonly clock: Clock
  readonly randomHex: RandomHex
}

const MAX_LISTED = 1_000
const MAX_ID = 64
const EXAMPLE_ID = 'ipv4pool-ec2-0123456789abcdef0'

const CIDR = text({ maxLength: 43, description: 'IPv4 prefix, /8 to /32' })
const RACKS = list(rackParam, {
  maxItems: MAX_LISTED,
  description: 'Whose CCs can announce it; empty for all',
})
const EXCLUDED = list(text({ maxLength: 45 }), {
  maxItems: MAX_LISTED,
  description: "Addresses that nobody gets, for example the router's and the CCs' own",
})
const NEW_POOL = object({ cidr: CIDR, racks: RACKS, exclude: EXCLUDED })
const POOL = named(
  'PublicPool',
  object({
    id: text({ maxLength: MAX_ID }),
    cidr: CIDR,
    racks: RACKS,
    excluded: EXCLUDED,
    closing: flag('It is about to go: nothing more is taken from it'),
    createdAtMs: time('When it was made'),
    out: integer({ minimum: 0, description: 'Addresses that somebody has' }),
    available: integer({ minimum: 0, description: 'Addresses that can be given' }),
  }),
)
export type PublicPool = Typed<typeof POOL>
const EXAMPLE: PublicPool = {
  ...{ id: EXAMPLE_ID, cidr: '203.0.113.0/24', racks: [], excluded: ['203.0.113.1'] },
  ...{ closing: false, createdAtMs: 1_785_000_000_000, out: 2, available: 253 },
}
const ONE = object({ id: text({ minLength: 1, maxLength: MAX_ID, description: 'Of the pool' }) })
const PATH = '/v1/pools/{id}'

export function addPoolRoutes(app: FastifyInstance, { state, clock, randomHex }: PoolParts): void {
  route(
    app,
    {
      id: 'listPools',
      summary: 'Public pools, and how many addresses of them are out',
      method: 'GET',
      path: '/v1/pools',
      answer: object({ pools: list(POOL) }),
      example: { pools: [EXAMPLE] },
    },
    async () => {
      const view = await state.fresh()
      return { pools: view.all('public-pool').map((pool) => shown(view, pool)) }
    },
  )

  route(
    app,
    {
      id: 'getPool',
      summary: 'A public pool, and how many addresses of it are out',
      method: 'GET',
      path: PATH,
      params: ONE,
      answer: POOL,
      example: EXAMPLE,
      refusals: ['NotFound'],
    },
    async ({ params: { id } }) => {
      const view = await state.fresh()
      const pool = view.get('public-pool', id)
      if (pool === null) throw new MalleeError('NotFound', `there is no public pool ${id}`)
      return shown(view, pool)
    },
  )

  route(
    app,
    {
      id: 'createPool',
      summary: 'Give the cloud a pool of public addresses',
      method: 'POST',
      path: '/v1/pools',
      body: NEW_POOL,
      bodyExample: { cidr: '203.0.113.0/24', racks: [], exclude: ['203.0.113.1'] },
      answer: POOL,
      example: EXAMPLE,
      refusals: ['RackNotFound', 'Conflict'],
    },
    async ({ body }) => {
      const pool = await createPublicPool({ state, randomHex, nowMs: clock.nowMs() }, body)
      return shown(await state.fresh(), pool)
    },
  )

  route(
    app,
    {
      id: 'changePool',
      summary: 'Change which racks announce a public pool, and what nobody gets of it',
      method: 'PUT',
      path: PATH,
      params: ONE,
      body: { ...object({}, { racks: RACKS, exclude: EXCLUDED }), minProperties: 1 },
      bodyExample: { exclude: ['203.0.113.1', '203.0.113.2'] },
      answer: POOL,
      example: EXAMPLE,
      refusals: ['NotFound', 'RackNotFound', 'Conflict'],
    },
    async ({ params: { id }, body }) => {
      const pool = await changePublicPool(state, id, body)
      return shown(await state.fresh(), pool)
    },
  )

  route(
    app,
    {
      id: 'deletePool',
      summary: 'Take a public pool away of which no address is out',
      method: 'DELETE',
      path: PATH,
      params: ONE,
      answer: object({ deleted: text({}) }),
      example: { deleted: EXAMPLE_ID },
      refusals: ['NotFound', 'Conflict'],
    },
    async ({ params: { id } }) => {
      await deletePublicPool(state, id)
      return { deleted: id }
    },
  )
}

function shown(view: View, pool: PublicPoolRecord): PublicPool {
  const { id, cidr, racks, excluded, closing, createdAtMs } = pool
  const out = view.by('address', 'pool', id).length
  const available = availableOf(view, pool)
  return { id, cidr, racks, excluded, closing, createdAtMs, out, available }
}
