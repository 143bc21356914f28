// What is counted per bucket and per account, in Prometheus' terms. Users make buckets, so that
// only so many have series of their own, and all others one together.

import { Counter, Gauge, type Registry } from 'prom-client'
import type { BucketRecord } from '../store/bucket-records.ts'
import type { Usage } from './keeping/usage.ts'
import type { Served } from './wire/served.ts'

export interface BucketMetrics {
  /** A call about a bucket that is there. */
  readonly bucketCall: (bucket: string, served: Served) => void
  /** It is deleted: its series go, and another one may have its place. */
  readonly forgetBucket: (bucket: string) => void
  /** What buckets held when they were last counted, by their ids. */
  readonly setBucketUsage: (
    buckets: readonly BucketRecord[],
    usage: ReadonlyMap<string, Usage>,
  ) => void
}

/** Of all buckets without series of their own; no bucket can be called so. */
const OTHERS = '(others)'
const CLASSES = ['read', 'write', 'delete', 'list', 'manage'] as const
const STATUSES = ['2xx', '3xx', '4xx', '5xx']
const DIRECTIONS = ['in', 'out']

export function bucketMetrics(registers: Registry[], mostBuckets: number): BucketMetrics {
  const own = new Set<string>()
  const requests = new Counter({
    name: 'mallee_s3_bucket_requests_total',
    help: 'Requests about buckets by class of operation and of status',
    labelNames: ['bucket', 'class', 'status'],
    registers,
  })
  const bytes = new Counter({
    name: 'mallee_s3_bucket_transfer_bytes_total',
    help: 'Bytes of bodies of requests about buckets (in) and of their answers (out)',
    labelNames: ['bucket', 'direction'],
    registers,
  })
  const gauge = (name: string, help: string, label: string): Gauge =>
    new Gauge({ name, help, labelNames: [label], registers })
  const ofBucket = {
    objects: gauge('mallee_s3_bucket_objects', 'Versions in buckets when last counted', 'bucket'),
    bytes: gauge('mallee_s3_bucket_bytes', 'Their bytes', 'bucket'),
  }
  const ofAccount = {
    objects: gauge('mallee_s3_account_objects', 'Versions of accounts when counted', 'account'),
    bytes: gauge('mallee_s3_account_bytes', 'Their bytes', 'account'),
  }
  const labelOf = (bucket: string): string => {
    if (!own.has(bucket) && own.size >= mostBuckets) return OTHERS
    own.add(bucket)
    return bucket
  }
  return {
    bucketCall: (name, { operation, method, status, receivedBytes, sentBytes }) => {
      const bucket = labelOf(name)
      const group = `${Math.floor(status / 100)}xx`
      requests.inc({ bucket, class: classOf(operation, method), status: group })
      if (receivedBytes > 0) bytes.inc({ bucket, direction: 'in' }, receivedBytes)
      if (sentBytes > 0) bytes.inc({ bucket, direction: 'out' }, sentBytes)
    },

    forgetBucket: (bucket) => {
      if (!own.delete(bucket)) return
      for (const one of CLASSES) {
        for (const status of STATUSES) requests.remove({ bucket, class: one, status })
      }
      for (const direction of DIRECTIONS) bytes.remove({ bucket, direction })
      for (const one of Object.values(ofBucket)) one.remove({ bucket })
    },

    setBucketUsage: (buckets, usage) => {
      for (const one of [...Object.values(ofBucket), ...Object.values(ofAccount)]) one.reset()
      for (const { id, name, account } of buckets) {
        const held = usage.get(id)
        const sums = { objects: versionsIn(held), bytes: held?.bytes ?? 0 }
        const bucket = labelOf(name)
        for (const what of ['objects', 'bytes'] as const) {
          ofBucket[what].inc({ bucket }, sums[what])
          ofAccount[what].inc({ account }, sums[what])
        }
      }
    },
  }
}

function versionsIn(usage: Usage | undefined): number {
  return usage === undefined ? 0 : usage.objects + usage.olderVersions
}

/** By what it costs; all that is not about objects is management. */
function classOf(operation: string, method: string): (typeof CLASSES)[number] {
  if (/^List(?:Objects|ObjectsV2|ObjectVersions|MultipartUploads|Parts)$/.test(operation)) {
    return 'list'
  }
  if (/^(?:DeleteObjects?|AbortMultipartUpload|DeleteObjectTagging)$/.test(operation)) {
    return 'delete'
  }
  if (!/Object|MultipartUpload|^UploadPart/.test(operation) || /Lock/.test(operation)) {
    return 'manage'
  }
  return method === 'GET' || method === 'HEAD' ? 'read' : 'write'
}
