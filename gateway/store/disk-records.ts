// What the record of a host has of its disks for objects.

export interface DiskReport {
  /** Of the ids of its blobs, the first digits; '' for one that was never seen. */
  readonly id: string
  readonly dir: string
  readonly state: 'ok' | 'full' | 'failing' | 'away'
  /** Of the file system, and what blobs may still take. */
  readonly sizeBytes: number
  readonly roomBytes: number
}
