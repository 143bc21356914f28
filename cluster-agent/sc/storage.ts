// The role sc of a host: bytes of objects on its disks, served to the gateways over streams that it
// keeps open. Whatever the cloud wants is asked there; the disks outlive everything.

import { join } from 'node:path'
import { create, equals } from '@bufbuild/protobuf'
import type * as grpc from '@grpc/grpc-js'
import { type DiskShown, type DiskState, openLocalBlobs } from '../../common/blobs/local.ts'
import type { Clock, RandomHex } from '../../common/clock.ts'
import type { Log } from '../../common/log.ts'
import {
  type StorageDisk,
  StorageDiskSchema,
  DiskState as Told,
} from '../../proto/gen/mallee/v1/observed_pb.js'
import { objectsDir, type Paths } from '../paths.ts'
import { keepOffers } from './offers.ts'

/** Of this store, in references that nobody outside this host sees. */
const NAME = 'rack'
const LOOK_MS = 10_000
/** Room is told in so many steps of a disk's size. */
const STEPS = 64n
const STATES: Readonly<Record<DiskState, Told>> = {
  ok: Told.OK,
  full: Told.FULL,
  failing: Told.FAILING,
  away: Told.AWAY,
}

export interface StorageParts {
  readonly host: string
  readonly paths: Paths
  /** One per disk; empty for a folder in the state folder. */
  readonly objectDirs: readonly string[]
  /** Of the session with the parent; null when there is none. */
  readonly connection: () => grpc.Client | null
  readonly clock: Clock
  readonly randomHex: RandomHex
  readonly log: Log
}

export interface StorageRole {
  /** As they were when last looked at. */
  readonly disks: () => readonly StorageDisk[]
  /** They are not as they were. Called later, and again and again. */
  readonly onChange: (listener: () => void) => void
  /** Ends the streams; what is under way breaks off. */
  readonly close: () => Promise<void>
}

/** Disks that are away are no reason not to start. Throws BadConfig. */
export async function openStorageRole(parts: StorageParts): Promise<StorageRole> {
  const { host, paths, objectDirs, connection, clock, randomHex, log } = parts
  const blobs = await openLocalBlobs({
    ...{ name: NAME, clock, randomHex, log },
    dirs: objectDirs.length === 0 ? [objectsDir(paths)] : objectDirs,
    known: join(paths.stateDir, 'object-disks.json'),
  })
  let disks = (await blobs.look()).map(told)
  let listener: () => void = () => undefined
  const stopped = new AbortController()
  const watching = watch()
  const offers = keepOffers({ host, blobs, connection, clock, log })
  return {
    disks: () => disks,
    onChange: (wanted) => {
      listener = wanted
    },
    close: async () => {
      stopped.abort()
      await watching
      await offers.stop()
    },
  }

  async function watch(): Promise<void> {
    for (;;) {
      await clock.sleep(LOOK_MS, stopped.signal)
      if (stopped.signal.aborted) return
      const now = (await blobs.look()).map(told)
      const isSame =
        now.length === disks.length &&
        now.every((one, i) => equals(StorageDiskSchema, one, disks[i] ?? one))
      if (isSame) continue
      disks = now
      listener()
    }
  }
}

function told({ id, dir, state, sizeBytes, roomBytes }: DiskShown): StorageDisk {
  const size = BigInt(sizeBytes)
  const step = size / STEPS || 1n
  return create(StorageDiskSchema, {
    ...{ id, directory: dir, state: STATES[state], sizeBytes: size },
    roomBytes: (BigInt(Math.floor(roomBytes)) / step) * step,
  })
}
