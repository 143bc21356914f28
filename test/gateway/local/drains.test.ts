// Hosts and racks that are drained: what happens to instances, what their users are told, and that
// another gateway goes on with it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Clock, systemClock } from '../../../common/clock.ts'
import { silentLog } from '../../../common/log.ts'
import { actOnDrains } from '../../../gateway/control/drain.ts'
import type { Drain } from '../../../gateway/local/drains.ts'
import type { State } from '../../../gateway/store/state.ts'
import {
  type Cloud,
  openCloud,
  refusal,
  refused,
  registerImage,
  report,
  run,
  START_MS,
} from '../ec2/support.ts'
import { localApi } from './support.ts'

const HOUR_MS = 3_600_000
const at = (nowMs: number): Clock => ({ ...systemClock, nowMs: () => nowMs })

test('a drain leaves instances to their users, tells them, and ends with uncordon', async (t) => {
  const { cloud, drain, look, post } = await served(t)
  const [id = ''] = await running(cloud)
  const host = hostOf(cloud, id)
  const begun = await drain(host)
  assert.equal(begun.instances, 'keep')
  assert.deepEqual(waits(begun), [`${id} running users`])
  assert.equal(begun.isDone, false)
  const [event] = await eventsOf(cloud, id)
  assert.equal(event?.Code, 'system-maintenance')
  assert.match(event?.InstanceEventId ?? '', /^instance-event-[0-9a-f]{17}$/)
  assert.equal(event?.NotBefore?.getTime(), START_MS)
  await act(cloud.state, START_MS + HOUR_MS)
  assert.equal(cloud.state.view().get('instance', id)?.desired, 'running')
  const more = await run(cloud, { ImageId: await imageOf(cloud), count: 2 })
  assert.ok(more.every((one) => hostOf(cloud, one) !== host))
  await cloud.call('TerminateInstances', { InstanceIds: [id] })
  assert.deepEqual(waits((await look(host)).body as unknown as Drain), [`${id} shutting-down host`])
  assert.deepEqual(await eventsOf(cloud, id), [])
  await report(cloud.state, id, 'terminated')
  assert.equal((await look(host)).body['isDone'], true)
  assert.equal((await post(`hosts/${host}/uncordon`)).status, 200)
  const { status, body } = await look(host)
  assert.deepEqual([status, body['message']], [404, `host ${host} of rack a is not being drained`])
})

test('with stop, instances stop at the time that was said, the protected ones stay', async (t) => {
  const { cloud, drain, look, post } = await served(t, ['a1'])
  const [plain = '', held = ''] = await running(cloud, 2)
  await cloud.call('ModifyInstanceAttribute', { InstanceId: held, DisableApiStop: { Value: true } })
  const [young = ''] = await run(cloud, { ImageId: await imageOf(cloud) })
  const begun = await drain('a1', { instances: 'stop', minutes: 60 })
  assert.deepEqual(new Set(begun.left.map(({ waitsFor }) => waitsFor)), new Set(['time']))
  const [event] = await eventsOf(cloud, plain)
  assert.deepEqual(
    [event?.Code, event?.NotBefore?.getTime()],
    ['instance-stop', START_MS + HOUR_MS],
  )
  await act(cloud.state, START_MS + HOUR_MS - 1)
  assert.equal(stateOf(cloud, plain), 'running running')
  await act(cloud.state, START_MS + HOUR_MS)
  await act(cloud.state, START_MS + HOUR_MS)
  assert.equal(stateOf(cloud, plain), 'stopping stopped')
  assert.equal(stateOf(cloud, held), 'running running')
  assert.equal(stateOf(cloud, young), 'pending running', 'it never ran')
  const { Reservations } = await cloud.call('DescribeInstances', { InstanceIds: [plain] })
  const reason = Reservations?.[0]?.Instances?.[0]?.StateReason
  assert.deepEqual(reason, {
    Code: 'Server.ScheduledStop',
    Message: 'Server.ScheduledStop: Stopped due to a scheduled retirement',
  })
  await report(cloud.state, plain, 'stopped')
  const again = await drain('a1', { minutes: 0 })
  assert.equal(again.instances, 'stop', 'as was said before')
  assert.deepEqual(
    new Set(waits(again)),
    new Set([`${plain} stopped nothing`, `${held} running protection`, `${young} pending start`]),
  )
  await cloud.call('ModifyInstanceAttribute', {
    InstanceId: held,
    DisableApiStop: { Value: false },
  })
  await report(cloud.state, young, 'running')
  await act(cloud.state, START_MS)
  for (const id of [held, young]) await report(cloud.state, id, 'stopped')
  assert.equal((await look('a1')).body['isDone'], true)
  const start = (): Promise<unknown> => cloud.call('StartInstances', { InstanceIds: [plain] })
  assert.equal(await refusal(start()), 'InsufficientInstanceCapacity')
  await post('hosts/a1/uncordon')
  await start()
})

test('with terminate, instances go, the protected ones are named', async (t) => {
  const { cloud, drain } = await served(t, ['a1'])
  const [plain = '', held = ''] = await running(cloud, 2)
  const protect = { InstanceId: held, DisableApiTermination: { Value: true } }
  await cloud.call('ModifyInstanceAttribute', protect)
  const begun = await drain('a1', { instances: 'terminate' })
  assert.deepEqual(
    new Set(waits(begun)),
    new Set([`${plain} shutting-down host`, `${held} running protection`]),
  )
  const [event] = await eventsOf(cloud, held)
  assert.equal(event?.Code, 'instance-retirement')
})

