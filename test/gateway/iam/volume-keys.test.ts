// What conditions of policies see of volumes: of one that is asked for, and of one that is there.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ec2Asks } from '../../../gateway/iam/ec2-requests.ts'
import { putSnapshot } from '../ebs/support.ts'
import { ACCOUNT, OTHER_ACCOUNT, openCloud, REGION } from '../ec2/support.ts'

const ZONE = `${REGION}-a`

test('policies see what a new volume is to be, and what an old one is', async (t) => {
  const { call, state } = await openCloud(t)
  const { id: snapshot } = await putSnapshot(state, { account: OTHER_ACCOUNT, isPublic: true })
  const wish = { VolumeType: 'gp3', Iops: 4_000, Throughput: 250, Encrypted: false } as const
  const ask = { AvailabilityZone: ZONE, Size: 9, SnapshotId: snapshot, ...wish }
  const asked = (action: string, input: object) => {
    const place = { view: state.view(), region: REGION, account: ACCOUNT }
    return ec2Asks(place, action, input).map(({ resource, keys }) => [
      resource.split(':').at(-1),
      Object.fromEntries([...keys].map(([key, values]) => [key, values.join()])),
    ])
  }
  const shape = {
    ...{ 'ec2:volumesize': '9', 'ec2:volumetype': 'gp3', 'ec2:volumeiops': '4000' },
    ...{ 'ec2:volumethroughput': '250', 'ec2:encrypted': 'false' },
    'ec2:availabilityzone': ZONE,
  }
  const made = new Map(asked('CreateVolume', ask).map(([name, keys]) => [name, keys]))
  assert.deepEqual(made.get('volume/*'), shape)
  const seen = made.get(`snapshot/${snapshot}`) as Record<string, string>
  assert.equal(seen['ec2:owner'], OTHER_ACCOUNT)
  assert.equal(seen['ec2:volumesize'], '8')

  const { VolumeId = '' } = await call('CreateVolume', ask)
  await call('CreateTags', { Resources: [VolumeId], Tags: [{ Key: 'team', Value: 'blue' }] })
  assert.deepEqual(asked('DeleteVolume', { VolumeId }), [
    [
      `volume/${VolumeId}`,
      {
        ...shape,
        'ec2:volumeid': VolumeId,
        'aws:resourceaccount': ACCOUNT,
        'ec2:parentsnapshot': `arn:aws:ec2:${REGION}::snapshot/${snapshot}`,
        'aws:resourcetag/team': 'blue',
        'ec2:resourcetag/team': 'blue',
      },
    ],
  ])
})
