// A peer cloud at the port of another that sends bytes which are no messages, floods it, shows the
// certificates of others, and lies in its receipts.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import type * as grpc from '@grpc/grpc-js'
import { randomHex } from '../../../common/clock.ts'
import { codeOf } from '../../../common/errors.ts'
import { suspendPeer } from '../../../gateway/peering/acts.ts'
import { deliverStep } from '../../../gateway/peering/deliver.ts'
import { signReceipt } from '../../../gateway/peering/receipt.ts'
import { DeliverResponseSchema, PeeringService } from '../../../proto/gen/mallee/v1/peering_pb.js'
import { callUnary, dial, methodDefinition } from '../../../proto/service.ts'
import { clientCredentials, type TlsIdentity } from '../../../proto/tls.ts'
import { until } from '../../../sandbox/until.ts'
import { gatewayIdentity, hostilePair, type PeerCloud } from './clouds.ts'

let east: PeerCloud
let west: PeerCloud
let uid = ''
const ends: (() => Promise<void>)[] = []

before(async () => {
  ;[east, west] = await hostilePair({ after: (end) => void ends.push(async () => end()) })
  uid = east.peer().uid
})
after(async () => {
  for (const end of ends.reverse()) await end()
})

function line(identity: TlsIdentity): grpc.Client {
  const trusted = { ...identity, caPem: east.ca.certificatePem }
  return dial(
    '127.0.0.1',
    east.peeringPort,
    clientCredentials(trusted, () => true),
  )
}

/** Any bytes as a request of Deliver. */
async function sendRaw(client: grpc.Client, bytes: Uint8Array): Promise<string | null> {
  const { path, responseDeserialize } = methodDefinition(PeeringService.method.deliver)
  const requestSerialize = (raw: Uint8Array): Buffer => Buffer.from(raw)
  const method = { path, responseDeserialize, requestSerialize }
  const deadline = east.clock.nowMs() + 20_000
  try {
    await callUnary(client, method as never, bytes, deadline)
    return null
  } catch (error) {
    return codeOf(error)
  }
}

describe('at the port', () => {
  test('bytes that are none are refused, also far too many', async () => {
    const client = line(west.identity)
    try {
      for (const bytes of [[], [0xff], [0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f], [0x12, 0x01]]) {
        assert.notEqual(await sendRaw(client, Uint8Array.from(bytes)), null)
      }
      assert.equal(await sendRaw(client, Buffer.from('0aff', 'hex')), 'BadMessage')
      assert.equal(await sendRaw(client, Buffer.alloc(2 << 20)), 'BadMessage', 'RESOURCE_EXHAUSTED')
    } finally {
      client.close()
    }
  })

  test('a flood is refused before anything of it is read, and ends', async () => {
    const client = line(west.identity)
    try {
      const codes = await Promise.all(
        Array.from({ length: 300 }, () => sendRaw(client, Buffer.from('0aff', 'hex'))),
      )
      const counts = Map.groupBy(codes, (code) => code)
      const refused = counts.get('TooManyRequests')?.length ?? 0
      assert.ok(refused > 150, `${refused} of 300`)
      assert.equal(refused + (counts.get('BadMessage')?.length ?? 0), 300)
    } finally {
      client.close()
    }
  })

  test('nobody comes in with a certificate of this cloud, or of one that is no peer', async () => {
    const own = line(await gatewayIdentity(east.ca, 'east'))
    const named = line(await gatewayIdentity(west.ca, 'north'))
    try {
      assert.equal(await sendRaw(own, Buffer.alloc(0)), 'NotAllowed')
      assert.equal(await sendRaw(named, Buffer.alloc(0)), 'NotAllowed')
    } finally {
      own.close()
      named.close()
    }
  })

  test('a receipt that lies is none: the link stays under way', async () => {
    const { state, clock } = east
    await suspendPeer(east.peering.inviting, 'other')
    const pending = () => state.view().get('peer-chain', uid)?.pending ?? null
    await until('a link is under way', () => pending() !== null)
    const before = east.peer().stated
    const lie = signReceipt(east.identity, { from: 'a', to: 'b' }, before, 0)
    const answer = create(DeliverResponseSchema, { receipt: lie })
    const connection = { deliver: async () => answer, position: () => Promise.reject(new Error()) }
    const gateway = pending()?.gateway ?? ''
    const parts = { state, clock, randomHex, connection, gateway }
    const step = deliverStep({ ...parts, signal: new AbortController().signal }, uid)
    const message = /receipt of the other cloud does not count/
    await assert.rejects(step, { code: 'BadMessage', message })
    assert.deepEqual(east.peer().stated, before)
    assert.notEqual(pending(), null)
  })
})
