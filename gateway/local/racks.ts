// The rack registry for operators: list, drain, remove.

import type { FastifyInstance } from 'fastify'
import { MalleeError } from '../../common/errors.ts'
import { withoutRack } from '../control/departure.ts'
import type { RackRecord } from '../store/records.ts'
import type { State } from '../store/state.ts'
import { route } from './route.ts'
import { list, object, rackParam } from './schema.ts'
import { EXAMPLE_RACK, MAX_RACKS, RACK, type Rack, shownRack } from './shown-racks.ts'

const params = object({ rack: rackParam })

export function addRackRoutes(app: FastifyInstance, { state }: { readonly state: State }): void {
  route(
    app,
    {
      id: 'listRacks',
      summary: 'Racks and their hosts',
      method: 'GET',
      path: '/v1/racks',
      answer: object({ racks: list(RACK, { maxItems: MAX_RACKS }) }),
      example: { racks: [EXAMPLE_RACK] },
    },
    async () => {
      const view = await state.fresh()
      return { racks: view.all('rack').map((rack) => shownRack(view, rack)) }
    },
  )

  route(
    app,
    {
      id: 'getRack',
      summary: 'A rack and its hosts',
      method: 'GET',
      path: '/v1/racks/{rack}',
      params,
      answer: RACK,
      example: EXAMPLE_RACK,
      refusals: ['RackNotFound'],
    },
    async ({ params: { rack } }) => {
      const view = await state.fresh()
      const record = view.get('rack', rack)
      if (record === null) throw unknownRack(rack)
      return shownRack(view, record)
    },
  )

  for (const [verb, to, summary] of [
    ['drain', 'draining', 'Place no new instances in a rack'],
    ['undrain', 'joined', 'Place instances in a rack again'],
  ] as const) {
    route(
      app,
      {
        id: `${verb}Rack`,
        summary,
        method: 'POST',
        path: `/v1/racks/{rack}/${verb}`,
        params,
        answer: RACK,
        example: { ...EXAMPLE_RACK, state: to },
        refusals: ['RackNotFound'],
      },
      ({ params: { rack } }) => setState(rack, to),
    )
  }

  route(
    app,
    {
      id: 'removeRack',
      summary: 'Take a rack without instances out of the cloud',
      method: 'DELETE',
      path: '/v1/racks/{rack}',
      params,
      answer: object({ removed: rackParam }),
      example: { removed: 'a' },
      refusals: ['RackNotFound', 'Conflict'],
    },
    async ({ params: { rack } }) => {
      await state.update((tx) => withoutRack(tx, state, rack))
      return { removed: rack }
    },
  )

  async function setState(name: string, to: RackRecord['state']): Promise<Rack> {
    await state.update(async (tx) => {
      const rack = await tx.get('rack', name)
      if (rack === null) throw unknownRack(name)
      await tx.put('rack', [name], { ...rack, state: to })
    })
    const view = await state.fresh()
    const rack = view.get('rack', name)
    if (rack === null) throw unknownRack(name)
    return shownRack(view, rack)
  }
}

function unknownRack(name: string): MalleeError {
  return new MalleeError('RackNotFound', `there is no rack ${name}`)
}
