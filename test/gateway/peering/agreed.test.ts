// What passes between two clouds: nothing that only one of them states.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create, toJson } from '@bufbuild/protobuf'
import { agreedWith } from '../../../gateway/peering/agreed.ts'
import {
  ConnectionSchema,
  ConnectionState,
  StatementSchema,
} from '../../../proto/gen/mallee/v1/peering_pb.js'
import { startView, type Write } from '../control/records.ts'

const UID = '0123456789abcdef0123456789abcdef'
const EPOCH = '7'.repeat(32)
const TERMS = 'a'.repeat(64)

function peer(fields: { state?: string; suspended?: boolean; accounts?: string[] } = {}): Write {
  const { state = 'active', suspended = false, accounts = null } = fields
  const said = { card: { suspended }, heard: { epoch: EPOCH } }
  return [`peer/${UID}`, { uid: UID, state, terms: { accounts }, ...said }]
}

function ours(fields: { state?: string; uid?: string; terms?: string } = {}): Write {
  const { state = 'active', uid = UID, terms = TERMS } = fields
  const remote = { uid, side: 'requester', own: ['10.0.0.0/20'], terms }
  const requester = { account: '1', vpc: 'vpc-1' }
  const ends = { requester, accepter: { account: '', vpc: '' } }
  return ['peering/pcx-1', { id: 'pcx-1', state, ...ends, remote }]
}

function theirs(state = ConnectionState.ACTIVE, terms = TERMS, epoch = EPOCH): Write {
  const value = create(ConnectionSchema, { id: 'pcx-1', state, terms })
  const key = 'connection/pcx-1'
  const said = create(StatementSchema, { key, body: { case: 'connection', value } })
  return [
    `peer-statement/${UID}/${key}`,
    { uid: UID, key, epoch, statement: toJson(StatementSchema, said) },
  ]
}

function agreed(...writes: readonly Write[]): string[] {
  return agreedWith(startView(...writes), UID).map(({ peering }) => peering.id)
}

test('packets pass when both sides state the same terms', () => {
  assert.deepEqual(agreed(peer(), ours(), theirs()), ['pcx-1'])
})

test('one side alone opens nothing', () => {
  assert.deepEqual(agreed(peer(), ours()), [])
  assert.deepEqual(agreed(peer(), theirs()), [])
  assert.deepEqual(agreed(ours(), theirs()), [])
  assert.deepEqual(agreed(peer(), ours({ state: 'deleted' }), theirs()), [])
  assert.deepEqual(agreed(peer(), ours(), theirs(ConnectionState.DELETED)), [])
})

test('other terms open nothing, nor do none on both sides', () => {
  assert.deepEqual(agreed(peer(), ours(), theirs(ConnectionState.ACTIVE, 'b'.repeat(64))), [])
  assert.deepEqual(agreed(peer(), ours({ terms: '' }), theirs(ConnectionState.ACTIVE, '')), [])
})

test('what came with a chain that has ended opens nothing', () => {
  const old = theirs(ConnectionState.ACTIVE, TERMS, '6'.repeat(32))
  assert.deepEqual(agreed(peer(), ours(), old), [])
})

test('either operator stops all of it', () => {
  assert.deepEqual(agreed(peer({ state: 'suspended' }), ours(), theirs()), [])
  assert.deepEqual(agreed(peer({ suspended: true }), ours(), theirs()), [])
})

test('an account that may have none any more has none', () => {
  assert.deepEqual(agreed(peer({ accounts: ['1'] }), ours(), theirs()), ['pcx-1'])
  assert.deepEqual(agreed(peer({ accounts: ['2'] }), ours(), theirs()), [])
})

test('a peering with another cloud is not of this one', () => {
  assert.deepEqual(agreed(peer(), ours({ uid: 'f'.repeat(32) }), theirs()), [])
})
