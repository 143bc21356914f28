// The cloud at a glance, for operators.

import type { FastifyInstance } from 'fastify'
import type { CertificateEnds } from '../certificate.ts'
import type { Sessions } from '../federation/sessions.ts'
import type { State } from '../store/state.ts'
import { route } from './route.ts'
import { dictionary, integer, list, named, object, type Typed, text, time } from './schema.ts'
import { EXAMPLE_RACK, MAX_RACKS, RACK, shownRack, TUNNEL } from './shown-racks.ts'

export interface StatusParts {
  readonly state: State
  readonly sessions: Sessions
  readonly certificateEnds: () => CertificateEnds
}

const END = object({ notAfterMs: time('Valid until') })

const STATUS = named(
  'Status',
  object({
    cloud: text({ description: 'Name of the cloud' }),
    region: text({ description: 'EC2 region' }),
    fabric: text({ description: "IPv6 prefix of the racks' own addresses" }),
    ipv4Pools: list(text({}), { description: 'Private IPv4 prefixes for VPCs' }),
    ipv6Pool: text({ description: "The tenants' IPv6 prefix" }),
    certificates: object({ ca: END, gateway: END }),
    revision: integer({ minimum: 0, description: 'Of the store' }),
    instances: dictionary(integer({ minimum: 0 }), 'How many are in each state'),
    racks: list(RACK, { maxItems: MAX_RACKS }),
    tunnels: list(TUNNEL, { description: 'Of racks whose sessions this gateway has' }),
  }),
)
export type Status = Typed<typeof STATUS>

export function addStatusRoute(app: FastifyInstance, parts: StatusParts): void {
  const { state, sessions, certificateEnds } = parts
  route(
    app,
    {
      id: 'getStatus',
      summary: 'The cloud at a glance: instances, racks, hosts, tunnels',
      method: 'GET',
      path: '/v1/status',
      answer: STATUS,
      example: {
        ...{ cloud: 'office', region: 'au-mallee-1', fabric: 'fd12:3456:789a::/48' },
        ...{ ipv4Pools: ['10.0.0.0/8'], ipv6Pool: 'fdab:cdef:100::/40' },
        certificates: {
          ca: { notAfterMs: 2_100_000_000_000 },
          gateway: { notAfterMs: 1_816_000_000_000 },
        },
        ...{ revision: 4_711, instances: { running: 3 }, racks: [EXAMPLE_RACK], tunnels: [] },
      },
    },
    async () => {
      const view = await state.fresh()
      const cloud = view.get('cloud', 'self')
      const instances: Record<string, number> = {}
      for (const one of view.all('instance')) {
        instances[one.state] = (instances[one.state] ?? 0) + 1
      }
      const { ca, gateway } = certificateEnds()
      return {
        cloud: cloud?.name ?? '',
        region: cloud?.region ?? '',
        fabric: cloud?.fabricPrefix ?? '',
        ipv4Pools: cloud?.ipv4Pools ?? [],
        ipv6Pool: cloud?.ipv6Pool ?? '',
        certificates: { ca: { notAfterMs: ca }, gateway: { notAfterMs: gateway } },
        revision: view.revision,
        instances,
        racks: view.all('rack').map((rack) => shownRack(view, rack)),
        tunnels: sessions.tunnels(),
      }
    },
  )
}
