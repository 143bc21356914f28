// What is sent of a change: S3's message (S3 user guide, "Event message structure").

import type { BucketRecord } from '../../store/bucket-records.ts'
import { canonicalId } from '../buckets/bucket.ts'
import type { Done } from '../index/objects.ts'

/** Who made the change, and by which request. */
export interface Cause {
  /** As S3 names who asks. */
  readonly principalId: string
  readonly sourceIp: string
  readonly requestId: string
  readonly region: string
}

/** Events that AWS gave more fields later. */
const LATER = /^(?:Lifecycle|ObjectTagging)/

/** An element of `Records`. `name` is the event without `s3:`. */
export function eventRecord(
  bucket: Pick<BucketRecord, 'name' | 'account' | 'versioning'>,
  { name, configurationId }: { readonly name: string; readonly configurationId: string },
  { principalId, sourceIp, requestId, region }: Cause,
  { entry, sequencer, nowMs }: Done,
): object {
  const isGone = /Removed|Expiration/.test(name)
  const ofContent = isGone ? {} : { size: entry.sizeBytes, eTag: entry.etag }
  const isVersion = bucket.versioning !== 'off' && !(isGone && entry.versionId === 'null')
  return {
    eventVersion: LATER.test(name) ? '2.3' : '2.1',
    eventSource: 'aws:s3',
    awsRegion: region,
    eventTime: new Date(nowMs).toISOString(),
    eventName: name,
    userIdentity: { principalId },
    requestParameters: { sourceIPAddress: sourceIp },
    responseElements: {
      'x-amz-request-id': requestId,
      'x-amz-id-2': Buffer.from(requestId).toString('base64'),
    },
    s3: {
      s3SchemaVersion: '1.0',
      configurationId,
      bucket: {
        name: bucket.name,
        ownerIdentity: { principalId: canonicalId(bucket.account) },
        arn: `arn:aws:s3:::${bucket.name}`,
      },
      object: {
        key: formEncoded(entry.key),
        ...ofContent,
        ...(isVersion && { versionId: entry.versionId }),
        sequencer,
      },
    },
  }
}

/** What every target of a new configuration gets first. */
export function testMessage(bucket: string, requestId: string, nowMs: number): string {
  return JSON.stringify({
    Service: 'Amazon S3',
    Event: 's3:TestEvent',
    Time: new Date(nowMs).toISOString(),
    Bucket: bucket,
    RequestId: requestId,
    HostId: Buffer.from(requestId).toString('base64'),
  })
}

/** As forms are: a space is `+`. Slashes stay, as S3 leaves them. */
function formEncoded(key: string): string {
  return encodeURIComponent(key).replaceAll('%20', '+').replaceAll('%2F', '/')
}
