// Users of Ceph for attachments: one each, who may use one image and nothing else. Pure.

import type { CephUser } from '../../host/ceph.ts'
import type { RbdImage, RbdPlace } from '../../host/rbd.ts'
import { parseVolumeId, type VolumeId } from '../volumes/backend.ts'

/** Of all such users, whichever host they are for. */
export const ENTITIES = 'client.mallee.'

type Where = Pick<RbdPlace, 'pool' | 'namespace'>

/** Of an attachment's CHAP user. */
export function entityOf(user: string): string {
  return `${ENTITIES}${user}`
}

/**
 * All that opening, reading and writing an image takes. By the names of its objects: a profile of
 * Ceph's ends at the namespace, which has the volumes of others. `profile rbd` at the monitors lets
 * it break the lock of one that died, and take the number of a snapshot.
 */
export function fullCaps(
  where: Where,
  { name, id }: Pick<RbdImage, 'name' | 'id'>,
): CephUser['caps'] {
  const may = (what: string, prefix: string) => `allow ${what} ${objects(where)} ${prefix}`
  const osd = [
    may('rx', 'rbd_directory'),
    // Settings of the pool, outside of the namespace.
    `allow rx pool=${where.pool} object_prefix rbd_info`,
    may('rx', `rbd_id.${name}`),
    may('rwx', `rbd_header.${id}`),
    may('rwx', `rbd_object_map.${id}`),
    may('rwx', `rbd_data.${id}.`),
  ]
  return { mon: 'profile rbd', osd: osd.join(', ') }
}

/** Of one who is being thrown out: nothing, and still for which volume it was. */
export function closedCaps(where: Where, volume: VolumeId): CephUser['caps'] {
  return { mon: 'allow r', osd: `allow r ${objects(where)} rbd_id.${volume}` }
}

/** Null for one of another pool or namespace, or of something else. */
export function volumeOf(where: Where, { caps }: CephUser): VolumeId | null {
  const { osd = '' } = caps
  const [, text = ''] = /rbd_id\.(vol-[0-9a-f]{17})\b/.exec(osd) ?? []
  const id = parseVolumeId(text)
  return id.ok && osd.includes(`${objects(where)} rbd_id.`) ? id.value : null
}

export function isOpen({ caps }: CephUser): boolean {
  return caps['osd']?.includes('rbd_data.') === true
}

function objects({ pool, namespace }: Where): string {
  return `pool=${pool} namespace=${namespace} object_prefix`
}
