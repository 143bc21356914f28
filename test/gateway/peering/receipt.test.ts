// A receipt counts when a gateway of the pinned CA signed it for that very link; no other does.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../../../common/clock.ts'
import type { Identity } from '../../../common/identity.ts'
import { certificateRequest, createCa, newKey, signRequest } from '../../../common/pki.ts'
import { checkReceipt, signReceipt } from '../../../gateway/peering/receipt.ts'
import type { Receipt } from '../../../proto/gen/mallee/v1/peering_pb.js'
import { gatewayIdentity } from './clouds.ts'

const NOW_MS = systemClock.nowMs()
const BETWEEN = { from: 'a'.repeat(32), to: 'b'.repeat(32) }
const HEAD = { epoch: '0'.repeat(32), sequence: 3, hash: 'c'.repeat(64) }
const ca = await createCa({ cloud: 'west', nowMs: NOW_MS })
const stranger = await createCa({ cloud: 'west', nowMs: NOW_MS })
const west = await gatewayIdentity(ca, 'west')
const signer = { name: 'west', cas: [stranger.certificatePem, ca.certificatePem] }
const good = signReceipt(west, BETWEEN, HEAD, NOW_MS)

test('a receipt for the link counts', () => {
  checkReceipt(good, BETWEEN, HEAD, signer)
})

const host = await (async () => {
  const { keyPem } = await newKey()
  const of = { cloud: 'west', rack: 'a', host: 'a' } as const
  const identity: Identity = { kind: 'host', roles: ['cc'], ...of }
  const options = { identity, nowMs: NOW_MS, days: 1, server: true }
  const { certificatePem } = await signRequest(ca, await certificateRequest(keyPem), options)
  return { certificatePem, keyPem }
})()
const other = await gatewayIdentity(ca, 'north')
const foreign = await gatewayIdentity(await createCa({ cloud: 'west', nowMs: NOW_MS }), 'west')
const LATER_MS = NOW_MS + 2 * 86_400_000

for (const [what, receipt, why] of [
  ['none', undefined, /missing/],
  ['with another sequence', { ...good, sequence: 4n }, /another link/],
  ['for another hash', { ...good, hash: new Uint8Array(32) }, /another link/],
  ['of another chain', { ...good, epoch: new Uint8Array(16).fill(1) }, /another link/],
  ['of another time', { ...good, receivedAtMs: good.receivedAtMs + 1n }, /signature is wrong/],
  ['with a signature of nothing', { ...good, signature: new Uint8Array() }, /signature is wrong/],
  [
    'for statements of another cloud',
    signReceipt(west, { ...BETWEEN, from: 'd'.repeat(32) }, HEAD, NOW_MS),
    /signature is wrong/,
  ],
  ['with no certificate', { ...good, certificatePem: 'no' }, /certificate cannot be read/],
  ['with a long one', { ...good, certificatePem: 'x'.repeat(5_000) }, /too long/],
  ['of a host', signReceipt(host, BETWEEN, HEAD, NOW_MS), /not that of a gateway/],
  ['of a gateway of another name', signReceipt(other, BETWEEN, HEAD, NOW_MS), /not that of/],
  ['of a CA that is not pinned', signReceipt(foreign, BETWEEN, HEAD, NOW_MS), /no pinned CA/],
  ['after its certificate ended', signReceipt(west, BETWEEN, HEAD, LATER_MS), /did not hold/],
] as const) {
  test(`a receipt ${what} does not count`, () => {
    const refused = { code: 'BadMessage', message: why }
    assert.throws(() => checkReceipt(receipt as Receipt, BETWEEN, HEAD, signer), refused)
  })
}