test('a rack is drained as its hosts are, and undrained', async (t) => {
  const { cloud, call, post } = await served(t)
  const ids = await running(cloud, 3)
  const { status, body } = await call('POST', '/v1/racks/a/drain', { instances: 'stop' })
  assert.equal(status, 200)
  assert.deepEqual(
    new Set(waits(body as unknown as Drain)),
    new Set(ids.map((id) => `${id} stopping host`)),
  )
  const { code } = await refused(run(cloud, { ImageId: await imageOf(cloud) }))
  assert.equal(code, 'InsufficientInstanceCapacity')
  for (const id of ids) await report(cloud.state, id, 'stopped')
  assert.equal((await call('GET', '/v1/racks/a/drain')).body['isDone'], true)
  assert.equal((await post('undrain')).body['state'], 'joined')
  assert.equal((await call('GET', '/v1/racks/a/drain')).status, 404)
  await cloud.call('StartInstances', { InstanceIds: ids })
})

test('what is not there, and wishes that cannot be, are refused by name', async (t) => {
  const { call } = await served(t)
  for (const [method, url, payload, status, code] of [
    ['POST', '/v1/racks/nobody/drain', undefined, 404, 'RackNotFound'],
    ['GET', '/v1/racks/nobody/drain', undefined, 404, 'RackNotFound'],
    ['GET', '/v1/racks/a/drain', undefined, 404, 'NotFound'],
    ['POST', '/v1/racks/a/hosts/nobody/drain', undefined, 404, 'HostNotFound'],
    ['POST', '/v1/racks/a/hosts/a1/drain', { instances: 'move' }, 400, 'BadArgument'],
    ['POST', '/v1/racks/a/hosts/a1/drain', { minutes: -1 }, 400, 'BadArgument'],
    ['POST', '/v1/racks/a/hosts/a1/drain', { hours: 1 }, 400, 'BadArgument'],
  ] as const) {
    const answer = await call(method, url, payload)
    assert.deepEqual([answer.status, answer.body['code']], [status, code], `${method} ${url}`)
  }
})

test('users find events by filters, and cannot move them', async (t) => {
  const { cloud, drain } = await served(t, ['a1'])
  const [id = ''] = await running(cloud)
  await drain('a1', { instances: 'stop', minutes: 5 })
  const [event] = await eventsOf(cloud, id)
  const found = async (Name: string, value = ''): Promise<number> => {
    const Filters = [{ Name, Values: [value] }]
    const { InstanceStatuses } = await cloud.call('DescribeInstanceStatus', { Filters })
    return InstanceStatuses?.length ?? 0
  }
  assert.equal(await found('event.code', 'instance-stop'), 1)
  assert.equal(await found('event.code', 'instance-retirement'), 0)
  assert.equal(await found('event.instance-event-id', event?.InstanceEventId), 1)
  assert.equal(await found('event.not-before', event?.NotBefore?.toISOString()), 1)
  const InstanceEventId = event?.InstanceEventId ?? ''
  const NotBefore = new Date(START_MS + HOUR_MS)
  const move = cloud.call('ModifyInstanceEventStartTime', {
    InstanceId: id,
    InstanceEventId,
    NotBefore,
  })
  assert.equal(await refusal(move), 'OperationNotPermitted')
})

async function served(t: Parameters<typeof openCloud>[0], only: readonly string[] = ['a1', 'a2']) {
  const cloud = await openCloud(t, { racks: ['a'] })
  const { call } = localApi(t, cloud, { clock: at(START_MS) })
  const post = (path: string) => call('POST', `/v1/racks/a/${path}`)
  for (const host of ['a1', 'a2']) {
    if (!only.includes(host)) await post(`hosts/${host}/cordon`)
  }
  const look = (host: string) => call('GET', `/v1/racks/a/hosts/${host}/drain`)
  const drain = async (host: string, payload?: object): Promise<Drain> => {
    const { status, body } = await call('POST', `/v1/racks/a/hosts/${host}/drain`, payload)
    assert.equal(status, 200)
    return body as unknown as Drain
  }
  return { cloud, call, post, look, drain }
}

/** As another gateway does that was started meanwhile. */
async function act(state: State, nowMs: number): Promise<void> {
  await state.fresh()
  await actOnDrains({ state, clock: at(nowMs), log: silentLog })
  await state.fresh()
}

const images = new WeakMap<Cloud, string>()
async function imageOf(cloud: Cloud): Promise<string> {
  const id = images.get(cloud) ?? (await registerImage(cloud))
  images.set(cloud, id)
  return id
}

async function running(cloud: Cloud, count = 1): Promise<string[]> {
  const ids = await run(cloud, { ImageId: await imageOf(cloud), count })
  for (const id of ids) await report(cloud.state, id, 'running')
  await cloud.state.fresh()
  return ids
}

async function eventsOf(cloud: Cloud, id: string) {
  const input = { InstanceIds: [id], IncludeAllInstances: true }
  const { InstanceStatuses } = await cloud.call('DescribeInstanceStatus', input)
  return InstanceStatuses?.[0]?.Events ?? []
}

function hostOf({ state }: Cloud, id: string): string {
  return state.view().get('instance', id)?.host ?? ''
}

function stateOf({ state }: Cloud, id: string): string {
  const { state: now = '', desired = '' } = state.view().get('instance', id) ?? {}
  return `${now} ${desired}`
}

function waits({ left }: Drain): string[] {
  return left.map(({ id, state, waitsFor }) => `${id} ${state} ${waitsFor}`)
}
