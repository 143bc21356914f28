// Program of a disk-full test, started by `unshare --mount`: fills a tiny tmpfs of its own, mounted
// at argv[2], with objects, deletes some, and prints what it saw as JSON.

import { statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { BlobRef } from '../../common/blobs/blobs.ts'
import { openLocalBlobs } from '../../common/blobs/local.ts'
import { randomHex, systemClock } from '../../common/clock.ts'
import { codeOf } from '../../common/errors.ts'
import { exec } from '../../common/exec.ts'
import { silentLog } from '../../common/log.ts'

const BLOB_BYTES = 1 << 20
const SMALL_BYTES = 64 << 10
const RESTED_MS = 60_000

const folder = process.argv[2] ?? ''
await exec(['mount', '-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', folder])
let nowMs = 0
const blobs = await openLocalBlobs({
  ...{ name: 'local', dirs: [join(folder, 'disk')], known: join(folder, 'known.json') },
  ...{ clock: { ...systemClock, nowMs: () => nowMs }, randomHex, log: silentLog },
})

const written: BlobRef[] = []
let refused: unknown = null
// Nobody looks how much room there is before it is used up: every second does.
while (refused === null) refused = await write(BLOB_BYTES)
const atRefusal = await count()
const again = await write(1)
let reserve: unknown = null
while (reserve === null) {
  nowMs += RESTED_MS
  reserve = await write(SMALL_BYTES)
}
const { bsize, bavail } = await statfs(folder)
const leftBytes = bsize * bavail
const before = written.length
for (const { id } of written.splice(0, 4)) await blobs.delete(id)
nowMs += RESTED_MS
const larger = await write(8 * BLOB_BYTES)
const afterLarger = await count()
nowMs += RESTED_MS
const smaller = await write(BLOB_BYTES)
for (const { id } of written) await blobs.verify(id)

const report = {
  ...{ refused, atRefusal, again, reserve, leftBytes, larger, afterLarger, smaller },
  before,
}
process.stdout.write(JSON.stringify(report))

/** The code of the refusal, null when it was written. */
async function write(bytes: number): Promise<unknown> {
  try {
    written.push(await blobs.write(pieces(bytes)))
    return null
  } catch (error) {
    return codeOf(error) ?? String(error)
  }
}

async function* pieces(bytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes; at += BLOB_BYTES)
    yield Buffer.alloc(Math.min(bytes, BLOB_BYTES), 'x')
}

async function count(): Promise<{ files: number; acknowledged: number }> {
  let files = 0
  for await (const _ of blobs.list()) files += 1
  return { files, acknowledged: written.length }
}
