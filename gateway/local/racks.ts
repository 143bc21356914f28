// The rack registry for operators: list, undrain, remove.

import type { FastifyInstance } from 'fastify'
import type { Log } from '../../common/log.ts'
import { withoutRack } from '../control/departure.ts'
import { declareLost, finishLost } from '../control/lost.ts'
import { type ObjectHostParts, withoutObjects } from '../control/object-hosts.ts'
import type { MoveParts } from '../ebs/moving.ts'
import { unknownRack } from './refusals.ts'
import { route } from './route.ts'
import { list, named, object, oneOf, rackParam, type Typed, text } from './schema.ts'
import { EXAMPLE_RACK, MAX_RACKS, RACK, type Rack, shownRack } from './shown-racks.ts'

export interface RackParts extends ObjectHostParts, MoveParts {
  readonly log: Log
}

/** What hosts and racks that are taken out are asked with, and answer. */
export const LOST_QUERY = object(
  {},
  {
    lost: {
      ...oneOf('true', 'false'),
      description:
        'It never comes back: its instances are terminated, their disks are gone; those that boot from a volume of another host are stopped',
    },
  },
)
export const REMOVED = named(
  'Removed',
  object({
    removed: text({ description: 'The name of what is out of the cloud' }),
    terminated: list(text({}), { description: 'Ids of instances that were lost' }),
  }),
)
export type Removed = Typed<typeof REMOVED>

const params = object({ rack: rackParam })

export function addRackRoutes(app: FastifyInstance, parts: RackParts): void {
  const { state } = parts
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
    ({ params: { rack } }) => rackNamed(rack),
  )

  route(
    app,
    {
      id: 'undrainRack',
      summary: 'Place instances in a rack again',
      method: 'POST',
      path: '/v1/racks/{rack}/undrain',
      params,
      answer: RACK,
      example: EXAMPLE_RACK,
      refusals: ['RackNotFound'],
    },
    async ({ params: { rack } }) => {
      await state.update(async (tx) => {
        const record = await tx.get('rack', rack)
        if (record === null) throw unknownRack(rack)
        const { drain: _, ...rest } = record
        await tx.put('rack', [rack], { ...rest, state: 'joined' })
      })
      return rackNamed(rack)
    },
  )

  route(
    app,
    {
      id: 'removeRack',
      summary: 'Take a rack without instances, or one that is lost, out of the cloud',
      method: 'DELETE',
      path: '/v1/racks/{rack}',
      params,
      query: LOST_QUERY,
      answer: REMOVED,
      example: { removed: 'a', terminated: [] },
      refusals: ['RackNotFound', 'Conflict'],
    },
    async ({ params: { rack }, query: { lost = 'false' } }) => {
      if (lost === 'true') return { removed: rack, terminated: await removeLost(parts, rack) }
      const hosts = (await state.fresh()).withPrefix('host', `${rack}/`)
      const names = hosts.map(({ host }) => host)
      await withoutObjects(parts, rack, names, () =>
        state.update((tx) => withoutRack(tx, state, rack)),
      )
      return { removed: rack, terminated: [] }
    },
  )

  async function rackNamed(name: string): Promise<Rack> {
    const view = await state.fresh()
    const rack = view.get('rack', name)
    if (rack === null) throw unknownRack(name)
    return shownRack(view, rack)
  }
}

/** All its hosts; with the last one goes the rack. Says which instances ended. */
async function removeLost(parts: RackParts, rack: string): Promise<string[]> {
  const view = await parts.state.fresh()
  if (view.get('rack', rack) === null) throw unknownRack(rack)
  const hosts = view.withPrefix('host', `${rack}/`)
  await declareLost(
    parts,
    rack,
    hosts.map(({ host }) => host),
  )
  const ended: string[] = []
  for (const host of hosts) ended.push(...(await finishLost(parts, host)))
  return ended
}
