// Targets of buckets' events, for operators: where they lead, what waits for them, and what is
// wrong with them.

import type { FastifyInstance } from 'fastify'
import type { Clock } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import { sendersTo } from '../s3/buckets/notifications.ts'
import type { Events } from '../s3/events/delivery.ts'
import { newTarget, targetArn } from '../s3/events/targets.ts'
import type { Sealer } from '../secrets.ts'
import type { EventTargetRecord } from '../store/event-records.ts'
import type { State, View } from '../store/state.ts'
import { unknownAccount } from './refusals.ts'
import { route } from './route.ts'
import {
  flag,
  integer,
  list,
  named,
  nullable,
  object,
  oneOf,
  secret,
  type Typed,
  text,
  time,
} from './schema.ts'

export interface EventTargetParts {
  readonly state: State
  readonly sealer: Sealer
  readonly clock: Clock
  readonly targetState: Events['stateOf']
}

const MAX_TARGETS = 100
const MAX_NAME = 63
const MAX_URL = 2_048
const MAX_LENGTH = 1_000_000_000
const MAX_SECRET = 4_096
/** In an ARN that is shown for all accounts. */
const ANY_ACCOUNT = '<account>'

const KIND = oneOf('webhook', 'stream')
const NAME = text({ minLength: 1, maxLength: MAX_NAME, description: 'Name of the target' })
const FIELDS = {
  name: NAME,
  kind: KIND,
  url: text({
    maxLength: MAX_URL,
    description: 'Of a webhook, or redis://[user@]host[:port][/db]/stream',
  }),
  account: text({ maxLength: 12, description: "The only one that may use it; '' for all" }),
  maxLength: integer({
    ...{ minimum: 0, maximum: MAX_LENGTH },
    description: 'About how many entries a stream keeps; 0 for all',
  }),
}
const TARGET = named(
  'EventTarget',
  object({
    ...FIELDS,
    arn: text({ description: 'What buckets name it by' }),
    hasSecret: flag('Its messages are signed, or it has a password'),
    createdAtMs: time('When it was made'),
    buckets: list(text({}), { description: 'That send to it' }),
    pending: integer({ minimum: 0, description: 'Events that wait; counted up to 100,000' }),
    trouble: nullable(
      object({ message: text({}), atMs: time('When it was last tried') }),
      'Null: the last try went well',
    ),
  }),
)
export type EventTargetShown = Typed<typeof TARGET>
const EXAMPLE: EventTargetShown = {
  ...{ name: 'thumbnails', kind: 'webhook', url: 'https://hooks.example.com/s3', account: '' },
  ...{ maxLength: 0, arn: 'arn:aws:sns:au-mallee-1:<account>:thumbnails', hasSecret: true },
  ...{ createdAtMs: 1_785_000_000_000, buckets: ['photos'], pending: 2 },
  trouble: { message: 'the message was not taken: it answered 502', atMs: 1_785_000_100_000 },
}
const ONE = object({ name: NAME })
const PATH = '/v1/event-targets/{name}'

export function addEventTargetRoutes(app: FastifyInstance, parts: EventTargetParts): void {
  const { state, sealer, clock } = parts
  route(
    app,
    {
      id: 'listEventTargets',
      summary: 'Targets of events, what waits for them and what is wrong with them',
      method: 'GET',
      path: '/v1/event-targets',
      answer: object({ targets: list(TARGET) }),
      example: { targets: [EXAMPLE] },
    },
    async () => {
      const view = await state.fresh()
      const all = view.all('event-target').map((one) => shown(parts, view, one))
      return { targets: await Promise.all(all) }
    },
  )

  route(
    app,
    {
      id: 'getEventTarget',
      summary: 'A target of events',
      method: 'GET',
      path: PATH,
      params: ONE,
      answer: TARGET,
      example: EXAMPLE,
      refusals: ['NotFound'],
    },
    async ({ params: { name } }) => {
      const view = await state.fresh()
      return await shown(parts, view, found(view.get('event-target', name), name))
    },
  )

  route(
    app,
    {
      id: 'createEventTarget',
      summary: 'Have a webhook or a Redis stream that buckets may tell of changes',
      method: 'POST',
      path: '/v1/event-targets',
      body: object({
        ...FIELDS,
        secret: {
          ...secret("Signs a webhook's messages, or is Redis' password; '' for none"),
          maxLength: MAX_SECRET,
        },
      }),
      bodyExample: {
        ...{ name: 'thumbnails', kind: 'webhook', url: 'https://hooks.example.com/s3' },
        ...{ account: '', maxLength: 0, secret: 'correct horse' },
      },
      answer: TARGET,
      example: { ...EXAMPLE, buckets: [], pending: 0, trouble: null },
      refusals: ['NotFound', 'NameTaken', 'Conflict'],
    },
    async ({ body }) => {
      const record = newTarget(sealer, body, clock.nowMs())
      const { name, account } = record
      await state.update(async (tx) => {
        if (account !== '' && (await tx.get('account', account)) === null) {
          throw unknownAccount(account)
        }
        if ((await tx.get('event-target', name)) !== null) {
          throw new MalleeError('NameTaken', `there is a target ${name}`)
        }
        if (state.view().all('event-target').length >= MAX_TARGETS) {
          throw new MalleeError('Conflict', `there are ${MAX_TARGETS} targets, delete one first`)
        }
        await tx.put('event-target', [name], record)
      })
      return await shown(parts, await state.fresh(), record)
    },
  )

  route(
    app,
    {
      id: 'deleteEventTarget',
      summary: 'Delete a target that no bucket sends to; what waits for it is dropped',
      method: 'DELETE',
      path: PATH,
      params: ONE,
      answer: object({ name: NAME }),
      example: { name: EXAMPLE.name },
      refusals: ['NotFound', 'Conflict'],
    },
    async ({ params: { name } }) => {
      await state.update(async (tx) => {
        found(await tx.get('event-target', name), name)
        const [first, ...more] = sendersTo((await state.fresh()).all('bucket'), name)
        if (first !== undefined) {
          const others = more.length === 0 ? '' : ` and ${more.length} more`
          throw new MalleeError('Conflict', `bucket ${first}${others} sends to ${name}`)
        }
        await tx.delete('event-target', name)
      })
      return { name }
    },
  )
}

function found(record: EventTargetRecord | null, name: string): EventTargetRecord {
  if (record !== null) return record
  throw new MalleeError('NotFound', `there is no target ${name}`)
}

async function shown(
  { targetState }: EventTargetParts,
  view: View,
  record: EventTargetRecord,
): Promise<EventTargetShown> {
  const { name, kind, url, account, maxLength, createdAtMs, sealedSecret } = record
  const region = view.get('cloud', 'self')?.region ?? ''
  const arn = targetArn(record, { region, account: account === '' ? ANY_ACCOUNT : account })
  const { pending, trouble } = await targetState(name)
  return {
    ...{ name, kind, url, account, maxLength, arn, createdAtMs, pending, trouble },
    hasSecret: sealedSecret !== undefined,
    buckets: sendersTo(view.all('bucket'), name),
  }
}
