// Image bytes over gRPC: resumed, checked, refused.

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import {
  createReadStream,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, test } from 'node:test'
import { systemClock } from '../../common/clock.ts'
import { type BlobSource, blobService, fetchBlob, type OpenBlob } from '../../proto/blob.ts'
import type { RpcServer } from '../../proto/server.ts'
import { until } from '../../sandbox/until.ts'
import { hostOf, type Line, line, makeCloud, startServer } from './cloud.ts'

const cloud = await makeCloud()
const identity = await cloud.issue(hostOf(cloud, 'a-1'))
const SIZE = 20 << 20
const CONTENT = randomBytes(SIZE)
const DIGEST = createHash('sha256').update(CONTENT).digest('hex')

describe('blobs', () => {
  const root = mkdtempSync(join(tmpdir(), 'mallee-blob-'))
  const stored = join(root, 'stored')
  let dir = ''
  let offsets: number[] = []
  let opened: OpenBlob
  let server: RpcServer
  let wire: Line
  let source: BlobSource
  let file = ''

  before(() => writeFileSync(stored, CONTENT))
  after(() => rmSync(root, { recursive: true }))
  beforeEach(async () => {
    dir = mkdtempSync(join(root, 'to-'))
    file = join(dir, 'image')
    offsets = []
    opened = (sha256, offset) => {
      offsets.push(offset)
      return sha256 === DIGEST ? createReadStream(stored, { start: offset }) : null
    }
    server = await startServer(cloud.gateway, {
      sessionServices: [blobService((sha256, offset) => opened(sha256, offset))],
    })
    wire = await line(() => server.sessionPort)
    source = {
      host: '127.0.0.1',
      port: wire.port,
      identity,
      expect: (peer) => peer.kind === 'gateway',
    }
  })
  afterEach(async () => {
    await wire.close()
    await server.close()
  })

  const options = { clock: systemClock, maxBytes: SIZE }

  test('fetchBlob brings a file, says how far it is, and leaves nothing else', async () => {
    let last = 0
    await fetchBlob(source, DIGEST, file, {
      ...options,
      onProgress: (bytes) => {
        assert.ok(bytes > last)
        last = bytes
      },
    })
    assert.ok(readFileSync(file).equals(CONTENT))
    assert.equal(last, SIZE)
    assert.ok(!existsSync(`${file}.partial`))
  })

  test('fetchBlob goes on where a broken connection left it', async () => {
    let had = 0
    await assert.rejects(
      fetchBlob(source, DIGEST, file, {
        ...options,
        onProgress: (bytes) => {
          if (had === 0 && bytes > SIZE / 4) {
            had = bytes
            wire.cut()
          }
        },
      }),
      { code: 'Unavailable' },
    )
    assert.ok(!existsSync(file))
    await fetchBlob(source, DIGEST, file, options)
    assert.ok(readFileSync(file).equals(CONTENT))
    assert.equal(offsets.length, 2)
    assert.ok((offsets[1] ?? 0) >= had, offsets.join())
  })

  test('fetchBlob begins anew when it shall not resume', async () => {
    writeFileSync(`${file}.partial`, 'left over')
    await fetchBlob(source, DIGEST, file, { ...options, resume: false })
    assert.deepEqual(offsets, [0])
    assert.ok(readFileSync(file).equals(CONTENT))
  })

  test('fetchBlob refuses bytes that are not the file, removes them, and can try again', async () => {
    writeFileSync(`${file}.partial`, 'left over of something else')
    await assert.rejects(fetchBlob(source, DIGEST, file, options), { code: 'ImageCorrupt' })
    assert.ok(!existsSync(file) && !existsSync(`${file}.partial`))
    await fetchBlob(source, DIGEST, file, options)
    assert.ok(readFileSync(file).equals(CONTENT))
  })

  test('fetchBlob refuses a file that is longer than was said', async () => {
    await assert.rejects(fetchBlob(source, DIGEST, file, { ...options, maxBytes: SIZE - 1 }), {
      code: 'ImageCorrupt',
    })
    assert.ok(!existsSync(file) && !existsSync(`${file}.partial`))
  })

  test('fetchBlob throws NotFound for what nobody has', async () => {
    const sha256 = 'ab'.repeat(32)
    await assert.rejects(fetchBlob(source, sha256, file, options), { code: 'NotFound' })
    await assert.rejects(fetchBlob(source, '../x', file, options), { code: 'BadArgument' })
  })

  test('fetchBlob ends when it is aborted, and the sender stops reading', async () => {
    let read = 0
    let closed = false
    opened = async function* () {
      try {
        for (;;) {
          read += 1 << 20
          yield new Uint8Array(1 << 20)
        }
      } finally {
        closed = true
      }
    }
    const stop = new AbortController()
    const fetching = fetchBlob(source, DIGEST, file, {
      clock: systemClock,
      maxBytes: Number.MAX_SAFE_INTEGER,
      onProgress: () => stop.abort(),
      signal: stop.signal,
    })
    await assert.rejects(fetching, { code: 'Unavailable' })
    await until('the sender stopped', () => closed)
    assert.ok(read < 64 << 20)
  })

  test('the sender reads no further ahead than the receiver takes', async () => {
    let read = 0
    opened = async function* () {
      for (;;) {
        read += 1 << 20
        yield new Uint8Array(1 << 20)
      }
    }
    const stop = new AbortController()
    const fetching = fetchBlob(source, DIGEST, file, {
      clock: systemClock,
      maxBytes: Number.MAX_SAFE_INTEGER,
      signal: stop.signal,
      onProgress: () => wire.freeze(),
    })
    fetching.catch(() => undefined)
    await until('the line is frozen', () => read > 0)
    let before = -1
    await until(
      'the sender waits',
      () => {
        const still = read === before
        before = read
        return still
      },
      { everyMs: 200 },
    )
    assert.ok(read <= 64 << 20, `${read} bytes were read ahead`)
    stop.abort()
    await assert.rejects(fetching)
  })
})
