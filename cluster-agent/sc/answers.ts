// What an SC does when it is asked on one of its streams: one thing after another, each with the
// blobs on this host's disks. Whatever comes is checked here: the other end is another machine.

import { crc32 } from 'node:zlib'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import type { BlobRef, StoredBlob } from '../../common/blobs/blobs.ts'
import { isBlobId } from '../../common/blobs/disk.ts'
import type { LocalBlobs } from '../../common/blobs/local.ts'
import type { Clock } from '../../common/clock.ts'
import { type Code, codeOf, MalleeError, messageOf } from '../../common/errors.ts'
import type { Log } from '../../common/log.ts'
import {
  type BlobEntrySchema,
  type DataEnd,
  type ReadBlob,
  type StorageAnswer,
  StorageAnswerSchema,
  type StorageAsk,
} from '../../proto/gen/mallee/v1/storage_pb.js'
import { type AnsweringLane, MAX_BLOB_BYTES, MAX_DATA_BYTES } from '../../proto/storage.ts'

/** How often one who waits hears that it is still being worked on. */
const BUSY_MS = 5_000
const PAGE = 500
/** What a gateway can make something of; all else is a disk's trouble. */
const TOLD: ReadonlySet<Code> = new Set(['BadMessage', 'DataCorrupt', 'NotFound', 'StoreFull'])

export interface AnswerParts {
  readonly blobs: Omit<LocalBlobs, 'name' | 'read' | 'disks' | 'look'>
  readonly clock: Clock
  readonly log: Log
  /** Somebody asks, and was answered. */
  readonly begun: () => void
  readonly ended: () => void
}

type Answer = NonNullable<MessageInitShape<typeof StorageAnswerSchema>['body']>

/** Answers until the lane is over. Throws what ended it. */
export async function answerAsks(lane: AnsweringLane, parts: AnswerParts): Promise<void> {
  for (;;) {
    const ask = await lane.next()
    if (ask === null) return
    parts.begun()
    try {
      await answerOne(lane, ask, parts)
    } finally {
      parts.ended()
    }
  }
}

/** Throws what ends the lane. */
async function answerOne(
  lane: AnsweringLane,
  { body: ask }: StorageAsk,
  { blobs, clock, log }: AnswerParts,
): Promise<void> {
  try {
    switch (ask.case) {
      case 'write':
        return await answerWrite(lane, blobs, clock)
      case 'read':
        return await answerRead(lane, blobs, ask.value)
      case 'delete':
        await blobs.delete(checkId(ask.value.id))
        return await lane.send(answer({ case: 'done', value: {} }))
      case 'list':
        return await answerList(lane, blobs)
      case 'verify': {
        const id = checkId(ask.value.id)
        const bytes = await busy(lane, clock, () => verified(blobs, id))
        return await lane.send(answer({ case: 'verified', value: { sizeBytes: BigInt(bytes) } }))
      }
      default:
        throw new MalleeError('BadMessage', `an ask that is not known: ${ask.case}`)
    }
  } catch (error) {
    if (lane.gone.aborted) throw error
    const failure = failureOf(error)
    if (failure.code === 'StoreUnavailable') log.warn('storage failed', { ask: ask.case, error })
    await lane.send(answer({ case: 'failure', value: failure }))
    // What still comes of the bytes is for nobody; the other end hangs up once it has read why.
    if (ask.case === 'write' || failure.code === 'BadMessage') {
      while ((await lane.next()) !== null);
      throw error
    }
  }
}

async function answerWrite(
  lane: AnsweringLane,
  blobs: Pick<LocalBlobs, 'write'>,
  clock: Clock,
): Promise<void> {
  const sayBusy = new AbortController()
  let saying: Promise<void> = Promise.resolve()
  const arrived = (): void => {
    saying = keepSaying(lane, clock, sayBusy.signal)
  }
  let ref: BlobRef
  try {
    ref = await blobs.write(incoming(lane, arrived))
  } finally {
    sayBusy.abort()
    await saying
  }
  const value = { id: ref.id, sizeBytes: BigInt(ref.sizeBytes) }
  await lane.send(answer({ case: 'written', value }))
}

