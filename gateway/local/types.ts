// Instance types for operators.

import type { FastifyInstance } from 'fastify'
import type { Clock, RandomHex } from '../../common/clock.ts'
import { instanceTypes, isDefaultType } from '../ec2/instance-types.ts'
import {
  createInstanceType,
  deleteInstanceType,
  instancesOfType,
  type NewInstanceType,
} from '../instance-types.ts'
import type { State } from '../store/state.ts'

interface TypeParts {
  readonly state: State
  readonly clock: Clock
  readonly randomHex: RandomHex
}

const BODY = {
  type: 'object',
  required: ['name', 'vcpus', 'memoryMib', 'diskGib', 'interfaces', 'addresses'],
  additionalProperties: false,
  properties: {
    name: { type: 'string', maxLength: 63 },
    vcpus: { type: 'integer' },
    memoryMib: { type: 'integer' },
    diskGib: { type: 'integer' },
    interfaces: { type: 'integer' },
    addresses: { type: 'integer' },
  },
} as const

export function addTypeRoutes(app: FastifyInstance, parts: TypeParts): void {
  const { state, clock, randomHex } = parts
  app.get('/v1/types', async () => {
    const view = await state.fresh()
    return {
      types: instanceTypes(view).map(({ current: _, ...type }) => ({
        ...type,
        isDefault: isDefaultType(type.name) && view.get('instance-type', type.name) === null,
        instances: instancesOfType(view, type.name).length,
      })),
    }
  })

  app.post<{ Body: NewInstanceType }>('/v1/types', { schema: { body: BODY } }, ({ body }) =>
    createInstanceType({ state, nowMs: clock.nowMs() }, body),
  )

  app.delete<{ Params: { name: string } }>('/v1/types/:name', async ({ params }) => {
    await deleteInstanceType({ state, randomHex, nowMs: clock.nowMs() }, params.name)
    return { deleted: params.name }
  })
}
