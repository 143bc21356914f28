// A host whose volumes are in Ceph: what keeps them, and what gives them out.

import { join } from 'node:path'
import type { Clock } from '../../../common/clock.ts'
import { messageOf } from '../../../common/errors.ts'
import type { Exec } from '../../../common/exec.ts'
import type { Log } from '../../../common/log.ts'
import { no, ok } from '../../../topology/result.ts'
import { type Paths, volumeLedgersDir, volumePlaceFile } from '../../paths.ts'
import type { VolumesOptions } from '../volumes/role.ts'
import { cephBackend } from './backend.ts'
import type { VolumeCeph } from './config.ts'
import { cephPlace } from './place.ts'
import { cephPool } from './pool.ts'
import { cephTargets } from './targets.ts'

interface CephHost {
  readonly exec: Exec
  readonly clock: Clock
  readonly log: Log
  readonly paths: Paths
  readonly cloud: string
}

export function volumesInCeph(
  { exec, clock, log, paths, cloud }: CephHost,
  config: VolumeCeph,
): Pick<VolumesOptions, 'place' | 'targets' | 'portalOf'> {
  // A pool may have the volumes of several clouds.
  const pool = cephPool(exec, clock, {
    place: { ...config, namespace: cloud },
    runDir: join(paths.runDir, 'ceph'),
  })
  const backend = cephBackend(pool)
  const [known, ledgers] = [volumePlaceFile(paths), volumeLedgersDir(paths)]
  const served = join(paths.stateDir, 'ceph-clients')
  return {
    place: cephPlace({ pool, backend, known, ledgers }),
    targets: cephTargets({ pool, log, served, path: backend.path }),
    // Clients find the others by one.
    portalOf: async () => {
      try {
        const [first] = (await pool.monitors.get()).addresses
        return first === undefined ? no('Ceph has no monitors') : ok(first)
      } catch (error) {
        return no(`Ceph does not answer: ${messageOf(error)}`)
      }
    },
  }
}
