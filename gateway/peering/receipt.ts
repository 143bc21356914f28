// Receipts: a side signs that it holds a link of the other's chain, with the key of its gateway's
// certificate, so that neither can say later that it was told something else.

import { sign, verify, X509Certificate } from 'node:crypto'
import { create } from '@bufbuild/protobuf'
import { isIssuedBy } from '../../common/ca-bundle.ts'
import { MalleeError } from '../../common/errors.ts'
import { identityOfCertificate, notAfterMs, notBeforeMs } from '../../common/pki.ts'
import { type Receipt, ReceiptSchema } from '../../proto/gen/mallee/v1/peering_pb.js'
import type { TlsIdentity } from '../../proto/tls.ts'
import type { ChainHead } from '../store/peer-records.ts'
import { toHex } from './chain.ts'

/** Whose statements they are, and who has them. */
export interface Between {
  readonly from: string
  readonly to: string
}

/** Who signs: its name as in its certificates, and its CAs. */
export interface Signer {
  readonly name: string
  readonly cas: readonly string[]
}

const MAX_CERTIFICATE_CHARS = 4096

export function signReceipt(
  { certificatePem, keyPem }: Pick<TlsIdentity, 'certificatePem' | 'keyPem'>,
  between: Between,
  { epoch, sequence, hash }: ChainHead,
  receivedAtMs: number,
): Receipt {
  const fields = {
    epoch: Buffer.from(epoch, 'hex'),
    sequence: BigInt(sequence),
    hash: Buffer.from(hash, 'hex'),
    receivedAtMs: BigInt(receivedAtMs),
  }
  const signature = sign('sha256', signed(between, fields), keyPem)
  return create(ReceiptSchema, { ...fields, signature, certificatePem })
}

/** Throws BadMessage unless the receipt is for that link, by a gateway of the signer's CAs. */
export function checkReceipt(
  receipt: Receipt | undefined,
  between: Between,
  head: ChainHead,
  { name, cas }: Signer,
): void {
  if (receipt === undefined) throw bad('it is missing')
  const { certificatePem: pem } = receipt
  const is = { epoch: toHex(receipt.epoch), sequence: Number(receipt.sequence) }
  if (
    is.epoch !== head.epoch ||
    is.sequence !== head.sequence ||
    toHex(receipt.hash) !== head.hash
  ) {
    throw bad(`it is for another link than number ${head.sequence}`)
  }
  if (pem.length > MAX_CERTIFICATE_CHARS) throw bad('its certificate is too long')
  const identity = identityOfCertificate(pem)
  if (identity.kind !== 'gateway' || identity.cloud !== name) {
    throw bad(`its certificate is not that of a gateway of ${name}`)
  }
  if (!cas.some((ca) => isIssuedBy(pem, ca))) throw bad('its certificate is of no pinned CA')
  const atMs = Number(receipt.receivedAtMs)
  if (atMs < notBeforeMs(pem) || atMs > notAfterMs(pem)) {
    throw bad('its certificate did not hold when it was signed')
  }
  const { publicKey } = new X509Certificate(pem)
  if (!verify('sha256', signed(between, receipt), publicKey, receipt.signature)) {
    throw bad('its signature is wrong')
  }
}

function signed(
  { from, to }: Between,
  {
    epoch,
    sequence,
    hash,
    receivedAtMs,
  }: Pick<Receipt, 'epoch' | 'sequence' | 'hash' | 'receivedAtMs'>,
): Buffer {
  const parts = ['mallee-receipt', from, to, toHex(epoch), sequence, toHex(hash), receivedAtMs]
  return Buffer.from(parts.join('\n'))
}

function bad(why: string): MalleeError {
  return new MalleeError('BadMessage', `the receipt of the other cloud does not count: ${why}`)
}
