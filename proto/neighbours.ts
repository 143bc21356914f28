// How nodes of a rack find each other for image bytes: they tell their CC what they have, and ask
// it who has what they need.

import { create } from '@bufbuild/protobuf'
import type * as grpc from '@grpc/grpc-js'
import { MalleeError } from '../common/errors.ts'
import {
  type AnnounceRequest,
  AnnounceRequestSchema,
  type AnnounceResponse,
  AnnounceResponseSchema,
  NeighbourService,
  type NeighboursRequest,
  NeighboursRequestSchema,
  type NeighboursResponse,
  NeighboursResponseSchema,
} from './gen/mallee/v1/blob_pb.js'
import {
  callUnary,
  errorToStatus,
  methodDefinition,
  type RpcService,
  serviceDefinition,
} from './service.ts'
import type { SecuredCall } from './tls.ts'

export interface Neighbour {
  readonly host: string
  readonly address: string
  readonly port: number
  readonly whole: boolean
}

/** What a node has, by digest; true for all of it. */
export type HeldImages = ReadonlyMap<string, boolean>

export interface NeighboursEnd {
  /** The name of the caller. Throws NotAllowed for who is none of the rack's nodes. */
  readonly admit: (call: SecuredCall) => string
  readonly announced: (
    host: string,
    said: { readonly address: string; readonly port: number; readonly images: HeldImages },
  ) => void
  readonly of: (sha256: string, asking: string) => readonly Neighbour[]
}

/** Images of one node. */
const MAX_HELD = 1_000

export function neighbourService(end: NeighboursEnd): RpcService {
  function unary<Req, Res>(run: (host: string, request: Req, peer: string) => Res) {
    return (call: grpc.ServerUnaryCall<Req, Res>, reply: grpc.sendUnaryData<Res>) => {
      try {
        const host = end.admit(call)
        reply(null, run(host, call.request, call.getPeer()))
      } catch (error) {
        reply(errorToStatus(error))
      }
    }
  }
  const announce = unary<AnnounceRequest, AnnounceResponse>((host, { port, images }, peer) => {
    if (images.length > MAX_HELD || port < 1 || port > 65_535) {
      throw new MalleeError('BadMessage', `${images.length} images at port ${port}`)
    }
    const held = new Map(images.map(({ sha256, whole }) => [sha256, whole]))
    end.announced(host, { address: addressOf(peer), port, images: held })
    return create(AnnounceResponseSchema)
  })
  const neighbours = unary<NeighboursRequest, NeighboursResponse>((host, { sha256 }) =>
    create(NeighboursResponseSchema, {
      neighbours: end.of(sha256, host).map((one) => ({ ...one })),
    }),
  )
  return {
    definition: serviceDefinition(NeighbourService),
    implementation: { announce, neighbours },
  }
}

/** Tells the CC what this node has and where it serves it. */
export async function announce(
  connection: grpc.Client,
  port: number,
  images: HeldImages,
  deadlineMs: number,
): Promise<void> {
  const held = [...images].slice(0, MAX_HELD).map(([sha256, whole]) => ({ sha256, whole }))
  const request = create(AnnounceRequestSchema, { port, images: held })
  await callUnary(
    connection,
    methodDefinition(NeighbourService.method.announce),
    request,
    deadlineMs,
  )
}

export async function askNeighbours(
  connection: grpc.Client,
  sha256: string,
  deadlineMs: number,
): Promise<Neighbour[]> {
  const request = create(NeighboursRequestSchema, { sha256 })
  const method = methodDefinition(NeighbourService.method.neighbours)
  const { neighbours } = await callUnary(connection, method, request, deadlineMs)
  return neighbours.map(({ host, address, port, whole }) => ({ host, address, port, whole }))
}

/** grpc-js says `10.0.0.2:4711`, `[fd00::2]:4711`, and IPv4 on a socket of both as `::ffff:…`. */
function addressOf(peer: string): string {
  const at = peer.slice(0, peer.lastIndexOf(':')).replace(/^\[|\]$/g, '')
  return at.replace(/^::ffff:(?=\d+\.)/i, '')
}
