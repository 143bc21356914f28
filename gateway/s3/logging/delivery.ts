// Delivers access logs: each file of the spool becomes an object in each target bucket. Its key is
// that of the file, so that a delivery that is done again after a crash makes no second one.

import { hash } from 'node:crypto'
import type { Clock, RandomHex } from '../../../common/clock.ts'
import { messageOf } from '../../../common/errors.ts'
import type { Log } from '../../../common/log.ts'
import { Loop } from '../../../common/reconcile.ts'
import { evaluateShared } from '../../iam/evaluate.ts'
import { s3Arn } from '../../iam/s3-requests.ts'
import type { BucketLogging, BucketRecord } from '../../store/bucket-records.ts'
import type { State, View } from '../../store/state.ts'
import { hasAcls } from '../acl/grants.ts'
import { parsedOf } from '../buckets/policy.ts'
import { committed, takeBytes, WHOLE } from '../objects/bytes.ts'
import { dataKeyFor, defaultEncryption } from '../objects/encryption.ts'
import type { ObjectParts } from '../objects/parts.ts'
import { copyBytes } from '../objects/take-copy.ts'
import type { Served } from '../wire/served.ts'
import { logLine } from './line.ts'
import { type Sealed, Spool, type SpoolLine } from './spool.ts'

/** What a kill of this process loses at most. */
const FLUSH_MS = 1_000
/** A file that could not be delivered for so long is given up. */
const MAX_AGE_MS = 3 * 24 * 60 * 60_000
const SERVICE = 'logging.s3.amazonaws.com'
/** Of lists of grants. */
const GROUP = 'LogDelivery'
const HEADERS = { 'content-type': 'text/plain' }

export interface LoggingMetrics {
  readonly accessLogLines: (outcome: 'delivered' | 'dropped', lines: number) => void
}

export interface LoggingParts
  extends Pick<ObjectParts, 'index' | 'blobsFor' | 'storeOf' | 'sealing'> {
  readonly state: Pick<State, 'view' | 'fresh'>
  readonly region: string
  /** Folder of the spool. */
  readonly dir: string
  readonly everyMs: number
  readonly clock: Clock
  readonly randomHex: RandomHex
  readonly chance: () => number
  readonly log: Log
  readonly metrics: LoggingMetrics
}

export interface AccessLogs {
  /** A call about that bucket. */
  readonly served: (bucket: BucketRecord, served: Served) => void
  /** What is there is on disk afterwards. */
  readonly stop: () => Promise<void>
}

/** Lines of one bucket that go to one object. */
interface Batch {
  readonly from: BucketRecord
  readonly logging: BucketLogging
  readonly day: string
  readonly lines: readonly SpoolLine[]
}

export function keepAccessLogs(parts: LoggingParts): AccessLogs {
  const { state, clock, log, metrics } = parts
  const spool = new Spool(parts)
  let isStopping = false
  const loop = new Loop({
    ...parts,
    ...{ name: 'access-logs', everyMs: FLUSH_MS },
    pass: async () => {
      await spool.flush()
      for (const sealed of await spool.sealed()) {
        if (isStopping) return
        await deliverFile(parts, spool, sealed)
      }
    },
  })
  loop.start()
  return {
    served: (bucket, served) => {
      if (bucket.logging === undefined) return
      const { id: bucketId, name } = bucket
      const text = logLine(bucket, served)
      const line = { bucketId, bucket: name, atMs: served.startedAtMs, text }
      if (!spool.add(line)) metrics.accessLogLines('dropped', 1)
    },
    stop: async () => {
      isStopping = true
      await loop.stop()
      await spool.close().catch((error) => log.error('access logs are lost', { error }))
    },
  }

  async function deliverFile(parts: LoggingParts, spool: Spool, sealed: Sealed): Promise<void> {
    const lines = await spool.read(sealed)
    const batches = batchesOf(await state.fresh(), lines)
    let lost = lines.length - batches.reduce((sum, one) => sum + one.lines.length, 0)
    for (const batch of batches) {
      const why = await deliver(parts, batch, sealed)
      if (why === null) metrics.accessLogLines('delivered', batch.lines.length)
      else {
        lost += batch.lines.length
        const { targetBucket } = batch.logging
        log.warn('an access log was not taken', { bucket: batch.from.name, targetBucket, why })
      }
    }
    if (lost > 0) metrics.accessLogLines('dropped', lost)
    await spool.remove(sealed)
  }

  /** Why it will never be delivered; null when it was. Throws when it is to be tried again. */
  async function deliver(
    parts: LoggingParts,
    batch: Batch,
    sealed: Sealed,
  ): Promise<string | null> {
    const to = state.view().get('bucket', batch.logging.targetBucket)
    if (to === null || to.account !== batch.from.account) return 'there is no such bucket'
    const key = keyOf(batch, sealed, parts.region)
    if (!mayPut(to, key, batch.from))
      return `neither its policy nor its list of grants allows ${SERVICE}`
    try {
      await put(parts, to, key, `${batch.lines.map(({ text }) => text).join('\n')}\n`)
      return null
    } catch (error) {
      if (clock.nowMs() - sealed.sealedAtMs < MAX_AGE_MS) throw error
      return `it did not work for too long: ${messageOf(error)}`
    }
  }
}

