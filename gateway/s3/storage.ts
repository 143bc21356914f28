// The storage of objects of a gateway: the index in a store beside its own, the blobs on its disks,
// and the loops that keep both in order.

import { dirname, join } from 'node:path'
import type { BlobStore } from '../../common/blobs/blobs.ts'
import { openLocalBlobs } from '../../common/blobs/local.ts'
import type { Clock, RandomHex } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import type { Log } from '../../common/log.ts'
import { filesOf, type GatewayConfig } from '../files.ts'
import type { BucketRecord } from '../store/bucket-records.ts'
import type { EventTargetRecord } from '../store/event-records.ts'
import { openStore } from '../store/open.ts'
import type { State, View } from '../store/state.ts'
import type { Store } from '../store/store.ts'
import { openEngine } from './blobs/engine.ts'
import { parseEngineUrl } from './blobs/engine-client.ts'
import { type MoreStores, storesWith } from './blobs/stores.ts'
import { deliverEvents, type EventMetrics, type Events } from './events/delivery.ts'
import type { EventTarget } from './events/targets.ts'
import { createObjectIndex } from './index/object-index.ts'
import type { ObjectIndex } from './index/objects.ts'
import { bucketWith } from './keeping/held.ts'
import { type Keeper, keepObjects, type ObjectMetrics } from './keeping/keeper.ts'
import type { LifecycleParts } from './keeping/lifecycle.ts'
import { keepQuotas } from './quotas/keeper.ts'
import type { TakeRoom } from './quotas/tally.ts'
import { rackStore } from './racks/store.ts'

/** The name of the local disks in references to blobs. Never changes. */
const LOCAL = 'local'
/** Of the S3 engine. Never changes either. */
const ENGINE = 'engine'
/** Nobody watches this store. */
const KEEP_REVISIONS = 0

export interface StorageParts {
  readonly clock: Clock
  readonly randomHex: RandomHex
  readonly chance: () => number
  readonly log: Log
  readonly metrics: ObjectMetrics & EventMetrics
  readonly state: Pick<State, 'view' | 'fresh' | 'onChange'>
  /** With its secret. */
  readonly openTarget: (target: EventTargetRecord) => EventTarget
  /** Which buckets, by id, are to have their bytes in which store. */
  readonly wishes: () => ReadonlyMap<string, string>
  /** Stores in racks. */
  readonly racks: MoreStores
}

export interface ObjectStorage {
  /** Where the index is, and what else is about blobs: no gateway has a copy in its memory. */
  readonly rows: Store
  readonly index: ObjectIndex
  /** Where new bytes of a bucket go. Throws as storeOf. */
  readonly blobsFor: (bucket: Pick<BucketRecord, 'store'>) => BlobStore
  /** The store of that name. Throws StoreUnavailable when there is none. */
  readonly storeOf: (name: string) => BlobStore
  /** Of the stores that there are. */
  readonly names: () => readonly string[]
  /** The id of a bucket with bytes on a disk of a rack; null when there are none. */
  readonly bucketOn: (rack: string, disk: string) => Promise<string | null>
  readonly keeper: Keeper
  readonly events: Events
  readonly takeRoom: TakeRoom
  readonly close: () => Promise<void>
}

/**
 * Throws as openStore. Disks that are away or full are no reason not to start: EC2 needs none of
 * them.
 */
export async function openObjectStorage(
  config: Pick<
    GatewayConfig,
    'store' | 'stateDir' | 'objectDirs' | 'objectEngine' | 'lifecycleDayMs'
  >,
  parts: StorageParts,
): Promise<ObjectStorage> {
  const { clock, randomHex, log } = parts
  const keep = KEEP_REVISIONS
  const store = await openStore(indexUrlOf(config.store), { log, keep, commitsApart: true })
  try {
    const { objects, objectDisks: known } = filesOf(config.stateDir)
    const dirs = config.objectDirs.length === 0 ? [objects] : config.objectDirs
    const local = await openLocalBlobs({ name: LOCAL, dirs, known, clock, randomHex, log })
    const own = new Map<string, BlobStore>([[LOCAL, local]])
    const isDistributed = config.objectEngine !== ''
    const engine = isDistributed ? openEngineAt(config.objectEngine, parts) : null
    if (engine !== null) own.set(ENGINE, engine)
    const blobs = storesWith(own, parts.racks)
    const events = deliverEvents({ ...parts, store, open: parts.openTarget })
    const { outbox } = events
    const quotas = keepQuotas({ ...parts, store })
    const { take, counting } = quotas.tally
    const index = createObjectIndex({ store, clock, randomHex, outbox, counting })
    const ofObjects = { store, index, blobs, disks: () => local.disks() }
    const keeper = keepObjects({ ...parts, ...ofObjects, ...lifecycleParts(config, parts.state) })
    const storeOf = (name: string): BlobStore => {
      const found = blobs.get(name)
      if (found !== undefined) return found
      throw new MalleeError('StoreUnavailable', `no store of objects is called ${name}`)
    }
    return {
      rows: store,
      index,
      blobsFor: (bucket) => storeOf(bucket.store ?? (isDistributed ? ENGINE : LOCAL)),
      storeOf,
      names: () => [...blobs.keys()],
      bucketOn: (rack, disk) => bucketWith(store, rackStore(rack), disk),
      keeper,
      events,
      takeRoom: take,
      close: async () => {
        await events.stop()
        await quotas.stop()
        await keeper.stop()
        engine?.close()
        await store.close()
      },
    }
  } catch (error) {
    await store.close()
    throw error
  }
}

function lifecycleParts(
  { lifecycleDayMs }: Pick<GatewayConfig, 'lifecycleDayMs'>,
  state: Pick<State, 'view'>,
): Pick<LifecycleParts, 'ruled' | 'region' | 'lifecycleDayMs'> {
  const isRuled = ({ lifecycle }: BucketRecord): boolean =>
    lifecycle?.rules.some(({ isEnabled }) => isEnabled) === true
  const region = state.view().get('cloud', 'self')?.region ?? ''
  return { ruled: () => state.view().all('bucket').filter(isRuled), region, lifecycleDayMs }
}

/** Buckets by id that say where their bytes are to be. */
export function storeWishes(view: View): ReadonlyMap<string, string> {
  const buckets = view.all('bucket')
  return new Map(buckets.flatMap(({ id, store }) => (store === undefined ? [] : [[id, store]])))
}

function openEngineAt(url: string, { clock, randomHex }: StorageParts) {
  return openEngine({ name: ENGINE, address: parseEngineUrl(url), clock, randomHex })
}

/** `objects.db` beside the gateway's store, or another namespace of the same Redis. */
function indexUrlOf(url: string): string {
  if (url.startsWith('sqlite:')) {
    return `sqlite:${join(dirname(url.slice('sqlite:'.length)), 'objects.db')}`
  }
  const parsed = new URL(url)
  const namespace = parsed.searchParams.get('namespace') ?? 'mallee'
  parsed.searchParams.set('namespace', `${namespace}-objects`)
  return parsed.href
}
