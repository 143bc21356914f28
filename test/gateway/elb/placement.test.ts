// On which hosts new nodes are.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ACCOUNT } from '../ec2/support.ts'
import { openGround } from './support.ts'

test('nodes are on the hosts with the fewest, and nowhere without a host', async (t) => {
  const { cloud, create } = await openGround(t)
  const { state } = cloud
  for (const n of [1, 2, 3, 4]) await create({ Name: `web${n}`, Scheme: 'internal' })
  const hosts = () => {
    const view = state.view()
    const nodes = view.by('balancer-node', 'account', ACCOUNT)
    return nodes.map((one) => view.get('interface', one.interface)?.host).sort()
  }
  assert.deepEqual(hosts(), ['a1', 'a1', 'a2', 'a2'])
  for (const host of ['a1', 'a2']) {
    await state.update(async (tx) => {
      const record = await tx.get('host', 'a', host)
      if (record !== null) await tx.put('host', ['a', host], { ...record, cordoned: true })
    })
  }
  await create({ Name: 'late', Scheme: 'internal' })
  assert.deepEqual(hosts(), ['', 'a1', 'a1', 'a2', 'a2'])
})
