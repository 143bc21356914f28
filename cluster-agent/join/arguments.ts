// Arguments of `rack-join` as values.

import { MalleeError } from '../../common/errors.ts'
import type { Capacity, PublicInterface } from '../config.ts'
import { parseLvName } from '../host/lvm.ts'
import type { Role } from '../role.ts'

export const ROLES = ['cc', 'sc', 'nc'] as const

interface PublicFlags {
  readonly publicInterface?: string
  readonly publicGateway?: string
  readonly publicGateway6?: string
}

/** Throws BadArgument for a device without routers, and the other way round. */
export function publicOf(flags: PublicFlags): PublicInterface | null {
  const { publicInterface: device, publicGateway, publicGateway6 } = flags
  if (device !== undefined) {
    if (publicGateway === undefined && publicGateway6 === undefined) {
      const what = '--public-gateway, --public-gateway6 or both'
      throw new MalleeError('BadArgument', `--public-interface ${device} needs ${what}`)
    }
    const ipv4NextHop = publicGateway ?? null
    return { device, ipv4NextHop, ipv6NextHop: publicGateway6 ?? null }
  }
  if (publicGateway === undefined && publicGateway6 === undefined) return null
  throw new MalleeError('BadArgument', '--public-gateway needs --public-interface')
}

/** Throws BadArgument for what names no pool, and beside a folder. */
export function volumePoolOf(flags: {
  readonly volumeDir?: string
  readonly volumePool?: string
}): string | null {
  const { volumeDir, volumePool } = flags
  if (volumePool === undefined) return null
  if (volumeDir !== undefined) {
    const both = `volumes are in --volume-dir ${volumeDir} or in --volume-pool ${volumePool}, not both`
    throw new MalleeError('BadArgument', both)
  }
  if (parseLvName(volumePool).ok) return volumePool
  const what = 'is not the names of a volume group and a thin pool, like vg0/mallee'
  throw new MalleeError('BadArgument', `--volume-pool ${volumePool} ${what}`)
}

export function parseRole(role: string): Role {
  const found = ROLES.find((one) => one === role)
  if (found === undefined)
    throw new MalleeError('BadArgument', `role ${role} is none of cc, sc, nc`)
  return found
}

/** `vcpus,MiB,GiB`. Throws BadArgument. */
export function parseCapacity(given: string): Capacity {
  const match = /^(\d{1,6}),(\d{1,9}),(\d{1,9})$/.exec(given)
  if (match === null) {
    throw new MalleeError('BadArgument', `capacity ${given} is not vcpus,MiB,GiB, like 8,16384,200`)
  }
  const [, vcpus, memoryMib, diskGib] = match.map(Number)
  return { vcpus: vcpus ?? 0, memoryMib: memoryMib ?? 0, diskGib: diskGib ?? 0 }
}
