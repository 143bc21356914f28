// Join tokens for operators.

import type { FastifyInstance } from 'fastify'
import type { Clock, RandomHex } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import { isName } from '../../common/identity.ts'
import { mintToken } from '../federation/membership.ts'
import { EVERY_RACK } from '../store/network-records.ts'
import type { Role } from '../store/records.ts'
import type { State } from '../store/state.ts'

export interface TokenParts {
  readonly state: State
  readonly clock: Clock
  readonly randomHex: RandomHex
  readonly caDigest: string
}

const MINUTE_MS = 60_000
const WEEK_MINUTES = 7 * 24 * 60

const BODY = {
  type: 'object',
  required: ['rack', 'roles', 'minutes'],
  additionalProperties: false,
  properties: {
    rack: { type: 'string', maxLength: 63 },
    roles: {
      type: 'array',
      minItems: 1,
      uniqueItems: true,
      items: { enum: ['cc', 'sc', 'nc'] },
    },
    minutes: { type: 'integer', minimum: 1, maximum: WEEK_MINUTES },
  },
} as const

interface TokenBody {
  readonly rack: string
  readonly roles: readonly Role[]
  readonly minutes: number
}

export function addTokenRoutes(app: FastifyInstance, parts: TokenParts): void {
  app.post<{ Body: TokenBody }>('/v1/tokens', { schema: { body: BODY } }, async ({ body }) => {
    const { rack, roles, minutes } = body
    if (!isName(rack)) {
      throw new MalleeError(
        'BadArgument',
        `rack name ${JSON.stringify(rack)} is not 1 to 63 lower-case letters, digits and inner hyphens`,
      )
    }
    if (rack === EVERY_RACK) {
      const sentence = `a rack cannot be named ${EVERY_RACK}: its zone is that of stretched subnets`
      throw new MalleeError('BadArgument', sentence)
    }
    const token = await mintToken(parts, { rack, roles, ttlMs: minutes * MINUTE_MS })
    return { token, rack, roles, expiresAtMs: parts.clock.nowMs() + minutes * MINUTE_MS }
  })
}
