// What operators see of volumes: every account's, where their bytes are, and who has them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { attach, setVolume } from '../ebs/support.ts'
import { OTHER_ACCOUNT, openCloud, REGION, START_MS } from '../ec2/support.ts'
import { localApi } from './support.ts'

test('volumes are listed and shown with what hosts say of them', async (t) => {
  const cloud = await openCloud(t)
  const { call } = localApi(t, cloud)
  const ask = { AvailabilityZone: `${REGION}-a`, Size: 8, VolumeType: 'gp3' } as const
  const { VolumeId: id = '' } = await cloud.call('CreateVolume', ask, { account: OTHER_ACCOUNT })
  const made = {
    ...{ id, account: OTHER_ACCOUNT, rack: 'a', host: 'a0', state: 'creating', reason: '' },
    ...{ type: 'gp3', sizeGib: 8, usedBytes: null, missingBytes: 0, encrypted: false },
    ...{ multiAttach: false, snapshot: '', modification: null, attachments: [] },
    createdAtMs: START_MS,
  }
  assert.deepEqual((await call('GET', '/v1/volumes')).body['volumes'], [made])
  await setVolume(cloud.state, id, { state: 'ready', usedBytes: 4_096, stateReason: 'slow' })
  const { instance, host, device } = await attach(cloud.state, id, { trouble: 'no device' })
  assert.deepEqual((await call('GET', `/v1/volumes/${id}`)).body, {
    ...made,
    ...{ state: 'in-use', reason: 'slow', usedBytes: 4_096 },
    attachments: [
      { instance, host, device, state: 'attached', granted: true, trouble: 'no device' },
    ],
  })
  for (const unknown of ['vol-0123456789abcdef0', '__proto__', 'a%2Fb']) {
    const { status, body } = await call('GET', `/v1/volumes/${unknown}`)
    assert.deepEqual([status, body['code']], [404, 'NotFound'])
  }
})
