// Encryption at rest as requests say it: the cloud's keys (SSE-S3) or the client's (SSE-C), for
// what is written and for what is read (S3 user guide, "Protecting data with server-side
// encryption").

import { createHmac, timingSafeEqual } from 'node:crypto'
import type { RandomHex } from '../../../common/clock.ts'
import type { GatewayConfig } from '../../files.ts'
import type { Sealer } from '../../secrets.ts'
import type { BucketRecord } from '../../store/bucket-records.ts'
import {
  type CustomerKey,
  createDataKeys,
  customerKey,
  type DataKey,
  type DataKeys,
  isProven,
  type KeyPlace,
} from '../encryption/data-keys.ts'
import type { Encryption } from '../index/objects.ts'
import type { S3Call } from '../wire/call.ts'
import { denied, notImplemented, S3Error } from '../wire/error.ts'
import { invalidArgument } from '../wire/values.ts'

export interface Sealing {
  readonly keys: DataKeys
  /** What nobody says anything about is encrypted too. */
  readonly byDefault: boolean
  /** Keys of clients are taken from connections without TLS. */
  readonly overHttp: boolean
}

/** What a request says of a customer's key. */
export interface CustomerInput {
  readonly SSECustomerAlgorithm?: string | undefined
  readonly SSECustomerKey?: string | undefined
  readonly SSECustomerKeyMD5?: string | undefined
}

export interface EncryptionInput extends CustomerInput {
  readonly ServerSideEncryption?: string | undefined
  readonly SSEKMSKeyId?: string | undefined
  readonly SSEKMSEncryptionContext?: string | undefined
}

export interface CopiedFrom {
  readonly CopySourceSSECustomerAlgorithm?: string | undefined
  readonly CopySourceSSECustomerKey?: string | undefined
  readonly CopySourceSSECustomerKeyMD5?: string | undefined
}

/** How bytes are encrypted, and the key for it when a client brought one. */
export interface Ciphering {
  readonly encryption: Encryption | undefined
  readonly customer: CustomerKey | null
}

type Call<Input> = Pick<S3Call<Input>, 'input' | 'arrival'>

/** Of the key that seals those of objects. Never changes. */
const PURPOSE = 'keys of objects'
const AES = 'AES256'
const KEY_BYTES = 32
const ALGORITHM = 'x-amz-server-side-encryption-customer-algorithm'
const KEY = 'x-amz-server-side-encryption-customer-key'
const KEY_MD5 = `${KEY}-MD5`
const WITH_KEYS = 'Requests specifying Server Side Encryption with Customer provided keys must'

export function sealingFor(
  config: Pick<GatewayConfig, 'objectEncryption' | 'customerKeysOverHttp'>,
  sealer: Pick<Sealer, 'derive'>,
  randomHex: RandomHex,
): Sealing {
  return {
    keys: createDataKeys(sealer.derive(PURPOSE), randomHex),
    byDefault: config.objectEncryption === 'on',
    overHttp: config.customerKeysOverHttp === 'on',
  }
}

/** Of a new object, or of an upload that begins. Throws what S3 answers to what cannot be. */
export function newEncryption(
  sealing: Sealing,
  { encryption: ofBucket }: Pick<BucketRecord, 'encryption'>,
  call: Call<EncryptionInput>,
): Ciphering {
  const { input } = call
  const customer = keyIn(sealing, call)
  if (customer !== null) {
    if (input.ServerSideEncryption !== undefined) {
      const message =
        'Server Side Encryption with Customer provided key is incompatible with the encryption method specified'
      throw invalidArgument('x-amz-server-side-encryption', input.ServerSideEncryption, message)
    }
    if (ofBucket?.blocked === 'SSE-C') throw denied()
    return { encryption: { by: 'customer', proof: sealing.keys.proofOf(customer) }, customer }
  }
  refuseKms(input)
  if (input.ServerSideEncryption !== undefined) return { encryption: { by: 'cloud' }, customer }
  return defaultEncryption(sealing, { encryption: ofBucket })
}

/** Of an object that nobody says anything about. */
export function defaultEncryption(
  { byDefault }: Pick<Sealing, 'byDefault'>,
  { encryption }: { readonly encryption?: BucketRecord['encryption'] | undefined },
): Ciphering {
  const isAsked = encryption?.algorithm !== undefined || byDefault
  return { encryption: isAsked ? { by: 'cloud' } : undefined, customer: null }
}

/** Throws for every algorithm but AES256, and for keys of a service that this cloud lacks. */
export function refuseKms(input: Omit<EncryptionInput, keyof CustomerInput>): void {
  const { ServerSideEncryption: asked, SSEKMSKeyId: keyId } = input
  const isKms = asked?.startsWith('aws:kms') === true
  if (isKms && keyId !== undefined) {
    throw new S3Error('KMS.NotFoundException', `Invalid keyId '${keyId}'`, 400)
  }
  if (asked !== undefined && asked !== AES) {
    throw notImplemented(`the encryption ${asked}`)
  }
  if ((keyId ?? input.SSEKMSEncryptionContext) === undefined) return
  const message =
    'Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms'
  throw invalidArgument('x-amz-server-side-encryption', asked ?? 'null', message)
}

/**
 * The key to read an object with. Throws InvalidRequest when one is missing or there is none to
 * be, AccessDenied when it is another one.
 */
