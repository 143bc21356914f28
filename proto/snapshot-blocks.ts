// Snapshots' bytes between members: what a gateway serves, a CC passes on, and an SC asks. Every
// message is small and answered by itself, so that who is slow holds no more than what it asked.

import { create } from '@bufbuild/protobuf'
import type * as grpc from '@grpc/grpc-js'
import type { Clock } from '../common/clock.ts'
import { MalleeError } from '../common/errors.ts'
import { isName } from '../common/identity.ts'
import {
  ENTRIES_PER_PAGE,
  isSha256,
  MAX_PAGE_BYTES,
  type PageKind,
  type Sealed,
  SNAPSHOT_BLOCK_BYTES,
} from '../common/snapshot-manifest.ts'
import * as wire from './gen/mallee/v1/snapshots_pb.js'
import {
  callUnary,
  errorToStatus,
  methodDefinition,
  type RpcService,
  serviceDefinition,
} from './service.ts'
import type { SecuredCall } from './tls.ts'
import { Turns } from './turns.ts'

/** Blocks that may be asked for at a time with `missing`. */
export const MAX_ASKED = ENTRIES_PER_PAGE
/** Requests of all callers that are worked on, and that wait. */
const MAX_RUNNING = 32
const MAX_WAITING = 256
/** Of those, of one host over one connection. */
const MAX_OF_ONE = 64
/** For one answer. */
const ASK_MS = 60_000

/** Whose bytes, and for which host. */
export interface SnapshotUse {
  readonly host: string
  readonly snapshotId: string
}

/** One snapshot's bytes, as a host may use them. All throw NotAllowed for what it may not. */
export interface SnapshotBlocksEnd {
  /** Those of some blocks, at most MAX_ASKED, that are to be put. */
  missing(sha256s: readonly string[]): Promise<readonly string[]>
  /** Throws DataCorrupt when the bytes are others than `sha256` says, BadArgument for zeroes. */
  putBlock(block: Sealed): Promise<void>
  /**
   * Returns what it lists and is not there; nothing was kept then, and the same is to be said again
   * after that was put. Throws BadMessage for what is no page.
   */
  putPage(bytes: Uint8Array): Promise<readonly string[]>
  /** As putPage; the snapshot has its manifest when nothing was missing. */
  putRoot(bytes: Uint8Array): Promise<readonly string[]>
  /** Throws NotFound when the snapshot is not complete, DataCorrupt. */
  root(): Promise<Uint8Array>
  /** Throws NotFound when all of it is zeroes, DataCorrupt. */
  page(kind: PageKind, number: number): Promise<Uint8Array>
  /** Throws NotFound when it is zeroes, DataCorrupt. */
  block(index: number): Promise<Uint8Array>
}

export interface SnapshotBlocksDoor {
  /** Throws NotAllowed, Unavailable. */
  readonly open: (call: SecuredCall, use: SnapshotUse) => SnapshotBlocksEnd
}

const KINDS = {
  branch: wire.ManifestPageKind.BRANCH,
  leaf: wire.ManifestPageKind.LEAF,
} as const

