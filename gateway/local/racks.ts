// The rack registry for operators: list and drain racks, cordon hosts, remove both.

import type { FastifyInstance } from 'fastify'
import type { Clock } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import type { CertificateEnds } from '../certificate.ts'
import { withoutHost, withoutRack } from '../control/departure.ts'
import { placeHosts } from '../ec2/capacity.ts'
import type { Sessions } from '../federation/sessions.ts'
import type { HostRecord, RackRecord } from '../store/records.ts'
import type { State, View } from '../store/state.ts'

export interface RackParts {
  readonly state: State
  readonly sessions: Sessions
  readonly clock: Clock
  readonly certificateEnds: () => CertificateEnds
}

type ByName = { Params: { name: string } }
type ByHost = { Params: { name: string; host: string } }

export function addRackRoutes(
  app: FastifyInstance,
  { state, sessions, certificateEnds }: RackParts,
): void {
  app.get('/v1/status', async () => {
    const view = await state.fresh()
    const cloud = view.get('cloud', 'self')
    const instances: Record<string, number> = {}
    for (const { state: name } of view.all('instance')) instances[name] = (instances[name] ?? 0) + 1
    const { ca, gateway } = certificateEnds()
    return {
      cloud: cloud?.name,
      region: cloud?.region,
      fabric: cloud?.fabricPrefix,
      ipv4Pools: cloud?.ipv4Pools,
      ipv6Pool: cloud?.ipv6Pool,
      certificates: { ca: { notAfterMs: ca }, gateway: { notAfterMs: gateway } },
      revision: view.revision,
      instances,
      racks: view.all('rack').map((rack) => describeRack(rack)),
      tunnels: sessions.tunnels(),
    }

    function describeRack(rack: RackRecord): object {
      const hosts = view.withPrefix('host', `${rack.name}/`)
      return { ...rack, hosts: hosts.map((host) => describeHost(view, host)) }
    }
  })

  app.post<ByName>('/v1/racks/:name/drain', ({ params }) => setState(params.name, 'draining'))
  app.post<ByName>('/v1/racks/:name/undrain', ({ params }) => setState(params.name, 'joined'))
  app.delete<ByName>('/v1/racks/:name', async ({ params }) => {
    await state.update((tx) => withoutRack(tx, state, params.name))
    return { removed: params.name }
  })

  app.get('/v1/hosts', async () => {
    const view = await state.fresh()
    const places = new Map(placeHosts(view).map((one) => [`${one.rack}/${one.host}`, one]))
    const hosts = view.all('host').map((host) => {
      const { free = null, why = 'has no nc role' } = places.get(`${host.rack}/${host.host}`) ?? {}
      return { rack: host.rack, ...describeHost(view, host), free, why }
    })
    return { hosts }
  })

  app.post<ByHost>('/v1/racks/:name/hosts/:host/cordon', ({ params }) => cordon(params, true))
  app.post<ByHost>('/v1/racks/:name/hosts/:host/uncordon', ({ params }) => cordon(params, false))
  app.delete<ByHost>('/v1/racks/:name/hosts/:host', async ({ params: { name, host } }) => {
    await state.update(async (tx) => {
      if ((await tx.get('host', name, host)) === null) throw unknownHost(name, host)
      await withoutHost(tx, state, name, host)
    })
    return { removed: host }
  })

  async function cordon({ name, host }: ByHost['Params'], isCordoned: boolean): Promise<object> {
    await state.update(async (tx) => {
      const record = await tx.get('host', name, host)
      if (record === null) throw unknownHost(name, host)
      const { cordoned: _, ...rest } = record
      await tx.put('host', [name, host], isCordoned ? { ...rest, cordoned: true } : rest)
    })
    return { rack: name, host, cordoned: isCordoned }
  }

  async function setState(name: string, to: RackRecord['state']): Promise<RackRecord> {
    return state.update(async (tx) => {
      const rack = await tx.get('rack', name)
      if (rack === null) throw new MalleeError('RackNotFound', `there is no rack ${name}`)
      const next = { ...rack, state: to }
      await tx.put('rack', [name], next)
      return next
    })
  }
}

function describeHost(view: View, host: HostRecord): object {
  return {
    host: host.host,
    index: host.index,
    roles: host.roles,
    simulated: host.simulated,
    cordoned: host.cordoned === true,
    instances: view.instancesOf('host', host.host).filter((one) => one.rack === host.rack).length,
    ...(host.status ?? { connected: false }),
  }
}

function unknownHost(rack: string, host: string): MalleeError {
  return new MalleeError('HostNotFound', `rack ${rack} has no host ${host}`)
}
