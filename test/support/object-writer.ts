// Program of a crash test: puts, replaces, completes and deletes objects below argv[2] until it is
// killed, one key per worker, and prints `key content` before each step and `ok key` after it.

import { writeSync } from 'node:fs'
import { join } from 'node:path'
import { openLocalBlobs } from '../../common/blobs/local.ts'
import { randomHex, systemClock } from '../../common/clock.ts'
import { silentLog } from '../../common/log.ts'
import { createObjectIndex } from '../../gateway/s3/index/object-index.ts'
import type { UploadPart } from '../../gateway/s3/index/objects.ts'
import { openSqlite } from '../../gateway/store/sqlite.ts'

const WORKERS = 6
const PART_BYTES = 100_000

const dir = process.argv[2] ?? ''
const round = process.argv[3] ?? ''
const store = await openSqlite({ file: join(dir, 'objects.db'), log: silentLog, keep: 1 })
const index = createObjectIndex({ store, clock: systemClock, randomHex })
const blobs = await openLocalBlobs({
  ...{ name: 'local', dirs: [join(dir, 'disk')], known: join(dir, 'known.json') },
  ...{ clock: systemClock, randomHex, log: silentLog },
})
const fields = { bucket: 'b', owner: '', headers: {}, metadata: {} }
await Promise.all(Array.from({ length: WORKERS }, (_, i) => work(`k${i}`)))

async function work(key: string): Promise<never> {
  for (let n = 0; ; n++) {
    // Its length says how it is written: in the index, in a blob, in an upload, or not at all.
    const kind = 'iucbd'[n % 5] ?? ''
    // Of a length that divides what is written at a time: the bytes are it, again and again.
    const content = kind === 'd' ? '-' : `${kind}${round}.${String(n).padStart(5, '0')}`
    writeSync(1, `${key} ${content}\n`)
    await step(key, kind, content)
    writeSync(1, `ok ${key}\n`)
  }
}

async function step(key: string, kind: string, etag: string): Promise<void> {
  const object = { ...fields, key, etag, parts: [] }
  const versioning = 'off'
  if (kind === 'd') {
    await index.remove('b', key, { versioning, versionId: null, owner: '' })
  } else if (kind === 'i') {
    const inline = Buffer.from(etag)
    await index.put({ ...object, inline, sizeBytes: inline.length }, { versioning })
  } else if (kind === 'u') {
    const { uploadId } = await index.uploads.create({ ...fields, key })
    for (const number of [1, 2]) {
      await index.uploads.putPart('b', key, uploadId, await partOf(etag, number))
    }
    const sizeBytes = 2 * PART_BYTES
    const build = (_: unknown, parts: readonly UploadPart[]) => ({
      ...{ ...object, sizeBytes, parts },
    })
    await index.uploads.complete('b', key, uploadId, { versioning, build })
  } else {
    const parts = [await partOf(etag, 1)]
    await index.put({ ...object, parts, sizeBytes: PART_BYTES }, { versioning })
  }
}

async function partOf(content: string, number: number) {
  const half = Buffer.alloc(PART_BYTES / 2, content)
  const blob = await blobs.write(
    (async function* () {
      yield half
      yield half
    })(),
  )
  return { number, blob, sizeBytes: PART_BYTES }
}
