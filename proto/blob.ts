// Image files by content digest, between members: in chunks that the receiver asks for one by one,
// as many at a time as it likes, and checks against the file's chunk list.

import { create } from '@bufbuild/protobuf'
import type * as grpc from '@grpc/grpc-js'
import { type ChunkList, isChunk, MAX_LIST_BYTES, parseChunkList } from '../common/chunk-list.ts'
import { MalleeError } from '../common/errors.ts'
import {
  BlobService,
  type ChunkListRequest,
  ChunkListRequestSchema,
  type ChunkListResponse,
  ChunkListResponseSchema,
  type ChunkRequest,
  ChunkRequestSchema,
  type ChunkResponse,
  ChunkResponseSchema,
  type FetchRequest,
  type FetchResponse,
  FetchResponseSchema,
} from './gen/mallee/v1/blob_pb.js'
import {
  callUnary,
  errorToStatus,
  methodDefinition,
  type RpcService,
  serviceDefinition,
} from './service.ts'
import type { SecuredCall } from './tls.ts'
import { Turns } from './turns.ts'

/** An image file, and the chunk list that its record names. */
export interface ImageRef {
  readonly sha256: string
  readonly listSha256: string
}

/** What a member serves; null is `not here`. */
export interface BlobEnd {
  /** Throws NotAllowed. */
  readonly admit: (call: SecuredCall) => void
  /** The whole file from an offset on, for agents that know no chunks. */
  readonly open: (sha256: string, offset: number) => Promise<AsyncIterable<Uint8Array> | null>
  readonly chunkList: (ref: ImageRef) => Promise<Uint8Array | null>
  readonly chunk: (ref: ImageRef, index: number, signal: AbortSignal) => Promise<Uint8Array | null>
}

const PART_BYTES = 256 << 10
const LIST_PART_BYTES = 1 << 20
/** Chunks that one member reads for others at a time; more wait. */
const MAX_READING = 32

/** For members only: mount it on the session port. */
export function blobService(end: BlobEnd): RpcService {
  const reading = new Turns(MAX_READING)

  function unary<Req, Res>(run: (request: Req, signal: AbortSignal) => Promise<Res>) {
    return async (call: grpc.ServerUnaryCall<Req, Res>, reply: grpc.sendUnaryData<Res>) => {
      const gone = new AbortController()
      call.on('cancelled', () => gone.abort())
      try {
        end.admit(call)
        reply(null, await run(call.request, gone.signal))
      } catch (error) {
        reply(errorToStatus(error))
      }
    }
  }

  const chunkList = unary<ChunkListRequest, ChunkListResponse>(async (request) => {
    const found = await end.chunkList(refOf(request))
    if (found === null) throw notHere(request.sha256)
    const data = found.subarray(request.offset, request.offset + LIST_PART_BYTES)
    return create(ChunkListResponseSchema, { data })
  })

  const chunk = unary<ChunkRequest, ChunkResponse>((request, signal) =>
    reading.take(async () => {
      const data = signal.aborted ? null : await end.chunk(refOf(request), request.index, signal)
      if (data === null) throw notHere(`${request.sha256}, chunk ${request.index}`)
      return create(ChunkResponseSchema, { data })
    }),
  )

  async function fetch(call: grpc.ServerWritableStream<FetchRequest, FetchResponse>) {
    const gone = new AbortController()
    call.on('cancelled', () => gone.abort())
    call.on('error', () => gone.abort())
    try {
      end.admit(call)
      const { sha256, offset } = call.request
      if (offset > Number.MAX_SAFE_INTEGER) throw new MalleeError('BadMessage', `offset ${offset}`)
      const bytes = await end.open(digest(sha256), Number(offset))
      if (bytes === null) throw notHere(sha256)
      for await (const part of bytes) {
        if (gone.signal.aborted) return
        await send(call, part, gone.signal)
      }
      call.end()
    } catch (error) {
      if (!gone.signal.aborted) call.emit('error', errorToStatus(error))
    }
  }
  const implementation = { fetch, chunkList, chunk }
  return { definition: serviceDefinition(BlobService), implementation }
}

/**
 * The chunk list of a file. Throws ImageCorrupt when it is not the one that is meant, NotFound, or
 * Unavailable.
 */
export async function fetchChunkList(
  connection: grpc.Client,
  ref: ImageRef,
  deadlineMs: number,
  signal?: AbortSignal,
): Promise<ChunkList> {
  const parts: Uint8Array[] = []
  let offset = 0
  for (;;) {
    const request = create(ChunkListRequestSchema, { ...ref, offset })
    const method = methodDefinition(BlobService.method.chunkList)
    const { data } = await callUnary(connection, method, request, deadlineMs, signal)
    if (data.length === 0) break
    offset += data.length
    if (offset > MAX_LIST_BYTES) throw wrong(ref, `has more than ${MAX_LIST_BYTES} bytes`)
    parts.push(data)
  }
  const list = parseChunkList(Buffer.concat(parts))
  if (list.sha256 !== ref.listSha256) throw wrong(ref, `is not ${ref.listSha256}`)
  return list
}

/**
 * One chunk, checked. Throws ImageCorrupt for other bytes than the list says, NotFound, or
 * Unavailable and CommandTimeout.
 */
export async function fetchChunk(
  connection: grpc.Client,
  ref: ImageRef,
  list: ChunkList,
  index: number,
  deadlineMs: number,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const request = create(ChunkRequestSchema, { ...ref, index })
  const method = methodDefinition(BlobService.method.chunk)
  const { data } = await callUnary(connection, method, request, deadlineMs, signal)
  if (isChunk(list, index, data)) return data
  throw new MalleeError('ImageCorrupt', `chunk ${index} of ${ref.sha256} came with other bytes`)
}

function wrong({ sha256 }: ImageRef, why: string): MalleeError {
  return new MalleeError('ImageCorrupt', `the chunk list of ${sha256} ${why}`)
}

function notHere(what: string): MalleeError {
  return new MalleeError('NotFound', `no file ${what} here`)
}

function refOf({ sha256, listSha256 }: ImageRef): ImageRef {
  return { sha256: digest(sha256), listSha256: digest(listSha256) }
}

/** It becomes a path. */
function digest(text: string): string {
  if (/^[0-9a-f]{64}$/.test(text)) return text
  throw new MalleeError('BadMessage', 'no SHA-256 in lower-case hex')
}

async function send(
  call: grpc.ServerWritableStream<FetchRequest, FetchResponse>,
  bytes: Uint8Array,
  gone: AbortSignal,
): Promise<void> {
  for (let at = 0; at < bytes.length; at += PART_BYTES) {
    const data = bytes.subarray(at, at + PART_BYTES)
    if (call.write(create(FetchResponseSchema, { data }))) continue
    await new Promise<void>((resolve) => {
      call.once('drain', done)
      gone.addEventListener('abort', done)
      function done() {
        call.off('drain', done)
        gone.removeEventListener('abort', done)
        resolve()
      }
    })
    if (gone.aborted) return
  }
}