/** By bucket, and by day where the objects are to be apart by that; without what nobody wants. */
function batchesOf(view: View, lines: readonly SpoolLine[]): readonly Batch[] {
  const batches: Batch[] = []
  for (const [name, ofName] of Map.groupBy(lines, ({ bucket }) => bucket)) {
    const from = view.get('bucket', name)
    const logging = from?.logging
    const own = ofName.filter(({ bucketId }) => bucketId === from?.id)
    if (from === null || logging === undefined || own.length === 0) continue
    const isByDay = logging.partitions === 'EventTime'
    for (const [day, some] of Map.groupBy(own, ({ atMs }) => (isByDay ? dayOf(atMs) : ''))) {
      batches.push({ from, logging, day, lines: some })
    }
  }
  return batches
}

/** `2026-11-26` */
function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10)
}

function keyOf({ from, logging, day }: Batch, { sealedAtMs, id }: Sealed, region: string): string {
  const [date = '', time = ''] = new Date(sealedAtMs).toISOString().split('T')
  // By the time of its events an object has no time of day, as AWS has it.
  const at = day === '' ? `${date}-${time.slice(0, 8).replaceAll(':', '-')}` : `${day}-00-00-00`
  const unique = hash('sha256', `${id}/${from.id}/${day}`).slice(0, 16).toUpperCase()
  const name = `${at}-${unique}`
  const { targetPrefix, partitions } = logging
  if (partitions === undefined) return `${targetPrefix}${name}`
  const dated = at.slice(0, 10).replaceAll('-', '/')
  return `${targetPrefix}${from.account}/${region}/${from.name}/${dated}/${name}`
}

/** The target's policy says so, or its list of grants where those count. */
function mayPut(to: BucketRecord, key: string, from: BucketRecord): boolean {
  const isGranted = to.acl?.some(
    ({ to: who, permission }) => who === GROUP && /^(?:WRITE|FULL_CONTROL)$/.test(permission),
  )
  const principal = { kind: 'service', account: '', arn: SERVICE, roleArn: null } as const
  const known = new Map([
    ['aws:sourcearn', [s3Arn(from.name, null)]],
    ['aws:sourceaccount', [from.account]],
    ['aws:principalisawsservice', ['true']],
    ['aws:principalservicename', [SERVICE]],
    ['aws:securetransport', ['true']],
    ['s3:resourceaccount', [to.account]],
  ])
  const policy = to.policy === undefined ? null : parsedOf(to.policy)
  const resource = s3Arn(to.name, key)
  const request = { action: 's3:PutObject', resource, principal, conditions: known }
  const { allowed, refusal } = evaluateShared('root', { policy, account: to.account }, request)
  return allowed || (refusal !== 'explicit' && isGranted === true && hasAcls(to))
}

async function put(
  parts: LoggingParts,
  to: BucketRecord,
  key: string,
  text: string,
): Promise<void> {
  const bytes = Buffer.from(text)
  const etag = hash('md5', bytes)
  const there = await parts.index.current(to.id, key)
  if (there?.etag === etag) return
  const { sealing } = parts
  const ciphering = defaultEncryption(sealing, to)
  const { encryption } = ciphering
  const dataKey = dataKeyFor(sealing, ciphering, { bucket: to.id, key, number: WHOLE })
  const { md5Hex, checksum, ...taken } = await copyBytes(once(bytes), 'CRC64NVME', (some) =>
    takeBytes(parts.blobsFor(to), some, dataKey),
  )
  const object = {
    ...{ bucket: to.id, key, owner: to.account, etag: md5Hex, headers: HEADERS, metadata: {} },
    checksum: { ...checksum, type: 'FULL_OBJECT' as const },
    ...(encryption !== undefined && { encryption }),
    ...taken,
  }
  await committed(parts, taken.parts, () => parts.index.put(object, { versioning: to.versioning }))
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}