/** For members only: mount it on the session port. */
export function snapshotBlocksService(door: SnapshotBlocksDoor): RpcService {
  const turns = new Turns(MAX_RUNNING, MAX_WAITING)
  const asking = new Map<string, number>()

  /** A host that asks without end keeps others from nothing. */
  async function inTurn<T>(who: string, run: () => Promise<T>): Promise<T> {
    const before = asking.get(who) ?? 0
    if (before >= MAX_OF_ONE) {
      throw new MalleeError('TooManyRequests', `${MAX_OF_ONE} requests of this host are under way`)
    }
    asking.set(who, before + 1)
    try {
      return await turns.take(run)
    } finally {
      const left = (asking.get(who) ?? 1) - 1
      if (left === 0) asking.delete(who)
      else asking.set(who, left)
    }
  }

  function unary<Req extends { readonly use?: wire.SnapshotUse | undefined }, Res>(
    run: (end: SnapshotBlocksEnd, request: Req) => Promise<Res>,
  ) {
    return async (call: grpc.ServerUnaryCall<Req, Res>, reply: grpc.sendUnaryData<Res>) => {
      try {
        const use = useIn(call.request.use)
        const end = door.open(call, use)
        const answer = await inTurn(`${call.getPeer()} ${use.host}`, async () =>
          call.cancelled ? null : run(end, call.request),
        )
        if (answer !== null) reply(null, answer)
      } catch (error) {
        reply(errorToStatus(error))
      }
    }
  }

  return {
    definition: serviceDefinition(wire.SnapshotBlocksService),
    implementation: {
      missing: unary<wire.MissingRequest, wire.MissingResponse>(async (end, request) => {
        const sha256 = [...(await end.missing(digestsIn(request.sha256)))]
        return create(wire.MissingResponseSchema, { sha256 })
      }),
      putBlock: unary<wire.PutBlockRequest, wire.PutBlockResponse>(async (end, request) => {
        const [sha256 = ''] = digestsIn([request.sha256])
        checkLength(request.data, SNAPSHOT_BLOCK_BYTES, SNAPSHOT_BLOCK_BYTES)
        await end.putBlock({ sha256, bytes: request.data })
        return create(wire.PutBlockResponseSchema)
      }),
      putPage: unary<wire.PutPageRequest, wire.PutPageResponse>(async (end, { data }) => {
        checkLength(data, 1, MAX_PAGE_BYTES)
        return create(wire.PutPageResponseSchema, { missingSha256: [...(await end.putPage(data))] })
      }),
      putRoot: unary<wire.PutRootRequest, wire.PutRootResponse>(async (end, { data }) => {
        checkLength(data, 1, MAX_PAGE_BYTES)
        return create(wire.PutRootResponseSchema, { missingSha256: [...(await end.putRoot(data))] })
      }),
      getRoot: unary<wire.GetRootRequest, wire.GetRootResponse>(async (end) =>
        create(wire.GetRootResponseSchema, { data: await end.root() }),
      ),
      getPage: unary<wire.GetPageRequest, wire.GetPageResponse>(async (end, { kind, number }) =>
        create(wire.GetPageResponseSchema, { data: await end.page(kindIn(kind), number) }),
      ),
      getBlock: unary<wire.GetBlockRequest, wire.GetBlockResponse>(async (end, { index }) =>
        create(wire.GetBlockResponseSchema, { data: await end.block(index) }),
      ),
    },
  }
}

/**
 * The same over a connection, not checked: see snapshot-reading.ts. Throws what the other side
 * throws, Unavailable.
 */
export function remoteSnapshotBlocks(
  connection: grpc.Client,
  use: SnapshotUse,
  clock: Clock,
): SnapshotBlocksEnd {
  const { method } = wire.SnapshotBlocksService
  function ask<Req, Res>(how: grpc.MethodDefinition<Req, Res>, request: Req): Promise<Res> {
    return callUnary(connection, how, request, clock.nowMs() + ASK_MS)
  }
  return {
    missing: async (sha256s) => {
      const request = create(wire.MissingRequestSchema, { use, sha256: [...sha256s] })
      return (await ask(methodDefinition(method.missing), request)).sha256
    },
    putBlock: async ({ sha256, bytes: data }) => {
      const request = create(wire.PutBlockRequestSchema, { use, sha256, data })
      await ask(methodDefinition(method.putBlock), request)
    },
    putPage: async (data) => {
      const request = create(wire.PutPageRequestSchema, { use, data })
      return (await ask(methodDefinition(method.putPage), request)).missingSha256
    },
    putRoot: async (data) => {
      const request = create(wire.PutRootRequestSchema, { use, data })
      return (await ask(methodDefinition(method.putRoot), request)).missingSha256
    },
    root: async () => {
      const request = create(wire.GetRootRequestSchema, { use })
      return (await ask(methodDefinition(method.getRoot), request)).data
    },
    page: async (kind, number) => {
      const request = create(wire.GetPageRequestSchema, { use, kind: KINDS[kind], number })
      return (await ask(methodDefinition(method.getPage), request)).data
    },
    block: async (index) => {
      const request = create(wire.GetBlockRequestSchema, { use, index })
      return (await ask(methodDefinition(method.getBlock), request)).data
    },
  }
}

function useIn(use: wire.SnapshotUse | undefined): SnapshotUse {
  const { host = '', snapshotId = '' } = use ?? {}
  if (isName(host) && /^snap-[0-9a-f]{17}$/.test(snapshotId)) return { host, snapshotId }
  throw new MalleeError('BadMessage', 'no host and snapshot are named')
}

function digestsIn(sha256s: readonly string[]): readonly string[] {
  if (sha256s.length <= MAX_ASKED && sha256s.every(isSha256)) return sha256s
  throw new MalleeError('BadMessage', `no list of at most ${MAX_ASKED} SHA-256 in lower-case hex`)
}

function kindIn(kind: wire.ManifestPageKind): PageKind {
  if (kind === KINDS.branch) return 'branch'
  if (kind === KINDS.leaf) return 'leaf'
  throw new MalleeError('BadMessage', `${kind} is no kind of a manifest's page`)
}

function checkLength({ length }: Uint8Array, least: number, most: number): void {
  if (length >= least && length <= most) return
  throw new MalleeError('BadMessage', `${length} bytes came, not ${least} to ${most}`)
}
