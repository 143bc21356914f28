// The life of an instance by what its host reports.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { givenUp, isStuck, nextInstance } from '../../../gateway/control/instance-state.ts'
import type { InstanceRecord } from '../../../gateway/store/records.ts'
import {
  InstanceState,
  type InstanceStatus,
  InstanceStatusSchema,
  Reachability,
} from '../../../proto/gen/mallee/v1/observed_pb.js'
import { instance } from './records.ts'

const ONE = instance('i-1', 'a', 'a1')

const BY_GUEST = 'Client.InstanceInitiatedShutdown'

function says(state: InstanceState, reasonCode = '', host = 'a1', startCount = 0): InstanceStatus {
  const fields = { id: 'i-1', state, host, reasonCode, startCount }
  return create(InstanceStatusSchema, { ...fields, sinceMs: 7n })
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

test('nextInstance: a guest that ended by itself is stopped, with the reason', () => {
  const settings = { autoRecovery: 'disabled' as const }
  const running = { ...ONE, state: 'running' as const, settings }
  for (const code of [BY_GUEST, 'Server.InternalError']) {
    const next = nextInstance(running, says(InstanceState.STOPPED, code), Date.UTC(2026, 0, 2))
    assert.deepEqual([next.state, next.desired], ['stopped', 'stopped'])
    assert.equal(next.stateReason?.code, code)
    assert.match(next.stateTransitionReason, /2026-01-02 00:00:00 GMT/)
  }
})

test('nextInstance: one that is to be terminated when it powers off is, and stays after a crash', () => {
  const settings = { shutdownBehavior: 'terminate' as const, autoRecovery: 'disabled' as const }
  const running = { ...ONE, state: 'running' as const, settings }
  const crashed = says(InstanceState.STOPPED, 'Server.InternalError')
  assert.equal(nextInstance(running, crashed, 1).state, 'stopped')
  const status = says(InstanceState.STOPPED, BY_GUEST)
  const next = nextInstance(running, status, Date.UTC(2026, 0, 2))
  assert.equal(next.state, 'shutting-down')
  assert.equal(next.desired, 'terminated')
  assert.equal(next.stateReason?.code, 'Client.InstanceInitiatedShutdown')
  assert.match(next.stateTransitionReason, /2026-01-02 00:00:00 GMT/)
})

test('nextInstance: what crashes is started again, three times a day', () => {
  const hourMs = 3_600_000
  let record: InstanceRecord = { ...ONE, state: 'running' }
  const crash = (atMs: number): string => {
    const status = says(InstanceState.STOPPED, 'Server.InternalError', 'a1', record.startCount)
    record = nextInstance(record, status, atMs)
    return record.state
  }
  for (const n of [1, 2, 3]) {
    assert.equal(crash(n * hourMs), 'pending')
    assert.deepEqual([record.startCount, record.desired], [n, 'running'])
    assert.equal(record.stateReason?.code, 'Server.InternalError')
    const again = says(InstanceState.STOPPED, 'Server.InternalError', 'a1', n - 1)
    assert.equal(nextInstance(record, again, 0).state, 'pending', 'the same crash, said again')
    record = nextInstance(record, says(InstanceState.RUNNING, '', 'a1', n), n * hourMs)
    assert.deepEqual([record.state, record.stateReason], ['running', null])
  }
  const tired = record
  assert.equal(crash(4 * hourMs), 'stopped')
  record = tired
  assert.equal(crash(25 * hourMs), 'pending', 'the first one was more than a day ago')
  assert.deepEqual(
    record.recoveredAtMs,
    [2, 3, 25].map((n) => n * hourMs),
  )
})

test('nextInstance: a launch that fails before it ran is terminated, a later start is not', () => {
  const status = says(InstanceState.STOPPED, 'Server.InternalError')
  assert.equal(nextInstance(ONE, status, 1).state, 'shutting-down')
  const again = { ...ONE, startCount: 1 }
  const failed = says(InstanceState.STOPPED, 'Server.InternalError', 'a1', 1)
  assert.equal(nextInstance(again, failed, 1).state, 'stopped')
})

test('nextInstance: word of the time before a start does neither end the start nor complete it', () => {
  const starting = { ...ONE, startCount: 2 }
  const stale = says(InstanceState.STOPPED, BY_GUEST, 'a1', 1)
  assert.equal(nextInstance(starting, stale, 1).state, 'pending')
  assert.equal(nextInstance(starting, says(InstanceState.RUNNING, '', 'a1', 1), 1), starting)
  // Of a start that waits for a volume, its host says the number of the one before.
  const waiting = nextInstance(starting, says(InstanceState.PENDING, '', 'a1', 1), 1)
  assert.equal(waiting.observed?.state, 'pending')
  const running = nextInstance(starting, says(InstanceState.RUNNING, '', 'a1', 2), 1)
  assert.equal(running.state, 'running')
  // An older agent counts no starts: once it runs, the order of reports is enough.
  const uncounted = says(InstanceState.STOPPED, BY_GUEST)
  assert.equal(nextInstance(running, uncounted, 1).state, 'stopped')
})

test('nextInstance: what is to stop is stopped when the host says so, and keeps the reason', () => {
  const reason = { code: 'Client.UserInitiatedShutdown', message: 'User initiated shutdown' }
  const stopping = { ...ONE, state: 'stopping' as const, desired: 'stopped' as const }
  const record = { ...stopping, stateReason: reason }
  assert.equal(nextInstance(record, says(InstanceState.RUNNING), 1).state, 'stopping')
  const next = nextInstance(record, says(InstanceState.STOPPED), 1)
  assert.deepEqual([next.state, next.stateReason], ['stopped', reason])
  assert.equal(nextInstance(next, says(InstanceState.STOPPED), 2), next)
})

test('nextInstance keeps what the host found out about its guest', () => {
  const found = (guest: Reachability, guestSinceMs = 8n) =>
    create(InstanceStatusSchema, {
      ...{ id: 'i-1', state: InstanceState.RUNNING, host: 'a1', sinceMs: 7n },
      ...{ guest, guestSinceMs },
    })
  const booting = nextInstance(ONE, found(Reachability.INITIALIZING), 1)
  assert.deepEqual([booting.state, booting.observed?.guest], ['running', 'initializing'])
  const well = nextInstance(booting, found(Reachability.REACHABLE), 2)
  assert.deepEqual(well.observed, {
    ...{ state: 'running', sinceMs: 7, guest: 'passed', guestSinceMs: 8 },
  })
  assert.equal(nextInstance(well, found(Reachability.REACHABLE, 9n), 3), well)
  assert.equal(nextInstance(well, found(Reachability.INITIALIZING), 3), well, 'a new agent')
  const bad = nextInstance(well, found(Reachability.UNREACHABLE, 10n), 4)
  assert.deepEqual([bad.observed?.guest, bad.observed?.guestSinceMs], ['failed', 10])
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
  const started = { ...ONE, startCount: 1, startedAtMs: 60_000 }
  assert.equal(isStuck(started, 31 * 60_000), false)
  assert.equal(givenUp(started, '', 7).state, 'stopped', 'its disk is kept')
})
