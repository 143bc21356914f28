// What calls to EBS direct APIs, and to snapshots of EC2, ask policies for.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ebsAsks } from '../../../gateway/iam/ebs-requests.ts'
import { ec2Asks } from '../../../gateway/iam/ec2-requests.ts'
import { startView, type Write } from '../control/records.ts'
import { volume } from '../control/volume-changes.ts'
import { snapshot } from '../ebs/snapshot-support.ts'

const account = '111122223333'
const ID = 'snap-0123456789abcdef0'
const OTHER = 'snap-0123456789abcdef1'
const THERE: Write[] = [
  [`volume-snapshot/${ID}`, snapshot(ID, { account })],
  ['image/ami-1', { id: 'ami-1', account, devices: [{ volume: { snapshot: ID } }] }],
  [`volume/vol-1`, volume('vol-1', { account, instances: ['i-1'] })],
  [`volume/vol-2`, volume('vol-2', { account, instances: ['i-1'] })],
  [`tags/${ID}`, { resource: ID, resourceType: 'snapshot', account, tags: { Team: 'red' } }],
]
const place = { view: startView(...THERE), region: 'mallee-1', account }
const arn = (type: string, id: string, of = account) => `arn:aws:ec2:mallee-1:${of}:${type}/${id}`

test('reading and writing asks about each snapshot, with its tags', () => {
  for (const action of ['ListSnapshotBlocks', 'GetSnapshotBlock', 'PutSnapshotBlock']) {
    const [ask, ...more] = ebsAsks(place, action, { SnapshotId: ID })
    assert.deepEqual(
      [ask?.action, ask?.resource, more],
      [`ebs:${action}`, arn('snapshot', ID, ''), []],
    )
    assert.deepEqual(ask?.keys.get('aws:resourcetag/team'), ['red'])
  }
  const both = { FirstSnapshotId: ID, SecondSnapshotId: OTHER }
  assert.deepEqual(
    ebsAsks(place, 'ListChangedBlocks', both).map(({ resource }) => resource),
    [arn('snapshot', ID, ''), arn('snapshot', OTHER, '')],
  )
})

test('StartSnapshot asks about what it makes, its size, parent and tags', () => {
  const input = {
    ...{ VolumeSize: 8, ParentSnapshotId: ID, Description: 'mine' },
    Tags: [{ Key: 'Team', Value: 'blue' }],
  }
  const [ask, ...more] = ebsAsks(place, 'StartSnapshot', input)
  assert.deepEqual([ask?.resource, more], [arn('snapshot', '*', ''), []])
  assert.deepEqual(Object.fromEntries(ask?.keys ?? []), {
    'aws:requesttag/team': ['blue'],
    'aws:tagkeys': ['Team'],
    'ebs:volumesize': ['8'],
    'ebs:description': ['mine'],
    'ebs:parentsnapshot': [arn('snapshot', ID, '')],
  })
})

test('DeregisterImage asks about each snapshot that is to go with the image', () => {
  const asked = (more: object): string[][] =>
    ec2Asks(place, 'DeregisterImage', { ImageId: 'ami-1', ...more }).map((one) => [
      ...[one.action, one.resource],
      ...(one.keys.get('aws:resourcetag/team') ?? []),
    ])
  const always = ['ec2:DeregisterImage', arn('image', 'ami-1', '')]
  assert.deepEqual(asked({}), [always])
  assert.deepEqual(asked({ DeleteAssociatedSnapshots: true }), [
    always,
    ['ec2:DeleteSnapshot', arn('snapshot', ID, ''), 'red'],
  ])
})

test('CreateSnapshots asks about each volume of the instance that it does not leave out', () => {
  const asked = (InstanceSpecification: object): string[] =>
    ec2Asks(place, 'CreateSnapshots', { InstanceSpecification }).map(({ resource }) => resource)
  const always = [arn('instance', 'i-1'), arn('snapshot', '*', '')]
  const all = ['vol-1', 'vol-2'].map((id) => arn('volume', id))
  assert.deepEqual(asked({ InstanceId: 'i-1' }), [...always, ...all])
  const left = { InstanceId: 'i-1', ExcludeDataVolumeIds: ['vol-1'] }
  assert.deepEqual(asked(left), [...always, arn('volume', 'vol-2')])
})
