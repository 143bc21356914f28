// PUT /v1/cloud: the VLAN scope goes one way.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openCloud } from '../ec2/support.ts'
import { localApi } from './support.ts'

test('PUT /v1/cloud gives racks tags of their own, keeps those there are, and never goes back', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const { state } = cloud
  const { app } = localApi(t, cloud)
  const put = async (payload: object): Promise<number> =>
    (await app.inject({ method: 'PUT', url: '/v1/cloud', payload })).statusCode
  const [gone, kept] = state.view().all('subnet')
  await cloud.call('DeleteSubnet', { SubnetId: gone?.id ?? '' }, { account: gone?.account ?? '' })
  assert.equal(await put({ vlanScope: 'cloud' }), 200)
  assert.equal(await put({ vlanScope: 'rack' }), 200)
  assert.equal(await put({ vlanScope: 'rack' }), 200)
  assert.equal(await put({ vlanScope: 'cloud' }), 409)
  assert.equal(await put({ vlanScope: 'vpc' }), 400)
  assert.equal(await put({}), 400)
  assert.equal(await put({ spot: 'refused' }), 200)
  assert.equal(await put({ spot: 'never' }), 400)
  assert.equal((await state.fresh()).get('cloud', 'self')?.spot, 'refused')
  const view = await state.fresh()
  assert.equal(view.get('cloud', 'self')?.vlanScope, 'rack')
  assert.deepEqual(view.get('subnet', kept?.id ?? ''), kept)
  assert.ok(view.get('resting-tag', 'any', String(gone?.vlanTag)))
})
