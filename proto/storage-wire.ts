// How messages of storage become bytes: as all others, but for those that carry data. These are
// written here in one piece, as the general way copies a large field several times.

import type { DescField } from '@bufbuild/protobuf'
import type * as grpc from '@grpc/grpc-js'
import {
  BorrowRequestSchema,
  BorrowResponseSchema,
  OfferRequestSchema,
  OfferResponseSchema,
  type StorageAnswer,
  StorageAnswerSchema,
  type StorageAsk,
  StorageAskSchema,
  StorageService,
} from './gen/mallee/v1/storage_pb.js'
import { methodDefinition } from './service.ts'

/** Of a field with bytes or a message in it (Protocol Buffers, "Encoding"). */
const LENGTH_DELIMITED = 2
const MAX_VARINT_BYTES = 5

const ANSWER_DATA = StorageAnswerSchema.field.data
const ASK_DATA = StorageAskSchema.field.data

const OFFER = methodDefinition(StorageService.method.offer)
const BORROW = methodDefinition(StorageService.method.borrow)

export const offerMethod: typeof OFFER = {
  ...OFFER,
  requestSerialize: (message) => {
    const data = message.body.case === 'answer' ? dataIn(message.body.value) : null
    if (data === null) return OFFER.requestSerialize(message)
    return nested(OfferRequestSchema.field.answer, ANSWER_DATA, data)
  },
  responseSerialize: (message) => {
    const data = dataIn(message.ask)
    if (data === null) return OFFER.responseSerialize(message)
    return nested(OfferResponseSchema.field.ask, ASK_DATA, data)
  },
}

export const borrowMethod: typeof BORROW = {
  ...BORROW,
  requestSerialize: (message) => {
    const data = message.body.case === 'ask' ? dataIn(message.body.value) : null
    if (data === null) return BORROW.requestSerialize(message)
    return nested(BorrowRequestSchema.field.ask, ASK_DATA, data)
  },
  responseSerialize: (message) => {
    const data = dataIn(message.answer)
    if (data === null) return BORROW.responseSerialize(message)
    return nested(BorrowResponseSchema.field.answer, ANSWER_DATA, data)
  },
}

export const storageDefinition: grpc.ServiceDefinition = {
  offer: offerMethod,
  borrow: borrowMethod,
}

function dataIn(message: StorageAnswer | StorageAsk | undefined): Uint8Array | null {
  return message?.body.case === 'data' ? message.body.value : null
}

/** A message that has nothing but a message that has nothing but those bytes. */
function nested(outer: DescField, inner: DescField, data: Uint8Array): Buffer {
  const head = Buffer.allocUnsafe(2 * (1 + MAX_VARINT_BYTES))
  const innerHead = Buffer.allocUnsafe(1 + MAX_VARINT_BYTES)
  const innerBytes = writeHead(innerHead, inner, data.length)
  const outerBytes = writeHead(head, outer, innerBytes + data.length)
  innerHead.copy(head, outerBytes, 0, innerBytes)
  return Buffer.concat([head.subarray(0, outerBytes + innerBytes), data])
}

/** How many bytes the head of a field takes; its number is below 16. */
function writeHead(into: Buffer, { number }: DescField, length: number): number {
  into[0] = (number << 3) | LENGTH_DELIMITED
  let at = 1
  let left = length
  for (; left >= 0x80; left = left >>> 7) into[at++] = (left & 0x7f) | 0x80
  into[at++] = left
  return at
}
