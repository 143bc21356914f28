// Buckets and where their objects are, for operators: what they hold, how the disks are, and what
// was found damaged.

import type { FastifyInstance } from 'fastify'
import { MalleeError } from '../../common/errors.ts'
import type { ObjectReport } from '../s3/keeping/keeper.ts'
import { toldOf } from '../s3/keeping/lifecycle.ts'
import { rackOfStore } from '../s3/racks/store.ts'
import type { BucketRecord } from '../store/bucket-records.ts'
import type { State, View } from '../store/state.ts'
import { route } from './route.ts'
import {
  dictionary,
  flag,
  integer,
  list,
  named,
  nullable,
  object,
  oneOf,
  type Typed,
  text,
  time,
} from './schema.ts'

interface ObjectParts {
  readonly state: State
  readonly objectReport: () => Promise<ObjectReport>
  /** Names of stores. */
  readonly objectStores: () => readonly string[]
}

const MAX_NAME = 63
/** Numbers up to here are exact in everything that reads them. */
const MAX_QUOTA = Number.MAX_SAFE_INTEGER
const MAX_STORE = 80
const COUNT = integer({ minimum: 0 })

/** What counts; null: as much as the account may have. */
const QUOTA = object({
  bytes: nullable(
    integer({ minimum: 0, maximum: MAX_QUOTA }),
    'Of all versions, and of uploads in parts',
  ),
  objects: nullable(
    integer({ minimum: 0, maximum: MAX_QUOTA }),
    'Versions that are no delete markers',
  ),
})
const BUCKET = named(
  'Bucket',
  object({
    name: text({}),
    account: text({ description: 'Whose it is' }),
    versioning: oneOf('off', 'enabled', 'suspended'),
    createdAtMs: time('When it was made'),
    store: nullable(text({}), 'Where its bytes are or go; null: the default of the cloud'),
    quota: nullable(QUOTA, 'Null: only that of its account'),
    usage: nullable(
      object({
        objects: integer({ minimum: 0, description: 'Current versions, without delete markers' }),
        olderVersions: COUNT,
        bytes: integer({ minimum: 0, description: 'Of all versions' }),
        inlineObjects: integer({ minimum: 0, description: 'Whose bytes are in the index' }),
        inlineBytes: COUNT,
      }),
      'As of the last count, which is every six hours; null before the first',
    ),
  }),
)
export type BucketShown = Typed<typeof BUCKET>
const EXAMPLE_BUCKET: BucketShown = {
  ...{ name: 'photos', account: '111111111111', versioning: 'enabled' },
  ...{ createdAtMs: 1_785_000_000_000, store: null, quota: { bytes: 10_000, objects: null } },
  usage: { objects: 3, olderVersions: 1, bytes: 9_000, inlineObjects: 1, inlineBytes: 40 },
}

const DAMAGE = object({
  bucket: text({ description: 'Its name, or its id when it is deleted' }),
  key: text({}),
  store: text({ description: 'Store of blobs' }),
  blob: text({ description: 'Name of its file' }),
  what: text({ description: 'What is wrong' }),
  foundAtMs: time('When it was found'),
})
const ROUND = object({
  startedAtMs: time('When it began'),
  endedAtMs: nullable(time('When it ended'), 'Null: under way'),
  blobs: integer({ minimum: 0, description: 'That were looked at' }),
  skipped: integer({ minimum: 0, description: 'Of them, those whose disk was away' }),
})

const LIFECYCLE = object({
  bucket: text({ description: 'Its name' }),
  startedAtMs: time('When it began'),
  endedAtMs: nullable(time('When it ended'), 'Null: under way'),
  looked: integer({ minimum: 0, description: 'Versions and uploads that were looked at' }),
  objects: integer({ minimum: 0, description: 'Current versions that expired' }),
  versions: integer({ minimum: 0, description: 'Older versions that went' }),
  markers: integer({ minimum: 0, description: 'Delete markers without versions that went' }),
  uploads: integer({ minimum: 0, description: 'Uploads that were given up' }),
  locked: integer({ minimum: 0, description: 'What was due and is locked' }),
})

const RACK_DISK = object({
  rack: text({}),
  host: text({}),
  connected: flag('The host is'),
  dir: text({}),
  state: oneOf('ok', 'full', 'failing', 'away'),
  sizeBytes: integer({ minimum: 0, description: 'Of the file system' }),
  roomBytes: integer({ minimum: 0, description: 'What objects may still take; rounded' }),
})

const REPORT = named(
  'ObjectStorage',
  object({
    disks: dictionary(oneOf('ok', 'full', 'failing', 'away'), 'By directory'),
    rackDisks: list(RACK_DISK, { description: 'Of racks, as their hosts told last' }),
    garbage: integer({ minimum: 0, description: 'Entries that wait to be worked off' }),
    scrubs: dictionary(nullable(ROUND), 'The last round of the scrubber by store of blobs'),
    lifecycles: list(LIFECYCLE, {
      description: 'The last round of rules by bucket, of 500 at most',
    }),
    damage: list(DAMAGE, { description: 'Not deleted nor read well since' }),
  }),
)
export type ObjectStorageShown = Typed<typeof REPORT>

