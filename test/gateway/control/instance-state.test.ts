// The life of an instance by what its host reports.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { givenUp, isStuck, nextInstance } from '../../../gateway/control/instance-state.ts'
import {
  InstanceState,
  type InstanceStatus,
  InstanceStatusSchema,
} from '../../../proto/gen/mallee/v1/observed_pb.js'
import { instance } from './records.ts'

const ONE = instance('i-1', 'a', 'a1')

function says(state: InstanceState, reasonCode = '', host = 'a1'): InstanceStatus {
  return create(InstanceStatusSchema, { id: 'i-1', state, host, reasonCode, sinceMs: 7n })
}

test('nextInstance: pending becomes running when the host runs it', () => {
  const next = nextInstance(ONE, says(InstanceState.RUNNING), 1000)
  assert.equal(next.state, 'running')
  assert.deepEqual(next.observed, { state: 'running', sinceMs: 7 })
})

test('nextInstance: the same report twice is no news', () => {
  const next = nextInstance(ONE, says(InstanceState.RUNNING), 1000)
  assert.equal(nextInstance(next, says(InstanceState.RUNNING), 2000), next)
})

test('nextInstance: another host has nothing to say about an instance', () => {
  assert.equal(nextInstance(ONE, says(InstanceState.TERMINATED, '', 'a2'), 1000), ONE)
})

test('nextInstance: a guest that ended by itself is terminated, with the reason', () => {
  const running = { ...ONE, state: 'running' as const }
  const status = says(InstanceState.STOPPED, 'Client.InstanceInitiatedShutdown')
  const next = nextInstance(running, status, Date.UTC(2026, 0, 2))
  assert.equal(next.state, 'shutting-down')
  assert.equal(next.desired, 'terminated')
  assert.equal(next.stateReason?.code, 'Client.InstanceInitiatedShutdown')
  assert.match(next.stateTransitionReason, /2026-01-02 00:00:00 GMT/)
})

test('nextInstance: what its user terminated keeps the user as reason when the host is done', () => {
  const reason = { code: 'Client.UserInitiatedShutdown', message: 'User initiated shutdown' }
  const ending = { ...ONE, state: 'shutting-down' as const, desired: 'terminated' as const }
  const next = nextInstance({ ...ending, stateReason: reason }, says(InstanceState.TERMINATED), 5)
  assert.equal(next.state, 'terminated')
  assert.equal(next.terminatedAtMs, 5)
  assert.deepEqual(next.stateReason, reason)
})

test('nextInstance: a terminated instance never comes back', () => {
  const gone = { ...ONE, state: 'terminated' as const }
  assert.equal(nextInstance(gone, says(InstanceState.RUNNING), 9), gone)
})

test('isStuck gives a launch half an hour, and givenUp says what the host said', () => {
  assert.equal(isStuck(ONE, 30 * 60_000), false)
  assert.equal(isStuck(ONE, 30 * 60_000 + 1), true)
  assert.equal(isStuck({ ...ONE, state: 'running' }, 60 * 60_000), false)
  const next = givenUp(ONE, 'no room for the image', 7)
  assert.deepEqual([next.state, next.desired], ['shutting-down', 'terminated'])
  assert.match(next.stateReason?.message ?? '', /could not be started: no room for the image/)
})
