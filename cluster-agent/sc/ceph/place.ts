// Where a host's volumes are when they are in a pool of Ceph. Another pool or cluster than the one
// that they were in is not taken for it.

import { readIfThere, writeDurably } from '../../../common/durable-file.ts'
import { MalleeError } from '../../../common/errors.ts'
import { makeRbdNamespace } from '../../host/rbd.ts'
import type { VolumeBackend } from '../volumes/backend.ts'
import { heldVolumes } from '../volumes/ledger.ts'
import type { Place } from '../volumes/place.ts'
import type { CephPool } from './pool.ts'

export interface CephPlaceOptions {
  readonly pool: CephPool
  readonly backend: VolumeBackend
  /** Remembers which pool it is, in the agent's state. */
  readonly known: string
  /** Folder of the ledgers: without a volume in them any pool will do. */
  readonly ledgers: string
}

export function cephPlace({ pool, backend, known, ledgers }: CephPlaceOptions): Place {
  const { exec, place } = pool
  let isReady = false

  return {
    backend: 'rbd',
    // Nothing is here but what volumes are shown as, which goes with what fills and reads them.
    leave: async () => undefined,
    open: async () => {
      await check()
      return backend
    },
    look: async () => {
      await check()
      const { fsid, addresses } = await pool.monitors.get()
      const { pool: name, namespace } = place
      const rbd = { fsid, monitors: [...addresses], pool: name, namespace }
      return { ...(await pool.space.get()), snapshots: true, rbd }
    },
  }

  /** Throws Unavailable when it is not where the volumes are. */
  async function check(): Promise<void> {
    const { fsid } = await pool.monitors.get()
    const here = `ceph ${fsid} ${place.pool} ${place.namespace}\n`
    const wanted = await readIfThere(known)
    if (here !== wanted) {
      if (wanted !== null && (await heldVolumes(ledgers)).length > 0) {
        const why = `the pool ${place.pool} of the cluster ${fsid} is not where the volumes are: they are in ${wanted.trim()}`
        throw new MalleeError('Unavailable', why)
      }
      await writeDurably(known, here)
    }
    if (!isReady) await makeRbdNamespace(exec, place)
    isReady = true
  }
}
