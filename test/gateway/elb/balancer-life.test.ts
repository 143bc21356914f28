// Where nodes are and when a load balancer is active: what hosts report, and what becomes of it by
// itself.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { movesNodes, tendBalancers } from '../../../gateway/control/balancer-life.ts'
import { Sessions } from '../../../gateway/federation/sessions.ts'
import type { State } from '../../../gateway/store/state.ts'
import { BalancerStatusSchema } from '../../../proto/gen/mallee/v1/balancers_pb.js'
import { StatusSchema } from '../../../proto/gen/mallee/v1/observed_pb.js'
import { ACCOUNT, START_MS, setHost } from '../ec2/support.ts'
import { both, partsOf, tell } from './life-support.ts'
import { type Ground, openGround } from './support.ts'

const MINUTE_MS = 60_000
const LIMIT_MS = 30 * MINUTE_MS

/** The CC of rack a has a session here, since then. */
function heard(openedAtMs: number): Sessions {
  const sessions = new Sessions()
  const agent = { kind: 'host', cloud: 'test', rack: 'a', host: 'a0', roles: ['cc'] } as const
  const session = { agent, command: never, close: never }
  sessions.opened({ rack: 'a', host: 'a0' }, session, { epoch: '', generation: 0 }, openedAtMs)
  return sessions
}

async function never(): Promise<never> {
  throw new Error('nobody asks this CC anything')
}

/** Each node's rack and host. */
function places(state: State): string[] {
  const view = state.view()
  return view
    .by('balancer-node', 'account', ACCOUNT)
    .map(({ interface: id, rack }) => `${rack}/${view.get('interface', id)?.host}`)
    .sort()
}

/** What the rack's CC says of its node. */
async function says(
  state: State,
  rack: string,
  { serving = true, trouble = '', host }: { serving?: boolean; trouble?: string; host?: string },
): Promise<void> {
  const view = state.view()
  const statuses = view.by('balancer-node', 'rack', rack).map(({ interface: id, loadBalancer }) => {
    const at = host ?? view.get('interface', id)?.host ?? ''
    const fields = { id: loadBalancer, interfaceId: id, host: at, serving, trouble }
    const value = create(BalancerStatusSchema, fields)
    return create(StatusSchema, { key: `balancer/${id}`, body: { case: 'balancer', value } })
  })
  await tell(state, rack, statuses)
}

async function stateOf({ elb }: Ground): Promise<(string | undefined)[]> {
  const { LoadBalancers } = await elb('DescribeLoadBalancers', {})
  const { Code, Reason } = LoadBalancers?.[0]?.State ?? {}
  return Reason === undefined ? [Code] : [Code, Reason]
}

async function cordon(state: State, host: string): Promise<void> {
  await state.update(async (tx) => {
    const record = await tx.get('host', 'a', host)
    assert.ok(record)
    await tx.put('host', ['a', host], { ...record, cordoned: true })
  })
}

test('it is active when every node serves, and impaired when one does not any more', async (t) => {
  const ground = await both(t)
  const { state } = ground.cloud
  const tend = (nowMs = START_MS) => tendBalancers(partsOf(state), nowMs)
  await says(state, 'a', {})
  await tend()
  assert.deepEqual(await stateOf(ground), ['provisioning'])
  await says(state, 'b', { host: 'b-other' })
  await tend()
  assert.deepEqual(await stateOf(ground), ['provisioning'], 'a host where it is not')
  await says(state, 'b', {})
  await tend()
  assert.deepEqual(await stateOf(ground), ['active'])
  const { revision } = state.view()
  await says(state, 'b', {})
  await tend()
  assert.equal(state.view().revision, revision, 'the same again writes nothing')
  await says(state, 'b', { serving: false, trouble: 'haproxy ended' })
  await tend()
  const [code, reason = ''] = await stateOf(ground)
  assert.equal(code, 'active_impaired')
  assert.match(reason, /^The node eni-\w+ in mallee-1-b does not serve: haproxy ended$/)
})

