// Join tokens for operators.

import type { FastifyInstance } from 'fastify'
import type { Clock, RandomHex } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import { isName } from '../../common/identity.ts'
import { parseToken } from '../../common/token.ts'
import { mintToken } from '../federation/membership.ts'
import { EVERY_RACK } from '../store/network-records.ts'
import type { TokenRecord } from '../store/records.ts'
import type { State } from '../store/state.ts'
import { route } from './route.ts'
import {
  flag,
  hostParam,
  integer,
  list,
  named,
  nullable,
  object,
  rackParam,
  secret,
  type Typed,
  text,
  time,
} from './schema.ts'
import { ROLE } from './shown-racks.ts'

export interface TokenParts {
  readonly state: State
  readonly clock: Clock
  readonly randomHex: RandomHex
  readonly caDigest: string
}

const MINUTE_MS = 60_000
const WEEK_MINUTES = 7 * 24 * 60
const MAX_ID = 64
const AT_MS = 1_785_000_000_000
const EXAMPLE_ID = '0123456789abcdef'

const ROLES = list(ROLE, { minItems: 1, uniqueItems: true })
const NEW_TOKEN = named(
  'NewToken',
  object({
    id: text({ maxLength: MAX_ID }),
    token: secret('Shown once: what rack-join takes before the @'),
    rack: rackParam,
    roles: ROLES,
    expiresAtMs: time('Good until'),
  }),
)
export type NewToken = Typed<typeof NEW_TOKEN>

const TOKEN = named(
  'Token',
  object({
    id: text({ maxLength: MAX_ID }),
    rack: rackParam,
    roles: ROLES,
    createdAtMs: time('When it was made'),
    expiresAtMs: time('Good until'),
    used: nullable(object({ host: hostParam, atMs: time('When') }), 'Who joined with it'),
  }),
)
export type Token = Typed<typeof TOKEN>

export function addTokenRoutes(app: FastifyInstance, parts: TokenParts): void {
  const { state, clock } = parts
  route(
    app,
    {
      id: 'createToken',
      summary: 'Make a token with which one host can join a rack',
      method: 'POST',
      path: '/v1/tokens',
      body: object(
        {
          rack: rackParam,
          roles: ROLES,
          minutes: integer({ minimum: 1, maximum: WEEK_MINUTES }),
        },
        { additional: flag('A CC joins a rack that has one already') },
      ),
      bodyExample: { rack: 'a', roles: ['cc'], minutes: 60 },
      answer: NEW_TOKEN,
      example: {
        ...{ id: EXAMPLE_ID, token: 'a.0123456789abcdef.SECRET.DIGEST' },
        ...{ rack: 'a', roles: ['cc'], expiresAtMs: AT_MS },
      },
    },
    async ({ body: { rack, roles, minutes, additional = false } }) => {
      checkRack(rack)
      const ttlMs = minutes * MINUTE_MS
      const token = await mintToken(parts, { rack, roles, ttlMs, additional })
      return {
        id: parseToken(token).id,
        token,
        rack,
        roles,
        expiresAtMs: clock.nowMs() + minutes * MINUTE_MS,
      }
    },
  )

  route(
    app,
    {
      id: 'listTokens',
      summary: 'Join tokens, used or not, until a day after they expire',
      method: 'GET',
      path: '/v1/tokens',
      answer: object({ tokens: list(TOKEN) }),
      example: {
        tokens: [
          {
            ...{ id: EXAMPLE_ID, rack: 'a', roles: ['cc'], createdAtMs: AT_MS },
            ...{ expiresAtMs: AT_MS + MINUTE_MS, used: { host: 'a-cc', atMs: AT_MS } },
          },
        ],
      },
    },
    async () => ({ tokens: (await state.fresh()).all('token').map(shown) }),
  )

  route(
    app,
    {
      id: 'revokeToken',
      summary: 'End a join token that nobody has used',
      method: 'DELETE',
      path: '/v1/tokens/{id}',
      params: object({
        id: text({ minLength: 1, maxLength: MAX_ID, description: 'Of the token' }),
      }),
      answer: object({ revoked: text({}) }),
      example: { revoked: EXAMPLE_ID },
      refusals: ['NotFound', 'Conflict'],
    },
    async ({ params: { id } }) => {
      await state.update(async (tx) => {
        const token = await tx.get('token', id)
        if (token === null) throw new MalleeError('NotFound', `there is no token ${id}`)
        if (token.used !== null) {
          const sentence = `host ${token.used.host} has joined with token ${id}, remove that host`
          throw new MalleeError('Conflict', sentence)
        }
        await tx.delete('token', id)
      })
      return { revoked: id }
    },
  )
}

function shown({ id, rack, roles, createdAtMs, expiresAtMs, used }: TokenRecord): Token {
  const by = used === null ? null : { host: used.host, atMs: used.atMs }
  return { id, rack, roles, createdAtMs, expiresAtMs, used: by }
}

function checkRack(rack: string): void {
  if (!isName(rack)) {
    const fits = '1 to 63 lower-case letters, digits and inner hyphens'
    throw new MalleeError('BadArgument', `rack name ${JSON.stringify(rack)} is not ${fits}`)
  }
  if (rack !== EVERY_RACK) return
  const sentence = `a rack cannot be named ${EVERY_RACK}: its zone is that of stretched subnets`
  throw new MalleeError('BadArgument', sentence)
}