export function keyToRead(
  sealing: Sealing,
  { encryption }: { readonly encryption?: Encryption },
  call: Call<CustomerInput>,
): CustomerKey | null {
  const missing =
    'The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.'
  return keyFor(sealing, encryption, call, { missing, other: denied })
}

/** Of an upload's part. Throws InvalidRequest when it is not the key that the upload began with. */
export function keyOfUpload(
  sealing: Sealing,
  { encryption }: { readonly encryption?: Encryption },
  call: Call<CustomerInput>,
): CustomerKey | null {
  const missing =
    'The multipart upload initiate requested encryption. Subsequent part requests must include the appropriate encryption parameters.'
  const other = 'The provided encryption parameters did not match the ones used originally.'
  return keyFor(sealing, encryption, call, { missing, other: () => badRequest(other) })
}

/** The client's key, when it is what it has to be: none, or the one that is known by its proof. */
function keyFor(
  sealing: Sealing,
  encryption: Encryption | undefined,
  call: Call<CustomerInput>,
  refusals: { readonly missing: string; readonly other: () => S3Error },
): CustomerKey | null {
  const customer = keyIn(sealing, call)
  if (encryption?.by !== 'customer') {
    if (customer !== null) throw notApplicable()
    return null
  }
  if (customer === null) throw badRequest(refusals.missing)
  if (!isProven(encryption.proof, customer)) throw refusals.other()
  return customer
}

/** For calls about an upload that move no bytes: the key may be left out, but not be wrong. */
export function checkKeyOfUpload(
  sealing: Sealing,
  upload: { readonly encryption?: Encryption },
  call: Call<CustomerInput>,
): void {
  if (call.input.SSECustomerAlgorithm !== undefined) keyOfUpload(sealing, upload, call)
}

/** The headers of a copy that are about its source, as those of a read. */
export function ofSource({ input, arrival }: Call<CopiedFrom>): Call<CustomerInput> {
  return {
    arrival,
    input: {
      SSECustomerAlgorithm: input.CopySourceSSECustomerAlgorithm,
      SSECustomerKey: input.CopySourceSSECustomerKey,
      SSECustomerKeyMD5: input.CopySourceSSECustomerKeyMD5,
    },
  }
}

/** A key for new bytes; null when they are not encrypted. */
export function dataKeyFor(
  { keys }: Pick<Sealing, 'keys'>,
  { encryption, customer }: Ciphering,
  place: KeyPlace,
): DataKey | null {
  return encryption === undefined ? null : keys.fresh(place, customer)
}

/** Hex: the MD5, but for bytes that only a customer may know anything of. */
export function etagOf(md5Hex: string, { encryption, customer }: Ciphering): string {
  if (encryption?.by !== 'customer' || customer === null) return md5Hex
  const text = `etag ${encryption.proof.salt} ${md5Hex}`
  return createHmac('sha256', customer.key).update(text).digest('hex').slice(0, md5Hex.length)
}

/** As members of an output. */
export function shownEncryption(
  encryption: Encryption | undefined,
  customer: CustomerKey | null,
): {
  ServerSideEncryption?: typeof AES
  SSECustomerAlgorithm?: string
  SSECustomerKeyMD5?: string
} {
  if (encryption?.by === 'cloud') return { ServerSideEncryption: AES }
  if (customer === null) return {}
  return { SSECustomerAlgorithm: AES, SSECustomerKeyMD5: customer.md5 }
}

/** The key that a request brings; null without one. Throws what is wrong with it. */
function keyIn({ overHttp }: Sealing, { input, arrival }: Call<CustomerInput>): CustomerKey | null {
  const { SSECustomerAlgorithm: algorithm, SSECustomerKey: key, SSECustomerKeyMD5: md5 } = input
  if ((algorithm ?? key ?? md5) === undefined) return null
  if (!arrival.secure && !overHttp) {
    throw badRequest(`${WITH_KEYS} be made over a secure connection.`)
  }
  if (algorithm === undefined) {
    throw invalidArgument(ALGORITHM, 'null', `${WITH_KEYS} provide a valid encryption algorithm.`)
  }
  if (algorithm !== AES) {
    const message = 'The Encryption request you specified is not valid. Supported value: AES256.'
    throw new S3Error('InvalidEncryptionAlgorithmError', message, 400)
  }
  if (key === undefined) {
    throw invalidArgument(KEY, 'null', `${WITH_KEYS} provide an appropriate secret key.`)
  }
  if (md5 === undefined) {
    const message = `${WITH_KEYS} provide the client calculated MD5 of the secret key.`
    throw invalidArgument(KEY_MD5, 'null', message)
  }
  const bytes = Buffer.from(key, 'base64')
  // Whoever sends a wrong key may see it in a log of theirs, but not in an answer.
  if (bytes.length !== KEY_BYTES || bytes.toString('base64') !== key) {
    const message = 'The secret key was invalid for the specified algorithm.'
    throw invalidArgument(KEY, 'null', message)
  }
  const customer = customerKey(bytes)
  if (isSame(customer.md5, md5)) return customer
  const message = 'The calculated MD5 hash of the key did not match the hash that was provided.'
  throw invalidArgument(KEY_MD5, md5, message)
}

function isSame(known: string, given: string): boolean {
  const [a, b] = [Buffer.from(known), Buffer.from(given)]
  return a.length === b.length && timingSafeEqual(a, b)
}

function notApplicable(): S3Error {
  return badRequest('The encryption parameters are not applicable to this object.')
}

function badRequest(message: string): S3Error {
  return new S3Error('InvalidRequest', message, 400)
}
