// What serves this host's volumes, of the two that can. What the other one serves, of the time
// before an operator changed their mind, ends before this one begins: both have the same portal.

import type { Clock } from '../../../common/clock.ts'
import type { Exec } from '../../../common/exec.ts'
import { hasKernel, LIO_TREE, loadLio, type VolumeTarget } from '../../../common/volume-target.ts'
import { configTree } from '../../host/config-tree.ts'
import { type Paths, tgtdFiles } from '../../paths.ts'
import { lioTargets } from './lio.ts'
import type { VolumeTargets } from './targets.ts'
import { tgtTargets } from './tgt.ts'

export interface ServedByParts {
  readonly exec: Exec
  readonly clock: Clock
  readonly paths: Paths
}

export function servedBy(kind: VolumeTarget, { exec, clock, paths }: ServedByParts): VolumeTargets {
  const tgt = tgtTargets({ exec, clock, files: tgtdFiles(paths) })
  const lio = lioTargets({
    ...{ exec, clock, tree: configTree(LIO_TREE), load: () => loadLio(exec) },
    blockDevices: configTree('/sys/dev/block'),
  })
  if (kind === 'lio') return alone(lio, tgt.stop)
  // In a container there are the machine's.
  return alone(tgt, async () => {
    if (await hasKernel(exec)) await lio.stop()
  })
}

/** Ends the other one once, before anything else; and in the end again. */
export function alone(targets: VolumeTargets, endOther: () => Promise<void>): VolumeTargets {
  let isAlone = false
  const first = async (): Promise<void> => {
    if (!isAlone) await endOther()
    isAlone = true
  }
  return {
    ...targets,
    resume: async () => {
      await first()
      await targets.resume()
    },
    stop: async () => {
      await endOther()
      await targets.stop()
    },
  }
}
