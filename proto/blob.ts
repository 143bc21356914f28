// Files by content digest, between members: the sender streams from any offset, the receiver keeps
// what it has, checks the whole, and only then gives the file its name.

import { createHash, type Hash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { create } from '@bufbuild/protobuf'
import type * as grpc from '@grpc/grpc-js'
import type { Clock } from '../common/clock.ts'
import { syncFolder } from '../common/durable-file.ts'
import { MalleeError } from '../common/errors.ts'
import {
  BlobService,
  type FetchRequest,
  FetchRequestSchema,
  type FetchResponse,
  FetchResponseSchema,
} from './gen/mallee/v1/blob_pb.js'
import { Pulse } from './pulse.ts'
import {
  dial,
  errorToStatus,
  methodDefinition,
  type RpcService,
  serviceDefinition,
  statusToError,
} from './service.ts'
import { clientCredentials, type Expect, type TlsIdentity } from './tls.ts'

/** The bytes from `offset` on, or null when there is no such file. */
export type OpenBlob = (
  sha256: string,
  offset: number,
) => Promise<AsyncIterable<Uint8Array> | null> | AsyncIterable<Uint8Array> | null

export interface BlobSource {
  readonly host: string
  readonly port: number
  readonly identity: TlsIdentity
  readonly expect: Expect
}

export interface FetchOptions {
  readonly clock: Clock
  /** Bytes of the whole file, at most. */
  readonly maxBytes: number
  /** Keep `<file>.partial` of an earlier try; true when not given. */
  readonly resume?: boolean
  /** Bytes of the file that are here. */
  readonly onProgress?: (bytes: number) => void
  readonly signal?: AbortSignal
}

const CHUNK_BYTES = 256 << 10
const STALL_CHECK_MS = 5_000
const STALLED_MS = 30_000

/** Serves what `open` gives. For members only: mount it on the session port. */
export function blobService(open: OpenBlob): RpcService {
  async function fetch(call: grpc.ServerWritableStream<FetchRequest, FetchResponse>) {
    const gone = new AbortController()
    call.on('cancelled', () => gone.abort())
    call.on('error', () => gone.abort())
    try {
      const { sha256, offset } = call.request
      if (!isDigest(sha256)) throw new MalleeError('BadMessage', 'no SHA-256 in lower-case hex')
      if (offset > Number.MAX_SAFE_INTEGER) throw new MalleeError('BadMessage', `offset ${offset}`)
      const bytes = await open(sha256, Number(offset))
      if (bytes === null) throw new MalleeError('NotFound', `no file ${sha256} here`)
      for await (const chunk of bytes) {
        if (gone.signal.aborted) return
        await send(call, chunk, gone.signal)
      }
      call.end()
    } catch (error) {
      if (!gone.signal.aborted) call.emit('error', errorToStatus(error))
    }
  }
  return { definition: serviceDefinition(BlobService), implementation: { fetch } }
}

/**
 * Fetches a file. One caller at a time per `file`. Throws ImageCorrupt when the bytes do not have
 * the digest or are more than `maxBytes` (what came is removed then), NotFound, or Unavailable
 * (what came stays for the next try).
 */
export async function fetchBlob(
  source: BlobSource,
  sha256: string,
  file: string,
  options: FetchOptions,
): Promise<void> {
  if (!isDigest(sha256)) throw new MalleeError('BadArgument', `${sha256} is no SHA-256`)
  const partial = `${file}.partial`
  if (options.resume === false) await rm(partial, { force: true })
  const handle = await open(partial, 'a', 0o600)
  try {
    const { hash, bytes } = await hashOf(partial)
    const total = await receive(source, { sha256, offset: bytes }, { handle, hash, options })
    if (hash.digest('hex') !== sha256) {
      throw new MalleeError('ImageCorrupt', `${total} bytes came that are not ${sha256}`)
    }
    await handle.sync()
  } catch (error) {
    if (error instanceof MalleeError && error.code === 'ImageCorrupt') {
      await rm(partial, { force: true })
    }
    throw error
  } finally {
    await handle.close()
  }
  await rename(partial, file)
  await syncFolder(dirname(file))
}

interface Sink {
  readonly handle: FileHandle
  readonly hash: Hash
  readonly options: FetchOptions
}

/** How many bytes the file has in the end. */
async function receive(
  source: BlobSource,
  { sha256, offset }: { sha256: string; offset: number },
  { handle, hash, options }: Sink,
): Promise<number> {
  const { clock, maxBytes, onProgress, signal } = options
  const connection = dial(
    source.host,
    source.port,
    clientCredentials(source.identity, source.expect),
  )
  const { path, requestSerialize, responseDeserialize } = methodDefinition(BlobService.method.fetch)
  const request = create(FetchRequestSchema, { sha256, offset: BigInt(offset) })
  const call = connection.makeServerStreamRequest(
    path,
    requestSerialize,
    responseDeserialize,
    request,
  )
  // Cancelling a stream that nobody iterates any more still ends in an error event.
  call.on('error', () => undefined)
  const cancel = () => call.cancel()
  signal?.addEventListener('abort', cancel, { once: true })
  const pulse = new Pulse({ clock, idle: () => false, beat: () => undefined, silent: cancel })
  pulse.start(STALL_CHECK_MS, STALLED_MS)
  let total = offset
  try {
    // Iterating reads no further than we have written: the sender waits for our disk.
    for await (const { data } of call as AsyncIterable<FetchResponse>) {
      pulse.heard()
      total += data.length
      if (total > maxBytes) {
        throw new MalleeError('ImageCorrupt', `${sha256} is longer than ${maxBytes} bytes`)
      }
      hash.update(data)
      await handle.writeFile(data)
      onProgress?.(total)
    }
    return total
  } catch (error) {
    // The file system's errors are not the network's.
    if ((error as NodeJS.ErrnoException).syscall !== undefined) throw error
    throw statusToError(error)
  } finally {
    pulse.stop()
    signal?.removeEventListener('abort', cancel)
    call.cancel()
    connection.close()
  }
}

async function hashOf(file: string): Promise<{ hash: Hash; bytes: number }> {
  const hash = createHash('sha256')
  let bytes = 0
  for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) {
    hash.update(chunk)
    bytes += chunk.length
  }
  return { hash, bytes }
}

async function send(
  call: grpc.ServerWritableStream<FetchRequest, FetchResponse>,
  bytes: Uint8Array,
  gone: AbortSignal,
): Promise<void> {
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
    const data = bytes.subarray(at, at + CHUNK_BYTES)
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

function isDigest(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text)
}
