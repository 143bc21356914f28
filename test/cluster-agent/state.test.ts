// What an agent keeps: accepted updates survive, stale ones are refused, nodes get deltas.

import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { isFor, nodeDesired } from '../../cluster-agent/cc/spread.ts'
import { AgentState } from '../../cluster-agent/state.ts'
import { subjectsOf } from '../../cluster-agent/status-board.ts'
import { BalancerSchema, TargetSchema } from '../../proto/gen/mallee/v1/balancers_pb.js'
import { InstanceSchema, type Resource, VpcSchema } from '../../proto/gen/mallee/v1/desired_pb.js'
import { HostStatusSchema } from '../../proto/gen/mallee/v1/observed_pb.js'
import { resource } from '../../proto/resources.ts'

const dirs: string[] = []
afterEach(() => {
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true })
})

function newFile(): string {
  const dir = mkdtempSync(join(tmpdir(), 'agent-state-'))
  dirs.push(dir)
  return join(dir, 'state.db')
}

test('AgentState keeps its files from others: they have secrets', () => {
  const file = newFile()
  const state = new AgentState(file)
  state.accept('e', snapshot(1, instance('i-1', 'a')))
  const dir = dirname(file)
  const modes = readdirSync(dir).map((name) => statSync(join(dir, name)).mode & 0o077)
  assert.ok(modes.length > 1)
  assert.deepEqual(new Set(modes), new Set([0]))
  state.close()
})

function instance(id: string, host: string): Resource {
  const value = create(InstanceSchema, { id, host })
  return resource(`instance/${id}`, { case: 'instance', value })
}

function snapshot(generation: number, ...resources: Resource[]) {
  return { kind: 'snapshot', generation, resources } as const
}

function delta(
  fromGeneration: number,
  generation: number,
  upserts: Resource[],
  removals: string[],
) {
  return { kind: 'delta', fromGeneration, generation, upserts, removals } as const
}

test('AgentState holds nothing before a whole state, and after a restart what it accepted', () => {
  const file = newFile()
  const state = new AgentState(file)
  assert.equal(state.held(), null)
  state.accept('e', snapshot(5, instance('i-1', 'n1'), instance('i-2', 'n2')))
  state.accept('e', delta(5, 7, [instance('i-3', 'n1')], ['instance/i-2']))
  state.close()
  const again = new AgentState(file)
  assert.deepEqual(again.held(), { epoch: 'e', generation: 7 })
  assert.deepEqual([...again.desired().keys()].sort(), ['instance/i-1', 'instance/i-3'])
  again.close()
})

for (const [name, epoch, update] of [
  ['an older snapshot', 'e', snapshot(4)],
  ['a delta that starts elsewhere', 'e', delta(4, 6, [], [])],
  ['a delta of another epoch', 'f', delta(5, 6, [], [])],
] as const) {
  test(`AgentState.accept refuses ${name} and keeps what it had`, () => {
    const state = new AgentState(newFile())
    state.accept('e', snapshot(5, instance('i-1', 'n1')))
    assert.throws(() => state.accept(epoch, update), { code: 'StaleGeneration' })
    assert.deepEqual(state.held(), { epoch: 'e', generation: 5 })
    assert.deepEqual([...state.desired().keys()], ['instance/i-1'])
    state.close()
  })
}

test('AgentState.accept takes an older generation of a new epoch: the store was restored', () => {
  const state = new AgentState(newFile())
  state.accept('e', snapshot(5, instance('i-1', 'n1')))
  state.accept('f', snapshot(2, instance('i-2', 'n1')))
  assert.deepEqual(state.held(), { epoch: 'f', generation: 2 })
  assert.equal(state.changedSince({ epoch: 'e', generation: 5 }), null)
  state.close()
})

