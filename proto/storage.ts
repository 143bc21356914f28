// Streams of storage between members: a rack's hosts offer them, gateways ask on them, and a
// gateway that has none of a rack borrows one of the gateway that has.

import { create } from '@bufbuild/protobuf'
import type * as grpc from '@grpc/grpc-js'
import type { Clock } from '../common/clock.ts'
import { MalleeError } from '../common/errors.ts'
import { type Identity, isName } from '../common/identity.ts'
import {
  type BorrowRequest,
  BorrowRequestSchema,
  type BorrowResponse,
  BorrowResponseSchema,
  type OfferRequest,
  OfferRequestSchema,
  type OfferResponse,
  OfferResponseSchema,
  type StorageAnswer,
  type StorageAsk,
  type StorageTarget,
  StorageTargetSchema,
} from './gen/mallee/v1/storage_pb.js'
import { errorToStatus, type RpcService } from './service.ts'
import { joinLanes, type Lane, laneOf } from './storage-lane.ts'
import { borrowMethod, offerMethod, storageDefinition } from './storage-wire.ts'
import { peerIdentity, peerKeyFingerprint } from './tls.ts'

/** The end that asks. */
export type AskingLane = Lane<StorageAnswer, StorageAsk>
/** The end that has the disks. */
export type AnsweringLane = Lane<StorageAsk, StorageAnswer>
/** Of an answering lane before it has said whose it is. */
type UnnamedLane = Lane<StorageAnswer | string, StorageAsk>

/** How long somebody may take to say what the stream is for. */
const FIRST_MESSAGE_MS = 5_000
/** Bytes of one message of data. */
export const MAX_DATA_BYTES = 1 << 20
/** No part of an object is longer (5 GiB), with whatever encrypting it adds. */
export const MAX_BLOB_BYTES = 6 * 2 ** 30

export interface Offered {
  readonly peer: Identity
  readonly keyFingerprint: string
  /** Whose disks it says they are. */
  readonly host: string
  readonly lane: AskingLane
}

export interface StorageEnd {
  /** Takes a stream. Throws MalleeError for one that it does not want. */
  offered(offered: Offered): Promise<void>
  /** Opens one for another gateway; a CC does not. Throws MalleeError. */
  lend?(caller: Identity, target: StorageTarget): Promise<AskingLane>
}

/** The parent's service. */
export function storageService(end: StorageEnd, clock: Clock): RpcService {
  const open = new Set<Pick<AskingLane, 'close'>>()

  function track<L extends AskingLane | AnsweringLane>(lane: L): L {
    open.add(lane)
    lane.gone.addEventListener('abort', () => open.delete(lane), { once: true })
    return lane
  }

  async function offer(call: grpc.ServerDuplexStream<OfferRequest, OfferResponse>): Promise<void> {
    await orEnd(call, async () => {
      const all: UnnamedLane = laneOf(call, offerResponse, ({ body }) => body.value ?? null)
      const host = await first(all, clock)
      if (typeof host !== 'string' || !isName(host)) {
        throw new MalleeError('BadMessage', 'the name of the host comes first')
      }
      const lane = track(answersOnly(all))
      await end.offered({ ...callerOf(call), host, lane })
    })
  }

  async function borrow(
    call: grpc.ServerDuplexStream<BorrowRequest, BorrowResponse>,
  ): Promise<void> {
    await orEnd(call, async () => {
      const all: Lane<StorageTarget | StorageAsk, StorageAnswer> = laneOf(
        call,
        (answer) => create(BorrowResponseSchema, { answer }),
        ({ body }) => body.value ?? null,
      )
      const target = await first(all, clock)
      if (target?.$typeName !== 'mallee.v1.StorageTarget') {
        throw new MalleeError('BadMessage', 'the target comes first')
      }
      const lane = await end.lend?.(callerOf(call).peer, target)
      if (lane === undefined) throw new MalleeError('NotSupported', 'this is no gateway')
      void joinLanes(lane, track(asksOnly(all)))
    })
  }

  return {
    definition: storageDefinition,
    implementation: { offer, borrow },
    drain: async (reason) => {
      for (const lane of open) lane.close(new MalleeError('Unavailable', reason))
    },
  }
}

/** Offers a stream to the parent, over the connection of the agent's session. */
export function offerLane(connection: grpc.Client, host: string): AnsweringLane {
  const { path, requestSerialize, responseDeserialize } = offerMethod
  const call = connection.makeBidiStreamRequest(path, requestSerialize, responseDeserialize)
  call.write(create(OfferRequestSchema, { body: { case: 'host', value: host } }))
  return laneOf(
    call,
    (value: StorageAnswer) => create(OfferRequestSchema, { body: { case: 'answer', value } }),
    ({ ask }: OfferResponse) => ask ?? null,
  )
}

/** A stream of a host whose streams another gateway has. */
export function borrowLane(
  connection: grpc.Client,
  target: Omit<StorageTarget, '$typeName' | '$unknown'>,
): AskingLane {
  const { path, requestSerialize, responseDeserialize } = borrowMethod
  const call = connection.makeBidiStreamRequest(path, requestSerialize, responseDeserialize)
  const value = create(StorageTargetSchema, target)
  call.write(create(BorrowRequestSchema, { body: { case: 'target', value } }))
  return laneOf(
    call,
    (ask: StorageAsk) => create(BorrowRequestSchema, { body: { case: 'ask', value: ask } }),
    ({ answer }: BorrowResponse) => answer ?? null,
  )
}

function offerResponse(ask: StorageAsk): OfferResponse {
  return create(OfferResponseSchema, { ask })
}

function callerOf(call: grpc.ServerDuplexStream<unknown, unknown>) {
  return { peer: peerIdentity(call), keyFingerprint: peerKeyFingerprint(call) }
}

/** What is thrown is the call's end. */
async function orEnd(
  call: Pick<grpc.ServerDuplexStream<unknown, unknown>, 'emit'>,
  run: () => Promise<void>,
): Promise<void> {
  try {
    await run()
  } catch (error) {
    call.emit('error', errorToStatus(error))
  }
}

async function first<T>(lane: Lane<T, never>, clock: Clock): Promise<T | null> {
  const heard = new AbortController()
  void clock.sleep(FIRST_MESSAGE_MS, heard.signal).then(() => {
    if (!heard.signal.aborted) lane.close(new MalleeError('BadMessage', 'nothing came'))
  })
  try {
    return await lane.next()
  } finally {
    heard.abort()
  }
}

/** Nobody says a second time who they are. */
function answersOnly(lane: UnnamedLane): AskingLane {
  return { ...lane, next: () => only(lane, (one) => (typeof one === 'string' ? null : one)) }
}

function asksOnly(lane: Lane<StorageTarget | StorageAsk, StorageAnswer>): AnsweringLane {
  const isAsk = (one: StorageTarget | StorageAsk): StorageAsk | null =>
    one.$typeName === 'mallee.v1.StorageAsk' ? one : null
  return { ...lane, next: () => only(lane, isAsk) }
}

async function only<T, U>(
  lane: Pick<Lane<T, never>, 'next' | 'close'>,
  find: (message: T) => U | null,
): Promise<U | null> {
  const message = await lane.next()
  const found = message === null ? null : find(message)
  if (message === null || found !== null) return found
  const error = new MalleeError('BadMessage', 'a message out of place')
  lane.close(error)
  throw error
}
