// What the storage of objects costs below S3's protocol: writes and reads through index and blobs,
// against plain files that are written with the same syncs, in turns and on the same disk.

import { mkdir, mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BlobStore } from '../common/blobs/blobs.ts'
import { openLocalBlobs } from '../common/blobs/local.ts'
import { randomHex, systemClock } from '../common/clock.ts'
import { syncFolder } from '../common/durable-file.ts'
import { silentLog } from '../common/log.ts'
import { createObjectIndex } from '../gateway/s3/index/object-index.ts'
import type { NewObject, ObjectIndex } from '../gateway/s3/index/objects.ts'
import { openSqlite } from '../gateway/store/sqlite.ts'
import { type Emit, median } from './harness.ts'

const BENCH = 's3-store'
const ROUNDS = 5
const ROUND_MS = 700
const SMALL_BYTES = 4 << 10
const MIDDLE_BYTES = 64 << 10
const LARGE_BYTES = 64 << 20
/** As they come from a socket. */
const PIECE_BYTES = 64 << 10
const READ_BYTES = 1 << 20
/** Keys that reads and lists find. */
const KEYS = 10_000
const LIST_PAGE = 1_000
const MIB = 1 << 20
const BUCKET = 'bench'
const PEER = 'plain files, same syncs'
const READ_PEER = 'plain files'

interface Subject {
  readonly write: (key: string, sizeBytes: number) => Promise<void>
  readonly read: (key: string) => Promise<void>
}

interface Case {
  readonly name: string
  readonly sizeBytes: number
  readonly clients: number
  readonly act: 'write' | 'read'
  readonly goal?: number
}

const CASES: readonly Case[] = [
  { name: '4 KiB', sizeBytes: SMALL_BYTES, clients: 1, act: 'write', goal: 1 },
  { name: '4 KiB', sizeBytes: SMALL_BYTES, clients: 16, act: 'write', goal: 1 },
  { name: '4 KiB', sizeBytes: SMALL_BYTES, clients: 1, act: 'read' },
  { name: '4 KiB', sizeBytes: SMALL_BYTES, clients: 16, act: 'read' },
  { name: '64 KiB', sizeBytes: MIDDLE_BYTES, clients: 1, act: 'write' },
  { name: '64 KiB', sizeBytes: MIDDLE_BYTES, clients: 16, act: 'write' },
  { name: '64 MiB', sizeBytes: LARGE_BYTES, clients: 1, act: 'write', goal: 0.8 },
  { name: '64 MiB', sizeBytes: LARGE_BYTES, clients: 4, act: 'write', goal: 0.8 },
  { name: '64 MiB', sizeBytes: LARGE_BYTES, clients: 1, act: 'read', goal: 0.6 },
  { name: '64 MiB', sizeBytes: LARGE_BYTES, clients: 4, act: 'read', goal: 0.6 },
]

export async function run(emit: Emit): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'mallee-bench-objects-'))
  const store = await openSqlite({ file: join(dir, 'objects.db'), log: silentLog, keep: 100 })
  try {
    const clock = systemClock
    const disk = { name: 'local', dirs: [join(dir, 'disk')], known: join(dir, 'known.json') }
    const blobs = await openLocalBlobs({ ...disk, clock, randomHex, log: silentLog })
    const index = createObjectIndex({ store, clock, randomHex })
    const files = join(dir, 'files')
    await mkdir(files)
    const subjects = [objects(index, blobs), plainFiles(files)]
    for (const each of CASES) {
      const [value = 0, peer = 0] = await ratesOf(subjects, each)
      const unit = each.sizeBytes === LARGE_BYTES ? 'MiB/s' : `${each.act}s/s`
      const per = each.sizeBytes === LARGE_BYTES ? LARGE_BYTES / MIB : 1
      emit({
        bench: BENCH,
        case: `${each.act} ${each.name}, ${each.clients} at a time`,
        unit,
        ...{ value: Math.round(value * per), peer_value: Math.round(peer * per) },
        peer: each.act === 'write' ? PEER : READ_PEER,
        ...(each.goal === undefined ? {} : { goal: each.goal }),
        higher_is_better: true,
      })
    }
    const value = await walkMs(index, subjects[0])
    emit({
      bench: BENCH,
      case: `list of ${KEYS} keys`,
      unit: 'ms',
      value: Math.round(value),
      higher_is_better: false,
    })
  } finally {
    await store.close()
    await rm(dir, { recursive: true, force: true })
  }
}