test('AgentState.changedSince gives what changed after a generation, also after a restart', () => {
  const file = newFile()
  const state = new AgentState(file)
  state.accept('e', snapshot(5, instance('i-1', 'n1'), instance('i-2', 'n1')))
  state.accept('e', delta(5, 8, [instance('i-3', 'n1')], ['instance/i-2']))
  state.close()
  const again = new AgentState(file)
  const changed = again.changedSince({ epoch: 'e', generation: 5 })
  assert.deepEqual(
    changed?.upserts.map((one) => one.key),
    ['instance/i-3'],
  )
  assert.deepEqual(changed?.removals, ['instance/i-2'])
  assert.equal(again.changedSince({ epoch: 'e', generation: 4 }), null, 'before the first state')
  again.close()
})

test('AgentState keeps the nodes it heard, and forgets those that left', () => {
  const file = newFile()
  const state = new AgentState(file)
  state.keepNode(create(HostStatusSchema, { rack: 'a', host: 'n1', vcpus: 4 }))
  state.keepNode(create(HostStatusSchema, { rack: 'a', host: 'n2' }))
  state.forgetNode('n2')
  state.close()
  const again = new AgentState(file)
  assert.deepEqual(
    again.nodes().map((one) => [one.host, one.vcpus]),
    [['n1', 4]],
  )
  again.close()
})

test('nodeDesired gives a node its own load balancers, and every target of the rack', () => {
  const [one, two] = ['n1', 'n2'].map((host) => {
    const value = create(BalancerSchema, { interfaceId: `eni-${host}`, host })
    return resource(`balancer/eni-${host}`, { case: 'balancer', value })
  }) as [Resource, Resource]
  const target = resource('target/tg/10.0.0.5/80', { case: 'target', value: create(TargetSchema) })
  const desired = new Map([one, two, target].map((each) => [each.key, each]))
  assert.deepEqual(
    nodeDesired(desired, 'n2').map(({ key }) => key),
    ['balancer/eni-n2', 'target/tg/10.0.0.5/80'],
  )
})

test('subjectsOf names what a status is about', () => {
  assert.deepEqual(subjectsOf('target/eni-1/tg/10.0.0.5/80'), [
    'balancer/eni-1',
    'target/tg/10.0.0.5/80',
  ])
  assert.deepEqual(subjectsOf('balancer/eni-1'), ['balancer/eni-1'])
  assert.deepEqual(subjectsOf('vpn/7'), ['vpn/7'])
  assert.deepEqual(subjectsOf('host/n1'), [])
})

test('nodeDesired gives a node its own instances and no policy of the rack', () => {
  const vpc = resource('vpc/v', { case: 'vpc', value: create(VpcSchema, { id: 'v' }) })
  const all = [instance('i-1', 'n1'), instance('i-2', 'n2'), vpc]
  const desired = new Map(all.map((one) => [one.key, one]))
  assert.deepEqual(
    nodeDesired(desired, 'n1').map((one) => one.key),
    ['instance/i-1'],
  )
  assert.equal(isFor('n2', vpc), false)
})

test('AgentState says of an update whether there is something to make', () => {
  const state = new AgentState(newFile())
  const heard: unknown[] = []
  state.onAccept(({ from, generation, isNews }) => heard.push([from, generation, isNews]))
  state.accept('e', snapshot(1, instance('i-1', 'a')))
  state.accept('e', delta(1, 2, [], []))
  state.accept('e', delta(2, 3, [instance('i-1', 'a')], ['instance/i-9']))
  state.accept('e', snapshot(4, instance('i-1', 'a')))
  state.accept('e', delta(4, 5, [instance('i-1', 'b')], []))
  state.accept('e', delta(5, 6, [], ['instance/i-1']))
  state.accept('f', snapshot(6))
  assert.deepEqual(heard, [
    [null, 1, true],
    [1, 2, false],
    [2, 3, false],
    [3, 4, false],
    [4, 5, true],
    [5, 6, true],
    [null, 6, true],
  ])
  state.close()
})
