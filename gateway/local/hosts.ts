// Hosts for operators: what is free on them, cordon, remove.

import type { FastifyInstance } from 'fastify'
import { MalleeError } from '../../common/errors.ts'
import { withoutHost } from '../control/departure.ts'
import { declareLost, finishLost } from '../control/lost.ts'
import { withoutObjects } from '../control/object-hosts.ts'
import { LOST_QUERY, type RackParts, REMOVED } from './racks.ts'
import { unknownHost } from './refusals.ts'
import { route } from './route.ts'
import { flag, hostParam, list, object, rackParam } from './schema.ts'
import { EXAMPLE_PLACE, MAX_HOSTS, PLACE, shownPlaces } from './shown-racks.ts'

const PATH = '/v1/racks/{rack}/hosts/{host}'
const NAMES = object({ rack: rackParam, host: hostParam })

export function addHostRoutes(app: FastifyInstance, parts: RackParts): void {
  const { state } = parts
  route(
    app,
    {
      id: 'listHosts',
      summary: 'Hosts, what is free on them, and why nothing is placed there',
      method: 'GET',
      path: '/v1/hosts',
      answer: object({ hosts: list(PLACE, { maxItems: MAX_HOSTS }) }),
      example: { hosts: [EXAMPLE_PLACE] },
    },
    async () => {
      const view = await state.fresh()
      return { hosts: shownPlaces(view, view.all('host')) }
    },
  )

  route(
    app,
    {
      id: 'getHost',
      summary: 'A host, and what is free on it',
      method: 'GET',
      path: PATH,
      params: NAMES,
      answer: PLACE,
      example: EXAMPLE_PLACE,
      refusals: ['HostNotFound'],
    },
    async ({ params: { rack, host } }) => {
      const view = await state.fresh()
      const record = view.get('host', rack, host)
      const [place] = record === null ? [] : shownPlaces(view, [record])
      if (place === undefined) throw unknownHost(rack, host)
      return place
    },
  )

  for (const [verb, cordoned, summary] of [
    ['cordon', true, 'Place no new instances on a host'],
    ['uncordon', false, 'Place instances on a host again, and end its drain'],
  ] as const) {
    route(
      app,
      {
        id: `${verb}Host`,
        summary,
        method: 'POST',
        path: `${PATH}/${verb}`,
        params: NAMES,
        answer: object({ rack: rackParam, host: hostParam, cordoned: flag('As it is now') }),
        example: { rack: 'a', host: 'a-nc-1', cordoned },
        refusals: ['HostNotFound', 'Conflict'],
      },
      async ({ params: { rack, host } }) => {
        await setCordoned(rack, host, cordoned)
        return { rack, host, cordoned }
      },
    )
  }

  route(
    app,
    {
      id: 'removeHost',
      summary: 'Take a host without instances, or one that is lost, out of the cloud',
      method: 'DELETE',
      path: PATH,
      params: NAMES,
      query: LOST_QUERY,
      answer: REMOVED,
      example: { removed: 'a-nc-1', terminated: [] },
      refusals: ['HostNotFound', 'Conflict'],
    },
    async ({ params: { rack, host }, query: { lost = 'false' } }) => {
      if (lost === 'true') {
        await declareLost(parts, rack, [host])
        return { removed: host, terminated: await finishLost(parts, { rack, host }) }
      }
      await withoutObjects(parts, rack, [host], () =>
        state.update(async (tx) => {
          if ((await tx.get('host', rack, host)) === null) throw unknownHost(rack, host)
          await withoutHost(tx, state, rack, host)
        }),
      )
      return { removed: host, terminated: [] }
    },
  )

  async function setCordoned(rack: string, host: string, isCordoned: boolean): Promise<void> {
    await state.update(async (tx) => {
      const record = await tx.get('host', rack, host)
      if (record === null) throw unknownHost(rack, host)
      if (record.lostAtMs !== undefined) {
        throw new MalleeError('Conflict', `host ${host} was declared lost and is being taken out`)
      }
      // What is to be placed there again is to stay there, too.
      const { cordoned: _, storesNothing: __, drain, ...rest } = record
      const kept = { ...rest, cordoned: true, ...(drain && { drain }) } as const
      await tx.put('host', [rack, host], isCordoned ? kept : rest)
    })
  }
}
