// Image bytes over gRPC: lists and chunks that are checked, refused, waited for as long as said.

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, before, beforeEach, describe, test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import type * as grpc from '@grpc/grpc-js'
import { CHUNK_BYTES, ChunkListMaker } from '../../common/chunk-list.ts'
import { systemClock } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import {
  type BlobEnd,
  blobService,
  fetchChunk,
  fetchChunkList,
  type ImageRef,
} from '../../proto/blob.ts'
import {
  BlobService,
  FetchRequestSchema,
  type FetchResponse,
} from '../../proto/gen/mallee/v1/blob_pb.js'
import type { RpcServer } from '../../proto/server.ts'
import { dial, methodDefinition } from '../../proto/service.ts'
import { clientCredentials } from '../../proto/tls.ts'
import { hostOf, type Line, line, makeCloud, startServer } from './cloud.ts'

const cloud = await makeCloud()
const identity = await cloud.issue(hostOf(cloud, 'a-1'))
const CONTENT = Buffer.concat([randomBytes(2 * CHUNK_BYTES + 5_000)])
const maker = new ChunkListMaker()
maker.add(CONTENT)
const LIST = maker.end()
const REF: ImageRef = {
  sha256: createHash('sha256').update(CONTENT).digest('hex'),
  listSha256: LIST.sha256,
}
const soon = () => systemClock.nowMs() + 10_000

describe('blobs', () => {
  let server: RpcServer
  let wire: Line
  let client: grpc.Client
  let end: BlobEnd

  const usual: BlobEnd = {
    admit: () => undefined,
    open: async (sha256, offset) =>
      sha256 === REF.sha256
        ? (async function* () {
            yield CONTENT.subarray(offset)
          })()
        : null,
    chunkList: async ({ sha256 }) => (sha256 === REF.sha256 ? LIST.bytes : null),
    chunk: async ({ sha256 }, index) => {
      const at = index * CHUNK_BYTES
      return sha256 === REF.sha256 && at < CONTENT.length
        ? CONTENT.subarray(at, at + CHUNK_BYTES)
        : null
    },
  }

  before(async () => {
    server = await startServer(cloud.gateway, {
      sessionServices: [
        blobService({
          admit: (...call) => end.admit(...call),
          open: (...call) => end.open(...call),
          chunkList: (...call) => end.chunkList(...call),
          chunk: (...call) => end.chunk(...call),
        }),
      ],
    })
    wire = await line(() => server.sessionPort)
    const expect = clientCredentials(identity, (peer) => peer.kind === 'gateway')
    client = dial('127.0.0.1', wire.port, expect)
  })
  beforeEach(() => {
    end = usual
  })
  after(async () => {
    client.close()
    await wire.close()
    await server.close()
  })

  test('a list and its chunks come as they are', async () => {
    const list = await fetchChunkList(client, REF, soon())
    assert.deepEqual(list, LIST)
    const parts = await Promise.all(
      Array.from({ length: list.count }, (_, index) =>
        fetchChunk(client, REF, list, index, soon()),
      ),
    )
    assert.ok(Buffer.concat(parts).equals(CONTENT))
  })

  test('a list that is another one, or has no end, is refused', async () => {
    const other = { ...REF, listSha256: 'ab'.repeat(32) }
    await assert.rejects(fetchChunkList(client, other, soon()), { code: 'ImageCorrupt' })
    end = { ...usual, chunkList: async () => Buffer.alloc(64 << 20) }
    await assert.rejects(fetchChunkList(client, REF, soon()), { code: 'ImageCorrupt' })
  })

  test('a chunk with other bytes is refused', async () => {
    end = { ...usual, chunk: async () => randomBytes(CHUNK_BYTES) }
    await assert.rejects(fetchChunk(client, REF, LIST, 0, soon()), { code: 'ImageCorrupt' })
  })

  test('what is not there is NotFound, and what is no digest never becomes a path', async () => {
    const unknown = { ...REF, sha256: 'ab'.repeat(32) }
    await assert.rejects(fetchChunkList(client, unknown, soon()), { code: 'NotFound' })
    await assert.rejects(fetchChunk(client, REF, LIST, 7, soon()), { code: 'NotFound' })
    for (const bad of [
      { ...REF, sha256: '../../etc/shadow' },
      { ...REF, listSha256: '' },
    ]) {
      await assert.rejects(fetchChunk(client, bad, LIST, 0, soon()), { code: 'BadMessage' })
    }
  })

  test('who is not admitted gets nothing', async () => {
    const admit = (): never => {
      throw new MalleeError('NotAllowed', 'another rack')
    }
    end = { ...usual, admit }
    await assert.rejects(fetchChunkList(client, REF, soon()), { code: 'NotAllowed' })
    await assert.rejects(fetchChunk(client, REF, LIST, 0, soon()), { code: 'NotAllowed' })
    await assert.rejects(fetched(0), /another rack/)
  })

  test('a source that says nothing is given up at the deadline, and hears of it', async () => {
    const gone = new Promise<void>((resolve) => {
      end = {
        ...usual,
        chunk: (_ref, _index, signal) =>
          new Promise((answer) => {
            signal.addEventListener('abort', () => {
              resolve()
              answer(null)
            })
          }),
      }
    })
    const late = fetchChunk(client, REF, LIST, 0, systemClock.nowMs() + 200)
    await assert.rejects(late, { code: 'Unavailable' })
    await gone
  })

  test('an agent that knows no chunks gets a file from any offset', async () => {
    for (const offset of [0, 12_345]) {
      assert.ok((await fetched(offset)).equals(CONTENT.subarray(offset)))
    }
  })

  async function fetched(offset: number): Promise<Buffer> {
    const { path, requestSerialize, responseDeserialize } = methodDefinition(
      BlobService.method.fetch,
    )
    const request = create(FetchRequestSchema, { sha256: REF.sha256, offset: BigInt(offset) })
    const call = client.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
    )
    const parts: Uint8Array[] = []
    for await (const { data } of call as AsyncIterable<FetchResponse>) parts.push(Buffer.from(data))
    return Buffer.concat(parts)
  }
})