export function addObjectRoutes(app: FastifyInstance, parts: ObjectParts): void {
  const { state, objectReport, objectStores } = parts
  route(
    app,
    {
      id: 'listBuckets',
      summary: 'Buckets of all accounts and what they hold',
      method: 'GET',
      path: '/v1/buckets',
      answer: object({ buckets: list(BUCKET) }),
      example: { buckets: [EXAMPLE_BUCKET] },
    },
    async () => {
      const { usage } = await objectReport()
      const buckets = (await state.fresh()).all('bucket')
      return { buckets: buckets.map((one) => shown(one, usage)) }
    },
  )

  route(
    app,
    {
      id: 'moveBucket',
      summary: 'Where the bytes of a bucket are to be; those elsewhere move, while it is in use',
      method: 'PUT',
      path: '/v1/buckets/{name}',
      params: object({ name: text({ minLength: 1, maxLength: MAX_NAME }) }),
      body: object({
        store: text({ maxLength: MAX_STORE, description: 'local, engine or rack:<name>' }),
      }),
      bodyExample: { store: 'engine' },
      answer: BUCKET,
      example: EXAMPLE_BUCKET,
      refusals: ['BadArgument', 'NotFound'],
    },
    async ({ params: { name }, body: { store } }) => {
      const stores = objectStores()
      if (!stores.includes(store)) {
        const there = stores.join(', ')
        throw new MalleeError('BadArgument', `${store} is no store of this cloud: ${there}`)
      }
      const bucket = await changeBucket(state, name, (found) => {
        return { ...found, store, rack: rackOfStore(store) ?? '' }
      })
      return shown(bucket, (await objectReport()).usage)
    },
  )

  route(
    app,
    {
      id: 'setBucketQuota',
      summary: 'How much a bucket may hold; what it holds already stays',
      method: 'PUT',
      path: '/v1/buckets/{name}/quota',
      params: object({ name: text({ minLength: 1, maxLength: MAX_NAME }) }),
      body: QUOTA,
      bodyExample: { bytes: 10_000, objects: null },
      answer: BUCKET,
      example: EXAMPLE_BUCKET,
      refusals: ['NotFound'],
    },
    async ({ params: { name }, body: { bytes, objects } }) => {
      const wanted = { ...(bytes !== null && { bytes }), ...(objects !== null && { objects }) }
      const bucket = await changeBucket(state, name, ({ quota: _, ...found }) => ({
        ...found,
        ...(Object.keys(wanted).length > 0 && { quota: wanted }),
      }))
      return shown(bucket, (await objectReport()).usage)
    },
  )

  route(
    app,
    {
      id: 'getObjectStorage',
      summary: 'Disks of objects, the scrubber and what it found',
      method: 'GET',
      path: '/v1/object-storage',
      answer: REPORT,
      example: {
        ...{ disks: { '/srv/disk1': 'ok' }, garbage: 2, scrubs: { local: null } },
        rackDisks: [
          {
            ...{ rack: 'a', host: 'a-sc', connected: true, dir: '/srv/disk1', state: 'ok' },
            ...{ sizeBytes: 4_000_000_000_000, roomBytes: 3_000_000_000_000 },
          },
        ],
        lifecycles: [
          {
            ...{ bucket: 'photos', startedAtMs: 1_785_000_000_000, endedAtMs: 1_785_000_001_000 },
            ...{ looked: 30, objects: 4, versions: 2, markers: 0, uploads: 1, locked: 0 },
          },
        ],
        damage: [
          {
            ...{ bucket: 'photos', key: 'a/b.jpg', store: 'local', foundAtMs: 1_785_000_000_000 },
            blob: '0123456789abcdef0123456789abcdef',
            what: 'blob 0123456789abcdef0123456789abcdef is damaged in block 1 (from byte 65536)',
          },
        ],
      },
    },
    async () => {
      const { disks, garbage, scrubs, damage, lifecycles } = await objectReport()
      const view = await state.fresh()
      const names = new Map(view.all('bucket').map(({ id, name }) => [id, name]))
      return {
        ...{ disks, garbage, rackDisks: rackDisksIn(view) },
        scrubs: Object.fromEntries(
          Object.entries(scrubs).map(([store, round]) => [store, round && roundOf(round)]),
        ),
        lifecycles: [...lifecycles].map(([id, round]) => ({
          bucket: names.get(id) ?? id,
          ...toldOf(round),
        })),
        damage: damage.map((one) => ({ ...one, bucket: names.get(one.bucket) ?? one.bucket })),
      }
    },
  )
}

/** Throws NotFound. */
async function changeBucket(
  state: State,
  name: string,
  change: (bucket: BucketRecord) => BucketRecord,
): Promise<BucketRecord> {
  return await state.update(async (tx) => {
    const found = await tx.get('bucket', name)
    if (found === null) throw new MalleeError('NotFound', `there is no bucket ${name}`)
    const changed = change(found)
    await tx.put('bucket', [name], changed)
    return changed
  })
}

function shown(
  { id, name, account, versioning, createdAtMs, store, quota }: BucketRecord,
  usage: ObjectReport['usage'],
): BucketShown {
  const none = { objects: 0, olderVersions: 0, bytes: 0, inlineObjects: 0, inlineBytes: 0 }
  const held = usage === null ? null : (usage.get(id) ?? none)
  return {
    ...{ name, account, versioning, createdAtMs, store: store ?? null, usage: held },
    quota: quota === undefined ? null : { bytes: null, objects: null, ...quota },
  }
}

function rackDisksIn(view: View): Typed<typeof RACK_DISK>[] {
  return view.all('host').flatMap(({ rack, host, status }) =>
    (status?.disks ?? []).map(({ dir, state, sizeBytes, roomBytes }) => ({
      ...{ rack, host, connected: status?.connected === true },
      ...{ dir, state, sizeBytes, roomBytes },
    })),
  )
}

function roundOf({ startedAtMs, endedAtMs, blobs, skipped }: Typed<typeof ROUND>) {
  return { startedAtMs, endedAtMs, blobs, skipped }
}
