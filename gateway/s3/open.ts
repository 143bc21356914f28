// All of S3 in a gateway that runs: the storage of objects, the operations over it, and what tells
// of them.

import type { RandomHex } from '../../common/clock.ts'
import { filesOf, type GatewayConfig } from '../files.ts'
import type { Metrics } from '../metrics.ts'
import type { Sealer } from '../secrets.ts'
import type { State } from '../store/state.ts'
import { openTarget } from './events/targets.ts'
import { s3Service } from './index.ts'
import type { ObjectMetrics } from './keeping/keeper.ts'
import { keepAccessLogs } from './logging/delivery.ts'
import { sealingFor } from './objects/encryption.ts'
import type { ObjectParts } from './objects/parts.ts'
import { type LanesParts, RackLanes } from './racks/lanes.ts'
import { rackStores } from './racks/store.ts'
import { type ObjectStorage, openObjectStorage, storeWishes } from './storage.ts'
import type { S3Service } from './wire/running.ts'

/** Keys of their records. */
const BUCKETS = 'bucket/'

export interface OpenParts extends Omit<LanesParts, 'state'> {
  readonly state: State
  readonly sealer: Sealer
  readonly region: string
  readonly randomHex: RandomHex
  readonly chance: () => number
  readonly metrics: Metrics
}

export interface RunningS3 {
  readonly service: S3Service
  readonly storage: ObjectStorage
  /** Where racks bring the streams to their disks. */
  readonly lanes: RackLanes
  /** Where objects are, for what reads them without a call of S3. */
  readonly where: Pick<ObjectParts, 'index' | 'blobsFor' | 'storeOf' | 'sealing' | 'takeRoom'>
  /** When nobody calls the service any more. */
  readonly close: () => Promise<void>
}

/** Throws as openObjectStorage. */
export async function openS3(config: GatewayConfig, parts: OpenParts): Promise<RunningS3> {
  const { state, sealer, randomHex, metrics } = parts
  const lanes = new RackLanes(parts)
  const setUsage: ObjectMetrics['setUsage'] = (usage) =>
    metrics.setBucketUsage(state.view().all('bucket'), usage)
  const storage = await openObjectStorage(config, {
    ...{ ...parts, metrics: { ...metrics, setUsage } },
    racks: rackStores({ ...parts, lanes }),
    openTarget: (record) => openTarget(sealer, record),
    wishes: () => storeWishes(state.view()),
  })
  const unwatch = state.onChange((changes) => {
    const ofBuckets = changes.filter(({ key }) => key.startsWith(BUCKETS))
    if (ofBuckets.length > 0) storage.keeper.bucketsChanged()
    for (const { key, value } of ofBuckets) {
      if (value === null) metrics.forgetBucket(key.slice(BUCKETS.length))
    }
  })
  lanes.onArrival(() => storage.keeper.bucketsChanged())
  const { index, blobsFor, storeOf, takeRoom } = storage
  const sealing = sealingFor(config, sealer, randomHex)
  const where = { index, blobsFor, storeOf, takeRoom, sealing }
  const { lifecycleDayMs, accessLogSeconds } = config
  const accessLogs = keepAccessLogs({
    ...{ ...parts, ...where, dir: filesOf(config.stateDir).accessLogs },
    everyMs: accessLogSeconds * 1000,
  })
  const { tell: tellTarget } = storage.events
  const service = s3Service({ ...parts, ...where, tellTarget, lifecycleDayMs, config })
  return {
    service: {
      ...service,
      served: (call) => {
        const { bucket: name } = call
        const bucket = name === null ? null : state.view().get('bucket', name)
        if (bucket === null) return
        metrics.bucketCall(bucket.name, call)
        accessLogs.served(bucket, call)
      },
    },
    ...{ storage, lanes, where },
    close: async () => {
      await accessLogs.stop()
      unwatch()
      await storage.close()
      lanes.close()
    },
  }
}
