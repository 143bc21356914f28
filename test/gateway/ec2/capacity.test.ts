// The choice of hosts when the mirror is behind: it must not place on room that is taken.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chooseHosts, placeHosts } from '../../../gateway/ec2/capacity.ts'
import type { State, View } from '../../../gateway/store/state.ts'
import type { Place } from '../../../topology/placement.ts'
import { type Cloud, openCloud, refusal, registerImage, run } from './support.ts'

const NANO = { vcpus: 2, memoryMib: 512, diskGib: 4 }

/** A rack with two hosts of one t3.nano each, one of them taken; says which. */
async function halfFull(t: Parameters<typeof openCloud>[0]): Promise<[Cloud, string]> {
  const cloud = await openCloud(t, { racks: ['a'], vcpus: 2 })
  const [id = ''] = await run(cloud, { ImageId: await registerImage(cloud) })
  return [cloud, cloud.state.view().get('instance', id)?.host ?? '']
}

/** The view as it was before anything was placed. */
function before(view: View): View {
  return {
    revision: 0,
    get: (kind, ...id) => (kind === 'placed' ? null : view.get(kind, ...id)),
    all: (kind) => view.all(kind),
    by: () => [],
    withPrefix: (kind, prefix) => view.withPrefix(kind, prefix),
    under: (kind, ...id) => view.under(kind, ...id),
    instancesOf: () => [],
    interfacesOf: () => [],
    subnetsOf: () => [],
  }
}

/** A mirror that is behind for so many questions. */
function lagging(state: State, times: number): State {
  let left = times
  const fresh = async (): Promise<View> => {
    const view = await state.fresh()
    left -= 1
    return left >= 0 ? before(view) : view
  }
  return { ...state, fresh }
}

function choose(cloud: Cloud, state: State, count: number): Promise<Place[]> {
  const choice = {
    need: NANO,
    minCount: count,
    maxCount: count,
    racks: new Set(['a']),
    group: null,
  }
  return cloud.state.update((tx) => chooseHosts(tx, state, choice))
}

test('chooseHosts looks again when the mirror had not seen an instance', async (t) => {
  const [cloud, taken] = await halfFull(t)
  const places = await choose(cloud, lagging(cloud.state, 3), 1)
  assert.deepEqual(places, [{ rack: 'a', host: taken === 'a1' ? 'a2' : 'a1', partition: null }])
})

test('chooseHosts finds no room twice although a mirror that is behind shows it', async (t) => {
  const [cloud] = await halfFull(t)
  const call = choose(cloud, lagging(cloud.state, 3), 2)
  assert.equal(await refusal(call), 'InsufficientInstanceCapacity')
})

test('chooseHosts gives up when the mirror never catches up', async (t) => {
  const [cloud] = await halfFull(t)
  assert.equal(await refusal(choose(cloud, lagging(cloud.state, 1_000), 2)), 'Unavailable')
})

test('chooseHosts places nothing on a host that left while the choice was made', async (t) => {
  const [cloud, taken] = await halfFull(t)
  const free = taken === 'a1' ? 'a2' : 'a1'
  const call = cloud.state.update(async (tx) => {
    await tx.delete('host', 'a', free)
    const choice = { need: NANO, minCount: 1, maxCount: 1, racks: new Set(['a']), group: null }
    return await chooseHosts(tx, cloud.state, choice)
  })
  assert.equal(await refusal(call), 'Unavailable')
})

test('placeHosts counts instances until they are terminated, and no host without nc', async (t) => {
  const [cloud, taken] = await halfFull(t)
  const [id = ''] = cloud.state
    .view()
    .all('instance')
    .map((one) => one.id)
  await cloud.call('TerminateInstances', { InstanceIds: [id] })
  const hosts = placeHosts(await cloud.state.fresh())
  assert.deepEqual(hosts.map((one) => [one.host, one.free.vcpus, one.instances]).sort(), [
    ['a1', taken === 'a1' ? 0 : 2, taken === 'a1' ? 1 : 0],
    ['a2', taken === 'a2' ? 0 : 2, taken === 'a2' ? 1 : 0],
  ])
})
