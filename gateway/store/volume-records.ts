// The records of EBS: volumes, their attachments, and snapshots. Keys and the table of all kinds:
// records.ts.

export type VolumeType = 'gp2' | 'gp3' | 'io1' | 'io2' | 'st1' | 'sc1' | 'standard'

export interface VolumeRecord {
  readonly id: string
  readonly account: string
  readonly rack: string
  /** Whose SC has its bytes. */
  readonly host: string
  readonly sizeGib: number
  readonly type: VolumeType
  /** Per second; null for a type that has no such number. */
  readonly iops: number | null
  readonly throughputMibps: number | null
  readonly encrypted: boolean
  /** The secret of its LUKS header, sealed; absent when it is not encrypted. */
  readonly sealedKey?: string
  /** What it was made from; empty without. */
  readonly snapshot: string
  /** The instances that have it; kept beside `attachments` so that they are found by them. */
  readonly instances: readonly string[]
  readonly multiAttach: boolean
  /** Available and in use are both `ready`: the attachments say which. */
  readonly state: 'creating' | 'ready' | 'deleting' | 'error'
  readonly stateReason?: string
  /** Of the newest attachment that it ever had; 0 before the first. */
  readonly generation: number
  readonly attachments: readonly VolumeAttachmentRecord[]
  /** The newest one. */
  readonly modification?: VolumeModificationRecord
  readonly autoEnableIo?: boolean
  readonly clientToken: string
  readonly createdAtMs: number
  /** Bytes of its snapshot that are still to come, as its SC said last. */
  readonly missingBytes?: number
  /** As its SC said last: its size there, and what of it is written. */
  readonly storedBytes?: number
  readonly usedBytes?: number
}

/** One right to write. Another host, or another moment, is another one. */
export interface VolumeAttachmentRecord {
  /** `att-` and 17 hex digits. */
  readonly id: string
  /** Of the volume's attachments, ascending. */
  readonly generation: number
  readonly instance: string
  /** Whose NC has it; with a stopped instance, had it last. */
  readonly host: string
  /** As the user named it. */
  readonly device: string
  readonly deleteOnTermination: boolean
  /**
   * `attaching`: its SC has not said yet that it is granted, or its NC not that the guest has it.
   * `detaching`: the guest still has it. `released`: it has it no more, or that is not waited for;
   * the SC has not said yet that nobody can write by it (EC2 calls both detaching).
   */
  readonly state: 'attaching' | 'attached' | 'detaching' | 'released'
  /** The SC said so. */
  readonly granted: boolean
  /** Its target has a name of its own; absent of those that older versions, or SCs, made. */
  readonly hasTarget?: true
  /** Detached without asking the guest. */
  readonly isForced?: boolean
  /** What its NC says is wrong. */
  readonly trouble?: string
  /** What the guest sees, as its NC said last. */
  readonly sizeBytes?: number
  readonly attachedAtMs: number
  readonly chapUser: string
  /** Sealed like an access key's secret. */
  readonly sealedChapSecret: string
}

export interface VolumeModificationRecord {
  readonly state: 'modifying' | 'optimizing' | 'completed' | 'failed'
  readonly reason?: string
  readonly original: VolumeShape
  readonly target: VolumeShape
  readonly startedAtMs: number
  readonly endedAtMs: number | null
}

export interface VolumeShape {
  readonly sizeGib: number
  readonly type: VolumeType
  readonly iops: number | null
  readonly throughputMibps: number | null
  readonly multiAttach: boolean
}

export interface SnapshotRecord {
  readonly id: string
  readonly account: string
  /** Empty for one that was put together by EBS direct APIs, or is a copy. */
  readonly volume: string
  readonly volumeSizeGib: number
  readonly description: string
  readonly encrypted: boolean
  readonly sealedKey?: string
  readonly state: 'pending' | 'completed' | 'error'
  readonly stateReason?: string
  readonly progressPercent: number
  /** Where its volume was when it was asked for; empty for one that needs no SC. */
  readonly rack: string
  readonly host: string
  /**
   * The newest completed snapshot of the volume at that time, what it is a copy of, or what direct
   * APIs write over; empty without one. It keeps its bytes as long as this one is pending.
   */
  readonly base: string
  /** Of CreateSnapshots: taken at one moment with the others; empty alone. */
  readonly group: string
  readonly groupSize: number
  /** Lower-case hex SHA-256; empty before it is completed. */
  readonly manifest: string
  /** What brings its bytes, when not its SC: a copy of `base`, or EBS direct APIs over `base`. */
  readonly origin?: SnapshotOrigin
  /** Of its blocks that are not zero. */
  readonly dataBytes: number
  readonly readBytes: number
  readonly sentBytes: number
  /** Who may make volumes of it. */
  readonly isPublic: boolean
  /** Its account blocks all public sharing: it is public again when that ends. */
  readonly publicIsBlocked?: true
  readonly sharedWith: readonly string[]
  readonly lock?: SnapshotLockRecord
  readonly clientToken: string
  readonly startedAtMs: number
  /** When its SC had the moment; absent before it said so. */
  readonly takenAtMs?: number
  readonly completedAtMs: number | null
  /** Nobody sees it any more; its blocks and what its SC keeps are still to go. */
  readonly deletedAtMs: number | null
  /** The SC keeps nothing for it any more. */
  readonly released: boolean
}

export type SnapshotOrigin =
  | { readonly kind: 'copy' }
  /** ImportSnapshot's. */
  | { readonly kind: 'import' }
  | {
      readonly kind: 'direct'
      /** Without a block for so long it ends. */
      readonly timeoutMs: number
      /** When a block came last, to within a minute. */
      readonly writtenAtMs: number
      /** Since when it takes no more blocks; absent while it does. */
      readonly completingAtMs?: number
    }

/** Changes with every volume that is put on a host: who takes the host out meets it there. */
export interface VolumePlacedRecord {
  readonly rack: string
  readonly host: string
  readonly count: number
}

export interface SnapshotLockRecord {
  readonly mode: 'compliance' | 'governance'
  readonly createdAtMs: number
  readonly coolOffUntilMs: number | null
  readonly expiresAtMs: number
}

/** What of EBS is an account's own way; absent fields are AWS's defaults. */
export interface EbsSettingsRecord {
  readonly account: string
  readonly encryptionByDefault?: boolean
  readonly blockPublicAccess?: 'block-all-sharing' | 'block-new-sharing'
}

export interface VolumeRecords {
  volume: VolumeRecord
  'volume-snapshot': SnapshotRecord
  'volume-placed': VolumePlacedRecord
  /** By account. */
  'ebs-settings': EbsSettingsRecord
}