test('it fails when no node serves within the limit, and works when one does after all', async (t) => {
  const ground = await both(t)
  const { state } = ground.cloud
  await tendBalancers(partsOf(state), START_MS + LIMIT_MS)
  assert.deepEqual(await stateOf(ground), ['provisioning'])
  const late = START_MS + LIMIT_MS + 1
  await tendBalancers({ ...partsOf(state), startedAtMs: late - 15_000 }, late)
  assert.deepEqual(await stateOf(ground), ['provisioning'], 'a new gateway has heard nobody yet')
  await tendBalancers(partsOf(state), late)
  assert.equal((await stateOf(ground))[0], 'failed')
  await says(state, 'a', {})
  await tendBalancers(partsOf(state), late)
  assert.equal((await stateOf(ground))[0], 'active_impaired')
  await says(state, 'b', {})
  await tendBalancers(partsOf(state), late)
  assert.deepEqual(await stateOf(ground), ['active'])
})

test('a node leaves a host that leaves, is cordoned or is drained, with its addresses', async (t) => {
  const ground = await openGround(t)
  const { state } = ground.cloud
  await ground.create({ Scheme: 'internal' })
  const card = () => {
    const [one] = state.view().all('balancer-node')
    return state.view().get('interface', one?.interface ?? '')
  }
  assert.deepEqual(places(state), ['a/a1'])
  const { host: _, ...before } = card() ?? { host: '' }
  await cordon(state, 'a1')
  await Promise.all([1, 2].map(() => tendBalancers(partsOf(state), START_MS)))
  assert.deepEqual(places(state), ['a/a2'])
  const { host: __, ...after } = card() ?? { host: '' }
  assert.deepEqual(after, before)
  await setHost(state, 'a', 'a2', { draining: true })
  await tendBalancers(partsOf(state), START_MS)
  assert.deepEqual(places(state), ['a/a2'], 'nobody else takes it')
  await state.update((tx) => tx.delete('host', 'a', 'a2'))
  await tendBalancers(partsOf(state), START_MS)
  assert.deepEqual(places(state), ['a/'])
  await state.update(async (tx) => {
    const record = await tx.get('host', 'a', 'a1')
    assert.ok(record)
    const { cordoned: ___, ...free } = record
    await tx.put('host', ['a', 'a1'], free)
  })
  await tendBalancers(partsOf(state), START_MS)
  assert.deepEqual(places(state), ['a/a1'])
})

test('a node leaves a host that its CC has not heard for two minutes, and no sooner', async (t) => {
  const ground = await openGround(t)
  const { state } = ground.cloud
  await ground.create({ Scheme: 'internal' })
  await state.update(async (tx) => {
    const record = await tx.get('host', 'a', 'a1')
    assert.ok(record?.status)
    const status = { ...record.status, connected: false }
    await tx.put('host', ['a', 'a1'], { ...record, status, awaySinceMs: START_MS })
  })
  const late = START_MS + 3 * MINUTE_MS
  const tend = (sessions: Sessions, nowMs: number) => tendBalancers(partsOf(state, sessions), nowMs)
  await tend(heard(START_MS), START_MS + 2 * MINUTE_MS)
  assert.deepEqual(places(state), ['a/a1'], 'not for long enough')
  await tend(new Sessions(), late)
  assert.deepEqual(places(state), ['a/a1'], 'nobody can say')
  await tend(heard(late - MINUTE_MS), late)
  assert.deepEqual(places(state), ['a/a1'], 'its CC has just come back')
  await setHost(state, 'a', 'a0', { connected: false })
  await tend(heard(START_MS), late)
  assert.deepEqual(places(state), ['a/a1'], 'the rack is away')
  await setHost(state, 'a', 'a0', { connected: true })
  await tend(heard(START_MS), late)
  assert.deepEqual(places(state), ['a/a2'])
})

test('housekeeping hears at once of a host that nodes have to leave', async (t) => {
  const { state } = (await openGround(t)).cloud
  const moves: string[] = []
  const off = state.onChange((changes) => {
    for (const change of changes) if (movesNodes(change)) moves.push(change.key)
  })
  await setHost(state, 'a', 'a1', { trouble: 'a fan stands still' })
  await setHost(state, 'a', 'a1', { connected: false })
  assert.deepEqual(moves, [])
  await cordon(state, 'a1')
  await setHost(state, 'a', 'a2', { draining: true })
  await state.update((tx) => tx.delete('host', 'b', 'b1'))
  off()
  assert.deepEqual(moves, ['host/a/a1', 'host/a/a2', 'host/b/b1'])
})
