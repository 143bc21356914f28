// Which pool of which Ceph a host keeps volumes in, and as whom.

import { isAbsolute } from 'node:path'

export interface VolumeCeph {
  /** ceph.conf of the cluster, for this host alone: hosts with instances need none. */
  readonly conf: string
  /** An RBD pool. */
  readonly pool: string
  /** Without `client.`. */
  readonly user: string
  readonly keyring: string
}

export const CEPH_DEFAULTS = { conf: '/etc/ceph/ceph.conf', user: 'mallee' } as const

/** Ceph's own place of a user's keyring. */
export function keyringOf(user: string): string {
  return `/etc/ceph/ceph.client.${user}.keyring`
}

/** What is wrong with it and would be right; null when nothing is. */
export function wrongInCeph(given: unknown): string | null {
  const { conf, pool, user, keyring, ...others } = (given ?? {}) as Record<string, unknown>
  const [other] = Object.keys(others)
  if (other !== undefined) return `conf, pool, user and keyring; it has ${other}`
  if (!isPath(conf)) return 'with conf: the absolute path of the ceph.conf of the cluster'
  if (!isWord(pool)) return 'with pool: the name of an RBD pool'
  // Users of attachments begin so.
  if (!isWord(user) || user.startsWith('mallee.') || user.startsWith('client.')) {
    return 'with user: the name of a user of Ceph without `client.`, which does not begin with `mallee.`'
  }
  return isPath(keyring) ? null : 'with keyring: the absolute path of the keyring of that user'
}

/** Commas would be a part of QEMU's own options. */
function isPath(value: unknown): boolean {
  return typeof value === 'string' && isAbsolute(value) && !value.includes(',')
}

function isWord(value: unknown): value is string {
  return typeof value === 'string' && /^[\w.-]{1,100}$/.test(value)
}
