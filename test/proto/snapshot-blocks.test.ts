// Snapshots' bytes over gRPC: put and read back, refused when they are malformed, and never wrong.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, beforeEach, describe, test } from 'node:test'
import type * as grpc from '@grpc/grpc-js'
import fc from 'fast-check'
import { systemClock } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import { buildManifest, inOrder } from '../../common/snapshot-build.ts'
import { MAX_PAGE_BYTES, SNAPSHOT_BLOCK_BYTES, sha256Of } from '../../common/snapshot-manifest.ts'
import { blocksFrom, findPage } from '../../common/snapshot-walk.ts'
import type { RpcServer } from '../../proto/server.ts'
import { dial } from '../../proto/service.ts'
import {
  MAX_ASKED,
  remoteSnapshotBlocks,
  type SnapshotBlocksDoor,
  type SnapshotBlocksEnd,
  snapshotBlocksService,
} from '../../proto/snapshot-blocks.ts'
import { pagesFrom, readBlock, readRoot } from '../../proto/snapshot-reading.ts'
import { clientCredentials } from '../../proto/tls.ts'
import { type MemoryBlocks, memoryBlocks } from '../support/snapshot-blocks.ts'
import { hostOf, type Line, line, makeCloud, startServer } from './cloud.ts'

const cloud = await makeCloud()
const identity = await cloud.issue(hostOf(cloud, 'a-1'))
const SNAPSHOT = 'snap-0123456789abcdef0'
const SIZE = 2 ** 36
const A = sealed(randomBytes(SNAPSHOT_BLOCK_BYTES))
const B = sealed(randomBytes(SNAPSHOT_BLOCK_BYTES))

function sealed(bytes: Uint8Array) {
  return { sha256: sha256Of(bytes), bytes }
}

