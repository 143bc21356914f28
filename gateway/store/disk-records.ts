// What the record of a host has of its disks for objects and for volumes.

export interface DiskReport {
  /** Of the ids of its blobs, the first digits; '' for one that was never seen. */
  readonly id: string
  readonly dir: string
  readonly state: 'ok' | 'full' | 'failing' | 'away'
  /** Of the file system, and what blobs may still take. */
  readonly sizeBytes: number
  readonly roomBytes: number
}

/** Where volumes are served, and on what. */
export interface VolumeStoreReport {
  /** address:port, IPv6 in brackets. */
  readonly portal: string
  readonly backend: string
  readonly sizeBytes: number
  readonly roomBytes: number
  /** Can it keep a moment of a volume that is being written? */
  readonly snapshots: boolean
  /** Can an encrypted volume there begin as a snapshot that is not encrypted? */
  readonly encrypts?: true
  /** Where hosts of instances open volumes by themselves. */
  readonly rbd?: RbdPoolReport
}

/** A namespace of a pool of Ceph. */
export interface RbdPoolReport {
  readonly fsid: string
  /** address:port, IPv6 in brackets. */
  readonly monitors: readonly string[]
  readonly pool: string
  readonly namespace: string
}

/** Hosts whose stores are one and the same have the same; null of a host's own disk. */
export function sharedStore({ rbd }: VolumeStoreReport): string | null {
  return rbd === undefined ? null : `${rbd.fsid}/${rbd.pool}/${rbd.namespace}`
}
