// Drains of hosts and racks, for operators: begun, looked at, ended. control/drain.ts does them.

import type { FastifyInstance } from 'fastify'
import type { Clock, RandomHex } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import type { Log } from '../../common/log.ts'
import { actOnDrains, drainOf, drainWait } from '../control/drain.ts'
import { volumesOn } from '../ebs/volume-hosts.ts'
import { placedOn } from '../ec2/capacity.ts'
import type { DrainRecord, InstanceRecord } from '../store/records.ts'
import type { State, View } from '../store/state.ts'
import { unknownHost, unknownRack } from './refusals.ts'
import { route } from './route.ts'
import {
  accountParam,
  flag,
  hostParam,
  integer,
  list,
  named,
  nullable,
  object,
  oneOf,
  rackParam,
  type Schema,
  type Typed,
  text,
  time,
} from './schema.ts'

export interface DrainParts {
  readonly state: State
  readonly clock: Clock
  readonly randomHex: RandomHex
  readonly log: Log
}

const MINUTE_MS = 60_000
const MAX_MINUTES = 90 * 24 * 60
const ID_BYTES = 8
const AT_MS = 1_785_000_000_000

const INSTANCES = {
  ...oneOf('keep', 'stop', 'terminate'),
  description: 'What the gateway does about instances; as before, or keep, when not given',
}
const WISH = object(
  {},
  {
    instances: INSTANCES,
    minutes: integer({
      ...{ minimum: 0, maximum: MAX_MINUTES },
      description: 'From now until anything is stopped or terminated; 0 when not given',
    }),
  },
)
type Wish = Typed<typeof WISH>

const LEFT = named(
  'InstanceLeft',
  object({
    id: text({}),
    account: accountParam,
    type: text({}),
    host: hostParam,
    state: oneOf('pending', 'running', 'shutting-down', 'stopping', 'stopped', 'terminated'),
    waitsFor: {
      ...oneOf('users', 'time', 'protection', 'start', 'host', 'nothing'),
      description: 'Why it is still there; nothing is one that may stay',
    },
  }),
)
const DRAIN = named(
  'Drain',
  object({
    rack: rackParam,
    host: nullable(hostParam, 'null of a whole rack'),
    instances: INSTANCES,
    startedAtMs: time('When it was begun'),
    notBeforeMs: time('Nothing is stopped or terminated before'),
    isDone: flag('Nothing is left to wait for'),
    left: list(LEFT),
    volumes: integer({
      ...{ minimum: 0 },
      description: 'Whose bytes are there: nothing waits for them, and they keep it in the cloud',
    }),
  }),
)
export type Drain = Typed<typeof DRAIN>
const EXAMPLE: Drain = {
  ...{ rack: 'a', host: 'a-nc-1', instances: 'stop', startedAtMs: AT_MS, notBeforeMs: AT_MS },
  ...{ isDone: false, volumes: 0 },
  left: [
    {
      ...{ id: 'i-0123456789abcdef0', account: '111122223333', type: 't3.nano', host: 'a-nc-1' },
      ...{ state: 'stopping', waitsFor: 'host' },
    },
  ],
}

interface Asked {
  readonly rack: string
  readonly host?: string
}

interface Kind {
  readonly kind: 'Rack' | 'Host'
  readonly path: string
  readonly params: Schema<Asked>
  readonly refusal: 'RackNotFound' | 'HostNotFound'
  readonly example: Drain
  readonly summaries: readonly [begin: string, look: string]
}