describe('the bytes of snapshots', () => {
  let server: RpcServer
  let wire: Line
  let client: grpc.Client
  let memory: MemoryBlocks
  let open: SnapshotBlocksDoor['open']
  let end: SnapshotBlocksEnd

  before(async () => {
    server = await startServer(cloud.gateway, {
      sessionServices: [snapshotBlocksService({ open: (...call) => open(...call) })],
    })
    wire = await line(() => server.sessionPort)
    const expect = clientCredentials(identity, (peer) => peer.kind === 'gateway')
    client = dial('127.0.0.1', wire.port, expect)
  })
  beforeEach(() => {
    memory = memoryBlocks()
    open = (_call, { snapshotId }) => memory.end(snapshotId)
    end = remoteSnapshotBlocks(client, { host: 'a-1', snapshotId: SNAPSHOT }, systemClock)
  })
  after(async () => {
    client.close()
    await wire.close()
    await server.close()
  })

  async function put(): Promise<string> {
    for (const one of [A, B]) await end.putBlock(one)
    const blocks = [
      { index: 3, sha256: A.sha256 },
      { index: 70_000, sha256: B.sha256 },
    ]
    const making = buildManifest(null, SIZE, inOrder(blocks), memory.load)
    for (;;) {
      const { done, value } = await making.next()
      const missing = await (done ? end.putRoot(value.bytes) : end.putPage(value.bytes))
      assert.deepEqual(missing, [])
      if (done) return value.sha256
    }
  }

  test('come back as they were put, page by page and block by block', async () => {
    assert.deepEqual(await end.missing([A.sha256, B.sha256]), [A.sha256, B.sha256])
    const manifest = await put()
    assert.deepEqual(await end.missing([A.sha256, B.sha256]), [])
    const root = await readRoot(end, manifest)
    assert.equal(root.sizeBytes, SIZE)
    const found = []
    for await (const ref of blocksFrom(root, 0, pagesFrom(end))) {
      found.push([ref.index, sha256Of(await readBlock(end, ref))])
    }
    assert.deepEqual(found, [
      [3, A.sha256],
      [70_000, B.sha256],
    ])
    await assert.rejects(end.block(4), { code: 'NotFound' })
    await assert.rejects(end.page('leaf', 1), { code: 'NotFound' })
  })

  test('that come wrong are refused on both sides', async () => {
    const wrong = { sha256: A.sha256, bytes: B.bytes }
    await assert.rejects(end.putBlock(wrong), { code: 'DataCorrupt' })
    const manifest = await put()
    const root = await readRoot(end, manifest)
    memory.bytes.set(A.sha256, B.bytes)
    const corrupt = { code: 'DataCorrupt' }
    await assert.rejects(readBlock(end, { index: 3, sha256: A.sha256 }), corrupt)
    await assert.rejects(readRoot(end, A.sha256), corrupt)
    const leaf = await findPage(root, 'leaf', 0, memory.load)
    assert.ok(leaf !== null)
    await assert.rejects(pagesFrom(end)({ ...leaf, sha256: A.sha256 }), corrupt)
  })

  test('what is missing below a page is said, and nothing kept', async () => {
    const making = buildManifest(null, SIZE, inOrder([{ index: 0, sha256: A.sha256 }]), memory.load)
    const leaf = (await making.next()).value
    assert.deepEqual(await end.putPage(leaf.bytes), [A.sha256])
    assert.equal(memory.bytes.size, 0)
  })

  test('of nobody, or for whom it is not, are refused before anything is done', async () => {
    open = () => {
      throw new MalleeError('NotAllowed', 'not yours')
    }
    await assert.rejects(end.root(), { code: 'NotAllowed' })
    open = () => assert.fail('it was opened')
    for (const use of [
      { host: '../x', snapshotId: SNAPSHOT },
      { host: 'a-1', snapshotId: 'snap-1' },
      { host: 'a-1', snapshotId: '' },
    ]) {
      const other = remoteSnapshotBlocks(client, use, systemClock)
      await assert.rejects(other.root(), { code: 'BadMessage' })
    }
  })

  test('messages beyond the limits are refused', async () => {
    const bad = { code: 'BadMessage' }
    await assert.rejects(end.missing(Array(MAX_ASKED + 1).fill(A.sha256)), bad)
    await assert.rejects(end.missing(['AB'.repeat(32)]), bad)
    await assert.rejects(end.putBlock({ ...A, bytes: A.bytes.subarray(1) }), bad)
    await assert.rejects(end.putPage(new Uint8Array(MAX_PAGE_BYTES + 1)), bad)
    await assert.rejects(end.putRoot(new Uint8Array()), bad)
  })

  test('of a host that asks without end are refused, and others get theirs', async () => {
    let release = (): void => undefined
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    let running = 0
    open = (_call, { host }) => ({
      ...memory.end(SNAPSHOT),
      missing: async (sha256s) => {
        running += 1
        if (host === 'a-1') await held
        return sha256s
      },
    })
    const asked = Array.from({ length: 100 }, () => end.missing([]).then(() => 'answered'))
    const outcomes = Promise.all(
      asked.map((one) => one.catch((error: unknown) => (error as MalleeError).code)),
    )
    const refused = asked.slice(64).map((one) => assert.rejects(one, { code: 'TooManyRequests' }))
    await Promise.all(refused)
    assert.ok(running <= 32, `${running} at a time`)
    const other = remoteSnapshotBlocks(client, { host: 'a-2', snapshotId: SNAPSHOT }, systemClock)
    const waiting = other.missing([A.sha256])
    release()
    assert.deepEqual(await waiting, [A.sha256])
    assert.equal((await outcomes).filter((one) => one === 'answered').length, 64)
  })

  test('that are none are no page and no root', async () => {
    const bytes = fc.uint8Array({ minLength: 1, maxLength: 200 })
    await fc.assert(
      fc.asyncProperty(bytes, async (data) => {
        await assert.rejects(end.putPage(data), { code: 'BadMessage' })
        await assert.rejects(end.putRoot(data), { code: 'BadMessage' })
      }),
      { numRuns: 20 },
    )
  })
})