/** Bytes of a write. Throws BadMessage unless they are what their end says. */
async function* incoming(lane: AnsweringLane, arrived: () => void): AsyncGenerator<Uint8Array> {
  let [size, sum] = [0, 0]
  for (;;) {
    const ask = await lane.next()
    if (ask === null) throw new MalleeError('Unavailable', 'the bytes broke off')
    const { body } = ask
    if (body.case === 'end') {
      checkEnd(body.value, size, sum)
      return arrived()
    }
    if (body.case !== 'data') throw new MalleeError('BadMessage', `${body.case} within a write`)
    const { length } = body.value
    if (length === 0 || length > MAX_DATA_BYTES || size + length > MAX_BLOB_BYTES) {
      throw new MalleeError('BadMessage', `${length} bytes of data after ${size}`)
    }
    sum = crc32(body.value, sum)
    size += length
    yield body.value
  }
}

function checkEnd({ sizeBytes, crc32: said }: DataEnd, size: number, sum: number): void {
  if (sizeBytes === BigInt(size) && said === sum) return
  const sentence = `${size} bytes with CRC-32 ${sum} came where ${sizeBytes} with ${said} were sent`
  throw new MalleeError('BadMessage', sentence)
}

async function answerRead(
  lane: AnsweringLane,
  blobs: Pick<LocalBlobs, 'raw'>,
  { id, start, end }: ReadBlob,
): Promise<void> {
  if (start > end || end > MAX_BLOB_BYTES) {
    throw new MalleeError('BadMessage', `bytes ${start} to ${end}`)
  }
  let isFirst = true
  const range = { start: Number(start), end: Number(end) }
  for await (const bytes of blobs.raw(checkId(id), range)) {
    const blobEnd = { case: 'blobEnd', value: { end: bytes } } as const
    await lane.send(answer(isFirst ? blobEnd : { case: 'data', value: bytes }))
    isFirst = false
  }
  await lane.send(answer({ case: 'done', value: {} }))
}

async function answerList(lane: AnsweringLane, blobs: Pick<LocalBlobs, 'list'>): Promise<void> {
  let page: MessageInitShape<typeof BlobEntrySchema>[] = []
  const flush = async (): Promise<void> => {
    if (page.length > 0) await lane.send(answer({ case: 'page', value: { blobs: page } }))
    page = []
  }
  for await (const blob of blobs.list()) {
    page.push(entryOf(blob))
    if (page.length === PAGE) await flush()
  }
  await flush()
  await lane.send(answer({ case: 'done', value: {} }))
}

function entryOf({ id, sizeBytes, writtenAtMs }: StoredBlob) {
  return { id, sizeBytes: BigInt(sizeBytes), writtenAtMs: BigInt(Math.floor(writtenAtMs)) }
}

/** The disk answers, but not with these bytes: that is damage, and no disk that is away. */
async function verified(blobs: Pick<LocalBlobs, 'verify'>, id: string): Promise<number> {
  try {
    return await blobs.verify(id)
  } catch (error) {
    const cause = error instanceof Error ? (error.cause as NodeJS.ErrnoException | null) : null
    if (cause?.code !== 'EIO') throw error
    throw new MalleeError('DataCorrupt', messageOf(error), { cause: error })
  }
}

async function busy<T>(lane: AnsweringLane, clock: Clock, work: () => Promise<T>): Promise<T> {
  const done = new AbortController()
  const saying = keepSaying(lane, clock, done.signal)
  try {
    return await work()
  } finally {
    done.abort()
    await saying
  }
}

async function keepSaying(lane: AnsweringLane, clock: Clock, done: AbortSignal): Promise<void> {
  for (;;) {
    await clock.sleep(BUSY_MS, done)
    if (done.aborted || lane.gone.aborted) return
    await lane.send(answer({ case: 'busy', value: {} })).catch(() => undefined)
  }
}

function answer(body: Answer): StorageAnswer {
  return create(StorageAnswerSchema, { body })
}

function checkId(id: string): string {
  if (isBlobId(id)) return id
  throw new MalleeError('BadMessage', `${JSON.stringify(id.slice(0, 64))} is no blob`)
}

function failureOf(error: unknown): { code: Code; message: string } {
  const code = error instanceof RangeError ? 'BadMessage' : codeOf(error)
  const isTold = code !== null && TOLD.has(code)
  return { code: isTold ? code : 'StoreUnavailable', message: messageOf(error) }
}
