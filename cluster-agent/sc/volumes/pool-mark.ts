// The mark of a thin pool: a tag that says whose it is. What is in the pool has the same one.

import { MalleeError } from '../../../common/errors.ts'
import { type LogicalVolume, type LvName, lvText } from '../../host/lvm.ts'

export interface PoolOwner {
  readonly cloud: string
  readonly rack: string
  readonly host: string
}

interface PoolMark extends PoolOwner {
  readonly tag: string
}

/** Of the letters that LVM takes in tags (lvm(8)); names are ours (common/identity.ts). */
const MARK = /^mallee=([a-z0-9-]+)\/([a-z0-9-]+)\/([a-z0-9-]+)\/[0-9a-f]+$/

export function newMark({ cloud, rack, host }: PoolOwner, random: string): string {
  return `mallee=${cloud}/${rack}/${host}/${random}`
}

/** Null without one. Throws Conflict for several. */
export function markOf({ tags }: LogicalVolume, name: LvName): PoolMark | null {
  const marks = tags.flatMap((tag) => {
    const [, cloud, rack, host] = MARK.exec(tag) ?? []
    return cloud === undefined || rack === undefined || host === undefined
      ? []
      : [{ tag, cloud, rack, host }]
  })
  const [mark, ...others] = marks
  if (others.length === 0) return mark ?? null
  const all = marks.map(({ tag }) => tag).join(', ')
  throw new MalleeError('Conflict', `${lvText(name)} has several marks: ${all}`)
}

/** What to say of a pool that is another's. */
export function ofOthers({ tag, cloud, rack, host }: PoolMark, name: LvName): string {
  const whose = `${lvText(name)} has the mark of host ${host} of rack ${rack} of cloud ${cloud}`
  return `${whose}: when nothing uses it any more, lvchange --deltag ${tag} ${lvText(name)}`
}

/** Why no volumes can be in it; null when they can. */
export function unfit(
  { zeroes, discards, extentBytes }: LogicalVolume,
  name: LvName,
  unitBytes: number,
): string | null {
  const pool = lvText(name)
  if (!zeroes) {
    return `${pool} does not zero new chunks, so volumes would show what others had: lvchange --zero y ${pool}`
  }
  if (discards === 'ignore') {
    return `${pool} ignores discards: lvchange --discards passdown ${pool}, while it is not active`
  }
  if (extentBytes > 0 && unitBytes % extentBytes === 0) return null
  return `the extents of ${name.vg} have ${extentBytes} bytes, which do not divide ${unitBytes}: vgchange --physicalextentsize 4m ${name.vg}`
}