export function addDrainRoutes(app: FastifyInstance, parts: DrainParts): void {
  const { state, clock, randomHex } = parts
  add({
    ...{ kind: 'Rack', path: '/v1/racks/{rack}/drain', params: object({ rack: rackParam }) },
    ...{ refusal: 'RackNotFound', example: { ...EXAMPLE, host: null } },
    summaries: [
      'Place nothing new in a rack, and have it emptied',
      'What is still left in a rack that is drained',
    ],
  })
  add({
    ...{ kind: 'Host', path: '/v1/racks/{rack}/hosts/{host}/drain' },
    params: object({ rack: rackParam, host: hostParam }),
    ...{ refusal: 'HostNotFound', example: EXAMPLE },
    summaries: [
      'Place nothing new on a host, and have it emptied',
      'What is still left on a host that is drained',
    ],
  })

  function add(of: Kind): void {
    const { kind, path, params, refusal, example, summaries } = of
    const both = { path, params, answer: DRAIN, example }
    route(
      app,
      {
        ...{ ...both, id: `drain${kind}`, summary: summaries[0], method: 'POST' },
        ...{ body: nullable(WISH), isBodyOptional: true },
        bodyExample: { instances: 'stop', minutes: 60 },
        refusals: [refusal],
      },
      async ({ params: asked, body }) => {
        await begin(asked, body ?? {})
        await state.fresh()
        await actOnDrains(parts)
        return await progress(asked)
      },
    )
    route(
      app,
      {
        ...{ ...both, id: `get${kind}Drain`, summary: summaries[1], method: 'GET' },
        refusals: [refusal, 'NotFound'],
      },
      ({ params: asked }) => progress(asked),
    )
  }

  /** Said again, it goes on with what is said now. */
  async function begin({ rack, host }: Asked, wish: Wish): Promise<void> {
    const nowMs = clock.nowMs()
    const id = randomHex(ID_BYTES)
    const next = (old: DrainRecord | undefined): DrainRecord => ({
      id: old?.id ?? id,
      instances: wish.instances ?? old?.instances ?? 'keep',
      startedAtMs: old?.startedAtMs ?? nowMs,
      notBeforeMs:
        wish.minutes === undefined && old !== undefined
          ? old.notBeforeMs
          : nowMs + (wish.minutes ?? 0) * MINUTE_MS,
    })
    await state.update(async (tx) => {
      if (host === undefined) {
        const record = await tx.get('rack', rack)
        if (record === null) throw unknownRack(rack)
        await tx.put('rack', [rack], { ...record, state: 'draining', drain: next(record.drain) })
        return
      }
      const record = await tx.get('host', rack, host)
      if (record === null) throw unknownHost(rack, host)
      await tx.put('host', [rack, host], { ...record, cordoned: true, drain: next(record.drain) })
    })
  }

  async function progress({ rack, host }: Asked): Promise<Drain> {
    const view = await state.fresh()
    const record = host === undefined ? view.get('rack', rack) : view.get('host', rack, host)
    if (record === null) throw host === undefined ? unknownRack(rack) : unknownHost(rack, host)
    const { drain } = record
    if (drain === undefined) {
      const what = host === undefined ? `rack ${rack}` : `host ${host} of rack ${rack}`
      throw new MalleeError('NotFound', `${what} is not being drained`)
    }
    const { instances, startedAtMs, notBeforeMs } = drain
    const left = instancesOf(view, rack, host).map((one) =>
      shown(one, drainOf(view, one) ?? drain, clock.nowMs()),
    )
    const isDone = left.every(({ waitsFor }) => waitsFor === 'nothing')
    const volumes = volumesIn(view, rack, host)
    const about = { rack, host: host ?? null, instances, startedAtMs, notBeforeMs }
    return { ...about, isDone, left, volumes }
  }
}

function volumesIn(view: View, rack: string, host: string | undefined): number {
  if (host !== undefined) return volumesOn(view, { rack, host }).length
  return view.by('volume', 'rack', rack).filter((one) => one.host !== '').length
}

function instancesOf(view: View, rack: string, host: string | undefined): InstanceRecord[] {
  if (host !== undefined) return placedOn(view, { rack, host })
  return view.instancesOf('rack', rack).filter((one) => one.state !== 'terminated')
}

function shown(record: InstanceRecord, drain: DrainRecord, nowMs: number): Drain['left'][number] {
  const { id, account, type, host, state } = record
  return { id, account, type, host, state, waitsFor: drainWait(record, drain, nowMs) }
}
