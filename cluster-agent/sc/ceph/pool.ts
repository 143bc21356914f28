// The pool that has this host's volumes, and what is known of it: its images, its room, and where
// its monitors are. Other hosts may have volumes in it, too.

import type { Clock } from '../../../common/clock.ts'
import { MalleeError } from '../../../common/errors.ts'
import type { Exec } from '../../../common/exec.ts'
import { type CephMonitors, cephMonitors, cephPoolSpace } from '../../host/ceph.ts'
import { listRbdImages, type RbdImage, type RbdPlace, type RbdSnapshot } from '../../host/rbd.ts'
import type { StoreSpace } from '../volumes/backend.ts'
import { Recent } from './recent.ts'

export interface Images {
  /** By their names. */
  readonly images: ReadonlyMap<string, RbdImage>
  readonly snapshots: ReadonlyMap<string, RbdSnapshot>
}

export interface CephPool {
  readonly exec: Exec
  readonly clock: Clock
  readonly place: RbdPlace
  /** Gone after a reboot (a tmpfs). */
  readonly runDir: string
  readonly monitors: Recent<CephMonitors>
  readonly images: Recent<Images>
  readonly space: Recent<StoreSpace>
}

/** What this host changes is asked anew at once. */
const IMAGES_MS = 30_000
const SPACE_MS = 30_000
const MONITORS_MS = 60_000

export function cephPool(
  exec: Exec,
  clock: Clock,
  { place, runDir }: Pick<CephPool, 'place' | 'runDir'>,
): CephPool {
  return {
    ...{ exec, clock, place, runDir },
    monitors: new Recent(clock, MONITORS_MS, () => cephMonitors(exec, place)),
    images: new Recent(clock, IMAGES_MS, async () => {
      const { images, snapshots } = await listRbdImages(exec, place)
      return {
        images: new Map(images.map((one) => [one.name, one])),
        snapshots: new Map(snapshots.map((one) => [one.name, one])),
      }
    }),
    space: new Recent(clock, SPACE_MS, async () => {
      const { usedBytes, freeBytes } = await cephPoolSpace(exec, place, place.pool)
      return { sizeBytes: usedBytes + freeBytes, roomBytes: freeBytes }
    }),
  }
}

/** Throws NotFound. */
export async function imageNamed({ images }: CephPool, name: string): Promise<RbdImage> {
  const image = (await images.get()).images.get(name)
  if (image === undefined) throw new MalleeError('NotFound', `there are no bytes of ${name}`)
  return image
}
