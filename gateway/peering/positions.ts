// What a peer cloud asks about its own chain: where it stands here, and the receipts it was given.

import { create, fromJson, type JsonValue } from '@bufbuild/protobuf'
import type { Clock } from '../../common/clock.ts'
import {
  type PositionResponse,
  PositionResponseSchema,
  type Receipt,
  ReceiptSchema,
  type ReceiptsRequest,
  type ReceiptsResponse,
  ReceiptsResponseSchema,
} from '../../proto/gen/mallee/v1/peering_pb.js'
import type { State } from '../store/state.ts'
import { toHex } from './chain.ts'
import { noAgreement } from './heard.ts'

const MAX_RECEIPTS = 500

/** Throws NotAllowed without an agreement. */
export async function positionOf(
  { state, clock }: { readonly state: State; readonly clock: Clock },
  uid: string,
): Promise<PositionResponse> {
  const peer = (await state.fresh()).get('peer', uid)
  if (peer === null || peer.state === 'removing') throw noAgreement()
  const { epoch, sequence, hash } = peer.heard
  return create(PositionResponseSchema, {
    epoch: Buffer.from(epoch, 'hex'),
    sequence: BigInt(sequence),
    hash: Buffer.from(hash, 'hex'),
    clockMs: BigInt(clock.nowMs()),
  })
}

/** Of one chain, as the log has them, in their order. */
export async function receiptsOf(
  state: State,
  uid: string,
  { epoch, afterSequence }: ReceiptsRequest,
): Promise<ReceiptsResponse> {
  const view = await state.fresh()
  if (view.get('peer', uid) === null) throw noAgreement()
  const of = toHex(epoch)
  const receipts: Receipt[] = []
  for (const { what, receipt } of view.withPrefix('peer-audit', `${uid}/`)) {
    if (what !== 'heard' || receipt === undefined) continue
    const given = fromJson(ReceiptSchema, receipt as JsonValue)
    if (toHex(given.epoch) !== of || given.sequence <= afterSequence) continue
    if (receipts.push(given) >= MAX_RECEIPTS) break
  }
  return create(ReceiptsResponseSchema, { receipts })
}
