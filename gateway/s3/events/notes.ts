// Which changes of objects are told to whom: a bucket's rules, asked before a change is made, so
// that a bucket without any costs nothing.

import type { Caller } from '../../aws/handlers.ts'
import type { BucketRecord, NotificationRule } from '../../store/bucket-records.ts'
import type { Note } from '../index/objects.ts'
import type { S3Call } from '../wire/call.ts'
import { type Cause, eventRecord } from './message.ts'

type Call = Pick<S3Call<unknown>, 'bucket' | 'caller' | 'arrival' | 'requestId'>

/** Events by the change that they are of. */
const NAMES = {
  put: ['ObjectCreated:Put'],
  post: ['ObjectCreated:Post'],
  copy: ['ObjectCreated:Copy'],
  complete: ['ObjectCreated:CompleteMultipartUpload'],
  remove: ['ObjectRemoved:Delete', 'ObjectRemoved:DeleteMarkerCreated'],
  expire: ['LifecycleExpiration:Delete', 'LifecycleExpiration:DeleteMarkerCreated'],
  tag: ['ObjectTagging:Put'],
  untag: ['ObjectTagging:Delete'],
} as const satisfies Readonly<Record<string, readonly [event: string, withMarker?: string]>>

export type ChangeKind = keyof typeof NAMES

/** All events that can be asked for, without `s3:`. */
export const EVENT_NAMES: readonly string[] = Object.values(NAMES).flat()

/** Who deletes by lifecycle rules, to those who are told of it. */
const LIFECYCLE = 's3.amazonaws.com'
/** Who signs nothing. */
const ANONYMOUS = 'Anonymous'

/** For the index's options: `{ note }`, or nothing when nobody wants to hear of it. */
export function noted(call: Call, kind: ChangeKind, key: string): { readonly note?: Note } {
  const { bucket, caller, requestId, arrival } = call
  if (bucket?.notifications === undefined) return {}
  const { sourceIp, region } = arrival
  return noteOf(bucket, kind, key, { principalId: nameOf(caller), sourceIp, requestId, region })
}

/** The same for what a lifecycle rule takes away. `passId` names the pass that does. */
export function notedExpiry(
  bucket: BucketRecord,
  key: string,
  { passId, region }: { readonly passId: string; readonly region: string },
): { readonly note?: Note } {
  const cause = { principalId: LIFECYCLE, sourceIp: LIFECYCLE, requestId: passId, region }
  return noteOf(bucket, 'expire', key, cause)
}

function noteOf(
  bucket: BucketRecord,
  kind: ChangeKind,
  key: string,
  cause: Cause,
): { readonly note?: Note } {
  const names: readonly string[] = NAMES[kind]
  const rules = (bucket.notifications ?? []).filter(
    (rule) => isAbout(rule, key) && names.some((name) => wants(rule, name)),
  )
  if (rules.length === 0) return {}
  return {
    note: (done) => {
      const [usual = '', marked = usual] = names
      const name = done.isMarked ? marked : usual
      return rules
        .filter((rule) => wants(rule, name))
        .map(({ id: configurationId, target }) => ({
          target,
          event: eventRecord(bucket, { name, configurationId }, cause, done),
        }))
    },
  }
}

function isAbout({ prefix, suffix }: NotificationRule, key: string): boolean {
  return key.startsWith(prefix) && key.endsWith(suffix)
}

/** A rule's events begin with `s3:`, and may end with `*`. */
function wants({ events }: NotificationRule, name: string): boolean {
  return events.some((event) => {
    const wanted = event.slice('s3:'.length)
    return wanted.endsWith('*') ? name.startsWith(wanted.slice(0, -1)) : name === wanted
  })
}

function nameOf(caller: Caller | null): string {
  return caller === null ? ANONYMOUS : `AWS:${caller.userId}`
}
