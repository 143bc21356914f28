// All of S3 in a gateway that runs: the storage of objects, the operations over it, and what tells
// of them.

import type { Clock, RandomHex } from '../../common/clock.ts'
import type { Log } from '../../common/log.ts'
import { filesOf, type GatewayConfig } from '../files.ts'
import type { Metrics } from '../metrics.ts'
import type { Sealer } from '../secrets.ts'
import type { State } from '../store/state.ts'
import { openTarget } from './events/targets.ts'
import { s3Service } from './index.ts'
import { keepAccessLogs } from './logging/delivery.ts'
import { sealingFor } from './objects/encryption.ts'
import type { ObjectParts } from './objects/parts.ts'
import { type ObjectStorage, openObjectStorage, storeWishes } from './storage.ts'
import type { S3Service } from './wire/running.ts'

export interface OpenParts {
  readonly state: State
  readonly sealer: Sealer
  readonly region: string
  readonly clock: Clock
  readonly randomHex: RandomHex
  readonly chance: () => number
  readonly log: Log
  readonly metrics: Metrics
}

export interface RunningS3 {
  readonly service: S3Service
  readonly storage: ObjectStorage
  /** Where objects are, for what reads them without a call of S3. */
  readonly where: Pick<ObjectParts, 'index' | 'blobsFor' | 'storeOf' | 'sealing'>
  /** When nobody calls the service any more. */
  readonly close: () => Promise<void>
}

/** Throws as openObjectStorage. */
export async function openS3(config: GatewayConfig, parts: OpenParts): Promise<RunningS3> {
  const { state, sealer, randomHex } = parts
  const storage = await openObjectStorage(config, {
    ...parts,
    openTarget: (record) => openTarget(sealer, record),
    wishes: () => storeWishes(state.view()),
  })
  const unwatch = state.onChange((changes) => {
    if (changes.some(({ key }) => key.startsWith('bucket/'))) storage.keeper.bucketsChanged()
  })
  const { index, blobsFor, storeOf } = storage
  const where = { index, blobsFor, storeOf, sealing: sealingFor(config, sealer, randomHex) }
  const { lifecycleDayMs, accessLogSeconds } = config
  const { served, stop } = keepAccessLogs({
    ...{ ...parts, ...where, dir: filesOf(config.stateDir).accessLogs },
    everyMs: accessLogSeconds * 1000,
  })
  const { tell: tellTarget } = storage.events
  const service = s3Service({ ...parts, ...where, tellTarget, lifecycleDayMs, config })
  return {
    ...{ service: { ...service, served }, storage, where },
    close: async () => {
      await stop()
      unwatch()
      await storage.close()
    },
  }
}
