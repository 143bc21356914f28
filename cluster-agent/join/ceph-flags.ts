// Flags of `rack-join` for volumes in Ceph.

import { MalleeError } from '../../common/errors.ts'
import { CEPH_DEFAULTS, keyringOf, type VolumeCeph, wrongInCeph } from '../sc/ceph/config.ts'

export interface CephFlags {
  readonly volumeDir?: string
  readonly volumePool?: string
  readonly volumeCeph?: string
  readonly cephConf?: string
  readonly cephUser?: string
  readonly cephKeyring?: string
}

const text = (brief: string, placeholder: string) =>
  ({ kind: 'parsed', parse: String, brief, placeholder, optional: true }) as const

export const cephFlags = {
  volumeCeph: text("A pool of Ceph for an SC's volumes, in place of a folder", 'pool'),
  cephConf: text(`Ceph's own configuration; ${CEPH_DEFAULTS.conf} when not given`, 'path'),
  cephUser: text(`Who this host is there; ${CEPH_DEFAULTS.user} when not given`, 'user'),
  cephKeyring: text("That user's keyring; where Ceph looks for it when not given", 'path'),
} as const

/** Null without a pool. Throws BadArgument. */
export function cephOf(flags: CephFlags): VolumeCeph | null {
  const { volumeDir, volumePool, volumeCeph: pool, cephConf, cephUser, cephKeyring } = flags
  if (pool === undefined) {
    if (cephConf === undefined && cephUser === undefined && cephKeyring === undefined) return null
    const needs = '--ceph-conf, --ceph-user and --ceph-keyring need --volume-ceph'
    throw new MalleeError('BadArgument', needs)
  }
  if (volumeDir !== undefined || volumePool !== undefined) {
    const other = volumeDir === undefined ? `pool ${volumePool}` : `dir ${volumeDir}`
    const both = `volumes are in --volume-${other} or in --volume-ceph ${pool}, not both`
    throw new MalleeError('BadArgument', both)
  }
  const { conf = CEPH_DEFAULTS.conf, user = CEPH_DEFAULTS.user } = {
    conf: cephConf,
    user: cephUser,
  }
  const ceph = { conf, pool, user, keyring: cephKeyring ?? keyringOf(user) }
  const fits = wrongInCeph(ceph)
  if (fits === null) return ceph
  throw new MalleeError('BadArgument', `volumes in Ceph as ${JSON.stringify(ceph)} must be ${fits}`)
}
