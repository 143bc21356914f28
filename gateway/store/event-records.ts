// Where events of buckets may go: targets, as operators make them.

/** Key: its name, which is the last part of the ARN by which users mean it. */
export interface EventTargetRecord {
  readonly name: string
  readonly kind: 'webhook' | 'stream'
  /** `https://…`, or `redis://[user@]host[:port][/db]/stream`. Has no password in it. */
  readonly url: string
  /** The only account that may send there; '' for all. */
  readonly account: string
  /**
   * What a webhook's messages are signed with, or the password of Redis; sealed like an access
   * key's secret. Absent without one.
   */
  readonly sealedSecret?: string
  /** About how many entries a stream keeps; 0 for all. */
  readonly maxLength: number
  readonly createdAtMs: number
}

export interface EventRecords {
  'event-target': EventTargetRecord
}
