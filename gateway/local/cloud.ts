// Settings of the whole cloud, for operators.

import type { FastifyInstance } from 'fastify'
import { MalleeError } from '../../common/errors.ts'
import { cloudOf } from '../ec2/cloud.ts'
import { useRackTags } from '../ec2/vlan-tags.ts'
import type { State } from '../store/state.ts'
import { route } from './route.ts'
import { named, object, oneOf, type Typed } from './schema.ts'

const VLAN_SCOPE = oneOf('cloud', 'rack')
const SPOT = oneOf('on-demand', 'refused')
const SETTINGS = named('CloudSettings', object({ vlanScope: VLAN_SCOPE, spot: SPOT }))
export type CloudSettings = Typed<typeof SETTINGS>
const EXAMPLE: CloudSettings = { vlanScope: 'cloud', spot: 'on-demand' }

export function addCloudRoutes(app: FastifyInstance, { state }: { state: State }): void {
  route(
    app,
    {
      id: 'getCloud',
      summary: 'Settings of the whole cloud',
      method: 'GET',
      path: '/v1/cloud',
      answer: SETTINGS,
      example: EXAMPLE,
    },
    settings,
  )

  route(
    app,
    {
      id: 'changeCloud',
      summary: 'Change settings of the whole cloud',
      method: 'PUT',
      path: '/v1/cloud',
      body: { ...object({}, { vlanScope: VLAN_SCOPE, spot: SPOT }), minProperties: 1 },
      bodyExample: { spot: 'refused' as const },
      answer: SETTINGS,
      example: { ...EXAMPLE, spot: 'refused' },
      refusals: ['Conflict'],
    },
    async ({ body }) => {
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
      return await settings()
    },
  )

  async function settings(): Promise<CloudSettings> {
    const { vlanScope = 'cloud', spot = 'on-demand' } = await state.update(cloudOf)
    return { vlanScope, spot }
  }
}
