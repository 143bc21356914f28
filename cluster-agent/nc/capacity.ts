// What this machine has for instances.

import { existsSync, statfsSync } from 'node:fs'
import { availableParallelism, totalmem } from 'node:os'
import type { Capacity } from '../config.ts'
import type { Paths } from '../paths.ts'

const MIB = 1 << 20
const GIB = 1 << 30
/** Kept for the host itself: the agent, the switch, QEMU's own memory. */
const RESERVED_MEMORY_MIB = 1_024
const RESERVED_DISK_GIB = 2

/** All cores, the memory beyond the host's own, and the disk below the state folder. */
export function realCapacity(paths: Paths): Capacity {
  const { bsize, blocks } = statfsSync(existsSync(paths.stateDir) ? paths.stateDir : '/')
  return {
    vcpus: availableParallelism(),
    memoryMib: atLeastZero(totalmem() / MIB - RESERVED_MEMORY_MIB),
    diskGib: atLeastZero((bsize * blocks) / GIB - RESERVED_DISK_GIB),
  }
}

function atLeastZero(n: number): number {
  return Math.max(0, Math.floor(n))
}
