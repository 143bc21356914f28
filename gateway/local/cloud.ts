// Settings of the whole cloud, for operators.

import type { FastifyInstance } from 'fastify'
import { MalleeError } from '../../common/errors.ts'
import { cloudOf } from '../ec2/cloud.ts'
import { useRackTags } from '../ec2/vlan-tags.ts'
import type { State } from '../store/state.ts'

const BODY = {
  type: 'object',
  minProperties: 1,
  additionalProperties: false,
  properties: {
    vlanScope: { enum: ['cloud', 'rack'] },
    spot: { enum: ['on-demand', 'refused'] },
  },
} as const

interface CloudBody {
  readonly vlanScope?: 'cloud' | 'rack'
  readonly spot?: 'on-demand' | 'refused'
}

export function addCloudRoutes(app: FastifyInstance, { state }: { state: State }): void {
  app.put<{ Body: CloudBody }>('/v1/cloud', { schema: { body: BODY } }, async ({ body }) => {
    await state.update(async (tx) => {
      const cloud = await cloudOf(tx)
      const { vlanScope = 'cloud' } = cloud
      if (body.spot !== undefined) await tx.put('cloud', ['self'], { ...cloud, spot: body.spot })
      if (body.vlanScope === undefined || body.vlanScope === vlanScope) return
      if (body.vlanScope === 'cloud') {
        const why = 'racks may have different networks under one tag by now'
        throw new MalleeError('Conflict', `the VLAN scope cannot go back to cloud: ${why}`)
      }
      await useRackTags(tx)
    })
    const { vlanScope = 'cloud', spot = 'on-demand' } = await state.update(cloudOf)
    return { vlanScope, spot }
  })
}
