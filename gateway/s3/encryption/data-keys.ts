// The keys that objects' bytes are encrypted with: each blob and each small object has one of its
// own, kept beside where it is and sealed (RFC 3394) for the bucket, key and part that it is of.

import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createSecretKey,
  type KeyObject,
  timingSafeEqual,
} from 'node:crypto'
import type { RandomHex } from '../../../common/clock.ts'
import { MalleeError } from '../../../common/errors.ts'
import type { DerivedKey } from '../../secrets.ts'

const KEY_BYTES = 32
const SALT_BYTES = 16
const WRAP = 'id-aes256-wrap'
/** What RFC 3394 begins with (2.2.3.1): a key that is not the right one does not lead there. */
const WRAP_START = Buffer.alloc(8, 0xa6)
/** Of a key of KEY_BYTES. */
const WRAPPED_BYTES = KEY_BYTES + WRAP_START.length
/** In the place of the id of a key of the cloud. */
const OF_CUSTOMER = 'customer'

/** What a key is of. It opens for nothing else. */
export interface KeyPlace {
  /** The bucket's id. */
  readonly bucket: string
  readonly key: string
  /** Of the part. */
  readonly number: number
}

export interface DataKey {
  readonly key: KeyObject
  /** As the index has it. */
  readonly sealed: string
}

/** A key that a client brings, of 256 bits. It is not kept. */
export interface CustomerKey {
  readonly key: KeyObject
  /** In base64, as clients say and are told it. */
  readonly md5: string
}

/** Tells whether a key is the one that it was made for, and nothing else about it. */
export interface KeyProof {
  readonly salt: string
  readonly hmac: string
}

export interface DataKeys {
  /** A key for new bytes, sealed by the cloud or by a customer's key. */
  readonly fresh: (place: KeyPlace, customer: CustomerKey | null) => DataKey
  /**
   * Throws DataCorrupt that names the place when it was sealed for another one, with another key
   * of a customer's, or under a master key that is not here.
   */
  readonly open: (sealed: string, place: KeyPlace, customer: CustomerKey | null) => KeyObject
  /** One of the cloud's, sealed for another place. Throws as open. */
  readonly moved: (sealed: string, from: KeyPlace, to: KeyPlace) => string
  readonly proofOf: (customer: CustomerKey) => KeyProof
}

/** `cloud`: what seals the keys of objects for which nobody brings one. */
export function createDataKeys(cloud: DerivedKey, randomHex: RandomHex): DataKeys {
  const wrap = (bytes: Buffer, place: KeyPlace, customer: CustomerKey | null): string => {
    const cipher = createCipheriv(WRAP, sealingKey(customer?.key ?? cloud.key, place), WRAP_START)
    const sealed = Buffer.concat([cipher.update(bytes), cipher.final()]).toString('base64url')
    return `${customer === null ? cloud.id : OF_CUSTOMER}.${sealed}`
  }
  const unwrap = (sealed: string, place: KeyPlace, customer: CustomerKey | null): Buffer => {
    const [id, text = ''] = sealed.split('.')
    if (id !== (customer === null ? cloud.id : OF_CUSTOMER)) {
      throw refused(place, `is sealed with the key ${id}, which is not here`)
    }
    const sealing = sealingKey(customer?.key ?? cloud.key, place)
    const wrapped = Buffer.from(text, 'base64url')
    if (wrapped.length !== WRAPPED_BYTES) throw refused(place, 'is not whole')
    try {
      const decipher = createDecipheriv(WRAP, sealing, WRAP_START)
      return Buffer.concat([decipher.update(wrapped), decipher.final()])
    } catch {
      throw refused(place, 'was changed or is of something else')
    }
  }
  return {
    fresh: (place, customer) => {
      const bytes = Buffer.from(randomHex(KEY_BYTES), 'hex')
      const sealed = wrap(bytes, place, customer)
      return { key: taken(bytes), sealed }
    },
    open: (sealed, place, customer) => taken(unwrap(sealed, place, customer)),
    moved: (sealed, from, to) => {
      const bytes = unwrap(sealed, from, null)
      const again = wrap(bytes, to, null)
      bytes.fill(0)
      return again
    },
    proofOf: (customer) => {
      const salt = randomHex(SALT_BYTES)
      return { salt, hmac: proofWith(customer, salt).toString('hex') }
    },
  }
}

/** A key of 256 bits from its bytes, which are wiped. */
export function customerKey(bytes: Buffer): CustomerKey {
  const md5 = createHash('md5').update(bytes).digest('base64')
  return { key: taken(bytes), md5 }
}

export function isProven({ salt, hmac }: KeyProof, customer: CustomerKey): boolean {
  return timingSafeEqual(Buffer.from(hmac, 'hex'), proofWith(customer, salt))
}

function proofWith({ key }: CustomerKey, salt: string): Buffer {
  return createHmac('sha256', key).update(`proof ${salt}`).digest()
}

/** Of one place only: what is sealed with it says by that where it belongs. */
function sealingKey(by: KeyObject, { bucket, key, number }: KeyPlace): KeyObject {
  const place = JSON.stringify([bucket, key, number])
  return taken(createHmac('sha256', by).update(`seal ${place}`).digest())
}

/** The bytes are wiped: Node keeps its own copy, where no script sees it. */
function taken(bytes: Buffer): KeyObject {
  const key = createSecretKey(bytes)
  bytes.fill(0)
  return key
}

function refused({ bucket, key, number }: KeyPlace, why: string): MalleeError {
  return new MalleeError('DataCorrupt', `the key of part ${number} of ${bucket}/${key} ${why}`)
}
