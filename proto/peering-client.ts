// Calls to a peer cloud's gateways: whichever of its endpoints answers first, with its pinned CAs
// as the only trust.

import { create } from '@bufbuild/protobuf'
import type * as grpc from '@grpc/grpc-js'
import type { Clock } from '../common/clock.ts'
import { codeOf, MalleeError, messageOf } from '../common/errors.ts'
import { caDigest } from '../common/pki.ts'
import { parseAddress } from '../common/token.ts'
import {
  DeliverRequestSchema,
  type DeliverResponse,
  PeeringService,
  PositionRequestSchema,
  type PositionResponse,
  ReceiptsRequestSchema,
  type ReceiptsResponse,
} from './gen/mallee/v1/peering_pb.js'
import { fetchPinnedCa } from './membership-client.ts'
import { callUnary, connected, dial, methodDefinition } from './service.ts'
import { clientCredentials, type TlsIdentity } from './tls.ts'

export interface PeerAddress {
  readonly endpoints: readonly string[]
  /** Its name, as its certificates have it. */
  readonly cloud: string
  /** PEM, pinned. */
  readonly cas: readonly string[]
}

const CONNECT_MS = 5_000
const CALL_MS = 20_000

/** One connection at a time; the next call after a failure dials again. */
export class PeerConnection {
  readonly #identity: () => TlsIdentity
  readonly #clock: Clock
  #open: { readonly client: grpc.Client; readonly to: string } | null = null

  constructor(identity: () => TlsIdentity, clock: Clock) {
    this.#identity = identity
    this.#clock = clock
  }

  deliver(to: PeerAddress, batch: Uint8Array, signal: AbortSignal): Promise<DeliverResponse> {
    const clockMs = BigInt(this.#clock.nowMs())
    const request = create(DeliverRequestSchema, { batch, clockMs })
    return this.#call(to, methodDefinition(PeeringService.method.deliver), request, signal)
  }

  position(to: PeerAddress, signal: AbortSignal): Promise<PositionResponse> {
    const { position } = PeeringService.method
    return this.#call(to, methodDefinition(position), create(PositionRequestSchema), signal)
  }

  receipts(
    to: PeerAddress,
    epoch: Uint8Array,
    afterSequence: number,
    signal: AbortSignal,
  ): Promise<ReceiptsResponse> {
    const fields = { epoch, afterSequence: BigInt(afterSequence) }
    const request = create(ReceiptsRequestSchema, fields)
    return this.#call(to, methodDefinition(PeeringService.method.receipts), request, signal)
  }

  close(): void {
    this.#open?.client.close()
    this.#open = null
  }

  async #call<Req, Res>(
    to: PeerAddress,
    method: grpc.MethodDefinition<Req, Res>,
    request: Req,
    signal: AbortSignal,
  ): Promise<Res> {
    const client = await this.#dial(to, signal)
    try {
      return await callUnary(client, method, request, this.#clock.nowMs() + CALL_MS, signal)
    } catch (error) {
      if (error instanceof MalleeError && error.code === 'Unavailable') this.close()
      throw error
    }
  }

  /** Throws CaMismatch when a gateway answers with a certificate of no pinned CA, Unavailable. */
  async #dial(to: PeerAddress, signal: AbortSignal): Promise<grpc.Client> {
    const identity = this.#identity()
    const key = JSON.stringify([to, identity.certificatePem])
    if (this.#open?.to === key) return this.#open.client
    this.close()
    let last = new MalleeError('Unavailable', `cloud ${to.cloud} has no endpoint`)
    for (const endpoint of to.endpoints) {
      if (signal.aborted) break
      const { host, port } = parseAddress(endpoint)
      const trusted = { ...identity, caPem: to.cas.join('\n') }
      const credentials = clientCredentials(
        trusted,
        (peer) => peer.kind === 'gateway' && peer.cloud === to.cloud,
      )
      const client = dial(host, port, credentials)
      try {
        await this.#connected(client, to, endpoint)
        this.#open = { client, to: key }
        return client
      } catch (error) {
        client.close()
        last = error as MalleeError
      }
    }
    throw last
  }

  async #connected(client: grpc.Client, to: PeerAddress, endpoint: string): Promise<void> {
    try {
      await connected(client, this.#clock.nowMs() + CONNECT_MS)
    } catch (cause) {
      await checkPins(to, endpoint)
      throw new MalleeError('Unavailable', `${endpoint}: ${messageOf(cause)}`, { cause })
    }
  }
}

/** Throws CaMismatch when somebody answers there who shows none of the pinned CAs. */
async function checkPins({ cloud, cas }: PeerAddress, endpoint: string): Promise<void> {
  const { host, port } = parseAddress(endpoint)
  let strangers = 0
  for (const pem of cas) {
    try {
      await fetchPinnedCa(host, port, caDigest(pem), CONNECT_MS)
    } catch (error) {
      if (codeOf(error) === 'CaMismatch') strangers += 1
    }
  }
  if (strangers === 0 || strangers < cas.length) return
  const sentence = `${endpoint} shows a CA that cloud ${cloud} has not announced; nothing was sent to it`
  throw new MalleeError('CaMismatch', sentence)
}