function objects(index: ObjectIndex, blobs: BlobStore): Subject {
  const fields = { bucket: BUCKET, etag: randomHex(16), owner: '111111111111', metadata: {} }
  const headers = { 'content-type': 'application/octet-stream' }
  const held = new Map<string, string>()
  return {
    write: async (key, sizeBytes) => {
      const inline = sizeBytes <= SMALL_BYTES ? randomly(sizeBytes) : null
      const object: NewObject = { ...fields, headers, key, sizeBytes, parts: [] }
      if (inline !== null) {
        await index.put({ ...object, inline }, { versioning: 'off' })
        return
      }
      const blob = await blobs.write(pieces(sizeBytes))
      await index.put({ ...object, parts: [{ number: 1, blob, sizeBytes }] }, { versioning: 'off' })
      // At once, as the peer does, so that both write where something was.
      const old = held.get(key)
      if (old !== undefined) await blobs.delete(old)
      held.set(key, blob.id)
    },
    read: async (key) => {
      const found = await index.read(BUCKET, key, null)
      if (found === null) throw new Error(`no ${key}`)
      for (const { blob } of found.version.parts) for await (const _ of blobs.read(blob));
    },
  }
}

function plainFiles(dir: string): Subject {
  return {
    // Under a new name each time, as objects are: nothing is written over what somebody reads.
    write: async (key, sizeBytes) => {
      const file = join(dir, key)
      await rm(file, { force: true })
      const handle = await open(file, 'wx')
      try {
        for await (const piece of pieces(sizeBytes)) await handle.writeFile(piece)
        await handle.datasync()
      } finally {
        await handle.close()
      }
      await syncFolder(dir)
    },
    read: async (key) => {
      const handle = await open(join(dir, key))
      try {
        const { size } = await handle.stat()
        for (let at = 0; at < size; at += READ_BYTES) {
          const length = Math.min(READ_BYTES, size - at)
          await handle.read(Buffer.allocUnsafeSlow(length), 0, length, at)
        }
      } finally {
        await handle.close()
      }
    },
  }
}

/** Median actions per second of each; in turns, so that a noisy moment hits them alike. */
async function ratesOf(subjects: readonly Subject[], one: Case): Promise<readonly number[]> {
  const rates = subjects.map((): number[] => [])
  for (const subject of subjects) {
    for (let n = 0; n < one.clients; n++) await subject.write(`${one.name}-${n}`, one.sizeBytes)
  }
  // The first round warms up.
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [i, subject] of subjects.entries()) {
      const rate = await rateOf(subject, one)
      if (round > 0) rates[i]?.push(rate)
    }
  }
  return rates.map(median)
}

async function rateOf(subject: Subject, { name, sizeBytes, clients, act }: Case): Promise<number> {
  const startedMs = performance.now()
  let done = 0
  const client = async (_: unknown, n: number): Promise<void> => {
    do {
      const key = `${name}-${n}`
      if (act === 'write') await subject.write(key, sizeBytes)
      else await subject.read(key)
      done += 1
    } while (performance.now() - startedMs < ROUND_MS)
  }
  await Promise.all(Array.from({ length: clients }, client))
  return (done * 1_000) / (performance.now() - startedMs)
}

async function walkMs(index: ObjectIndex, subject: Subject | undefined): Promise<number> {
  for (let n = 0; n < KEYS; n += LIST_PAGE) {
    const keys = Array.from({ length: LIST_PAGE }, (_, i) => `walk/${n + i}`)
    await Promise.all(keys.map((key) => subject?.write(key, 1)))
  }
  const times: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const startedMs = performance.now()
    let after = ''
    for (let more = true; more; ) {
      const page = await index.list(BUCKET, { prefix: 'walk/', after, limit: LIST_PAGE })
      after = page.entries.at(-1)?.key ?? ''
      more = page.more
    }
    times.push(performance.now() - startedMs)
  }
  return median(times)
}

/** One buffer again and again: what it is made of costs both sides nothing. */
async function* pieces(sizeBytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < sizeBytes; at += PIECE_BYTES) {
    yield randomly(Math.min(PIECE_BYTES, sizeBytes - at))
  }
}

const NOISE = Buffer.from(randomHex(PIECE_BYTES), 'hex')

function randomly(sizeBytes: number): Uint8Array {
  return NOISE.subarray(0, sizeBytes)
}
