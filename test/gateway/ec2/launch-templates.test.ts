// Launch templates: versions, their names for a request, and what is refused.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RequestLaunchTemplateData } from '@aws-sdk/client-ec2'
import type { Ec2Inputs } from '../../../gateway/aws/handlers.ts'
import { loadModel } from '../../../gateway/aws/model.ts'
import { type Cloud, OTHER_ACCOUNT, openCloud, refusal } from './support.ts'

type Data = RequestLaunchTemplateData
const LaunchTemplateName = 'web/(1).0_a-b'

test('CreateLaunchTemplate makes a template, once for a token, that its owner sees', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const input: Ec2Inputs['CreateLaunchTemplate'] = {
    LaunchTemplateName,
    VersionDescription: 'first',
    LaunchTemplateData: { InstanceType: 't3.nano' },
    ClientToken: 'token',
    TagSpecifications: [{ ResourceType: 'launch-template', Tags: [{ Key: 'a', Value: 'b' }] }],
  }
  const { LaunchTemplate } = await cloud.call('CreateLaunchTemplate', input)
  assert.match(LaunchTemplate?.LaunchTemplateId ?? '', /^lt-[0-9a-f]{17}$/)
  assert.equal(LaunchTemplate?.DefaultVersionNumber, 1)
  assert.equal(LaunchTemplate?.LatestVersionNumber, 1)
  assert.deepEqual(LaunchTemplate?.Tags, [{ Key: 'a', Value: 'b' }])
  const again = await cloud.call('CreateLaunchTemplate', input)
  assert.deepEqual(again.LaunchTemplate, LaunchTemplate)
  for (const asked of [
    { LaunchTemplateNames: [LaunchTemplateName] },
    { LaunchTemplateIds: [LaunchTemplate?.LaunchTemplateId ?? ''] },
    { Filters: [{ Name: 'launch-template-name', Values: ['web*'] }], MaxResults: 1 },
    { Filters: [{ Name: 'tag:a', Values: ['b'] }] },
  ]) {
    const found = await cloud.call('DescribeLaunchTemplates', asked)
    assert.deepEqual(found.LaunchTemplates, [LaunchTemplate])
  }
  const theirs = { account: OTHER_ACCOUNT }
  assert.deepEqual((await cloud.call('DescribeLaunchTemplates', {}, theirs)).LaunchTemplates, [])
  const { LaunchTemplateId } = LaunchTemplate ?? {}
  const deletion = cloud.call('DeleteLaunchTemplate', { LaunchTemplateId }, theirs)
  assert.equal(await refusal(deletion), 'InvalidLaunchTemplateId.NotFound')
  await cloud.call('DeleteLaunchTemplate', { LaunchTemplateId })
  assert.deepEqual((await cloud.call('DescribeLaunchTemplates', {})).LaunchTemplates, [])
  const view = await cloud.state.fresh()
  assert.equal(view.all('launch-template-version').length, 0)
  const { ClientToken: _, ...anew } = input
  assert.equal(await refusal(cloud.call('CreateLaunchTemplate', anew)), 'accepted', 'name is free')
})

test('CreateLaunchTemplateVersion inherits from its source what it does not say', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  await make(cloud, { InstanceType: 't3.nano', KeyName: 'mine', Monitoring: { Enabled: false } })
  const { LaunchTemplateVersion: second } = await cloud.call('CreateLaunchTemplateVersion', {
    LaunchTemplateName,
    SourceVersion: '$Latest',
    VersionDescription: 'larger',
    LaunchTemplateData: { InstanceType: 't3.large' },
  })
  assert.equal(second?.VersionNumber, 2)
  assert.equal(second?.DefaultVersion, false)
  assert.deepEqual(second?.LaunchTemplateData, {
    InstanceType: 't3.large',
    KeyName: 'mine',
    Monitoring: { Enabled: false },
  })
  const { LaunchTemplateVersion: third } = await cloud.call('CreateLaunchTemplateVersion', {
    LaunchTemplateName,
    LaunchTemplateData: { KeyName: 'other' },
  })
  assert.deepEqual(third?.LaunchTemplateData, { KeyName: 'other' })
  const versions = async (asked: object): Promise<(number | undefined)[]> => {
    const input = { LaunchTemplateName, ...asked }
    const found = await cloud.call('DescribeLaunchTemplateVersions', input)
    return (found.LaunchTemplateVersions ?? []).map((one) => one.VersionNumber)
  }
  assert.deepEqual(await versions({}), [3, 2, 1])
  assert.deepEqual(await versions({ Versions: ['$Default', '2'] }), [2, 1])
  assert.deepEqual(await versions({ Versions: ['$Latest', '3'] }), [3])
  assert.deepEqual(await versions({ MinVersion: '2' }), [3, 2])
  assert.deepEqual(await versions({ MinVersion: '2', MaxVersion: '2' }), [2])
  const filter = { Name: 'instance-type', Values: ['t3.*'] }
  assert.deepEqual(await versions({ Filters: [filter] }), [2, 1])
  const first = await cloud.call('DescribeLaunchTemplateVersions', {
    LaunchTemplateName,
    MaxResults: 2,
  })
  assert.deepEqual(await versions({ MaxResults: 2, NextToken: first.NextToken }), [1])
  const all = await cloud.call('DescribeLaunchTemplateVersions', { Versions: ['$Latest'] })
  assert.equal(all.LaunchTemplateVersions?.[0]?.VersionNumber, 3)
})

test('ModifyLaunchTemplate and DeleteLaunchTemplateVersions keep a default version', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const LaunchTemplateId = await make(cloud, { InstanceType: 't3.nano' })
  for (const InstanceType of ['t3.micro', 't3.small'] as const) {
    const LaunchTemplateData = { InstanceType }
    await cloud.call('CreateLaunchTemplateVersion', { LaunchTemplateId, LaunchTemplateData })
  }
  const { LaunchTemplate } = await cloud.call('ModifyLaunchTemplate', {
    LaunchTemplateId,
    DefaultVersion: '2',
  })
  assert.equal(LaunchTemplate?.DefaultVersionNumber, 2)
  const answer = await cloud.call('DeleteLaunchTemplateVersions', {
    LaunchTemplateId,
    Versions: ['1', '2', '$Latest', '9'],
  })
  const numbers = (list: readonly { VersionNumber?: number | undefined }[] = []): unknown[] =>
    list.map((one) => one.VersionNumber)
  assert.deepEqual(numbers(answer.SuccessfullyDeletedLaunchTemplateVersions), [1, 3])
  assert.deepEqual(
    answer.UnsuccessfullyDeletedLaunchTemplateVersions?.map((one) => [
      one.VersionNumber,
      one.ResponseError?.Code,
    ]),
    [
      [2, 'unexpectedError'],
      [9, 'launchTemplateVersionDoesNotExist'],
    ],
  )
  const next = await cloud.call('CreateLaunchTemplateVersion', {
    LaunchTemplateId,
    LaunchTemplateData: { InstanceType: 't3.large' },
  })
  assert.equal(next.LaunchTemplateVersion?.VersionNumber, 4, 'no number is given twice')
})

test('launch templates refuse bad input with AWS codes and change nothing', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const LaunchTemplateId = await make(cloud, { InstanceType: 't3.nano' })
  const { revision } = await cloud.state.fresh()
  const data = { LaunchTemplateData: { InstanceType: 't3.nano' } } as const
  const unknownId = 'lt-0123456789abcdef0'
  const rows: readonly (readonly [keyof Ec2Inputs, object, string])[] = [
    ['CreateLaunchTemplate', data, 'MissingParameter'],
    ['CreateLaunchTemplate', { LaunchTemplateName: 'new' }, 'MissingParameter'],
    [
      'CreateLaunchTemplate',
      { LaunchTemplateName: 'new', LaunchTemplateData: {} },
      'MissingParameter',
    ],
    [
      'CreateLaunchTemplate',
      { LaunchTemplateName, ...data },
      'InvalidLaunchTemplateName.AlreadyExistsException',
    ],
    [
      'CreateLaunchTemplate',
      { LaunchTemplateName: 'ab', ...data },
      'InvalidLaunchTemplateName.MalformedException',
    ],
    [
      'CreateLaunchTemplate',
      { LaunchTemplateName: 'a b c', ...data },
      'InvalidLaunchTemplateName.MalformedException',
    ],
    [
      'CreateLaunchTemplate',
      { LaunchTemplateName: 'new', ...data, VersionDescription: 'x'.repeat(256) },
      'InvalidParameterValue',
    ],
    [
      'CreateLaunchTemplate',
      { LaunchTemplateName: 'new', LaunchTemplateData: { UserData: '{}' } },
      'InvalidUserData.Malformed',
    ],
    [
      'CreateLaunchTemplate',
      {
        LaunchTemplateName: 'new',
        LaunchTemplateData: { TagSpecifications: [{ ResourceType: 'vpc' }] },
      },
      'InvalidParameterValue',
    ],
    [
      'CreateLaunchTemplate',
      { LaunchTemplateName: 'new', ...data, DryRun: true },
      'DryRunOperation',
    ],
    ['CreateLaunchTemplateVersion', data, 'MissingParameter'],
    [
      'CreateLaunchTemplateVersion',
      { LaunchTemplateName, LaunchTemplateId, ...data },
      'InvalidParameterCombination',
    ],
    [
      'CreateLaunchTemplateVersion',
      { LaunchTemplateId: unknownId, ...data },
      'InvalidLaunchTemplateId.NotFound',
    ],
    [
      'CreateLaunchTemplateVersion',
      { LaunchTemplateId: 'lt-x', ...data },
      'InvalidLaunchTemplateId.Malformed',
    ],
    [
      'CreateLaunchTemplateVersion',
      { LaunchTemplateName: 'none', ...data },
      'InvalidLaunchTemplateName.NotFoundException',
    ],
    [
      'CreateLaunchTemplateVersion',
      { LaunchTemplateId, SourceVersion: '9', ...data },
      'InvalidLaunchTemplateId.VersionNotFound',
    ],
    [
      'CreateLaunchTemplateVersion',
      { LaunchTemplateId, SourceVersion: '$latest', ...data },
      'InvalidParameterValue',
    ],
    ['DescribeLaunchTemplateVersions', {}, 'MissingParameter'],
    ['DescribeLaunchTemplateVersions', { Versions: ['1'] }, 'MissingParameter'],
    [
      'DescribeLaunchTemplateVersions',
      { LaunchTemplateId, Versions: ['9'] },
      'InvalidLaunchTemplateId.VersionNotFound',
    ],
    [
      'DescribeLaunchTemplateVersions',
      { LaunchTemplateId, Versions: ['1'], MinVersion: '1' },
      'InvalidParameterCombination',
    ],
    [
      'DescribeLaunchTemplateVersions',
      { LaunchTemplateId, MaxResults: 201 },
      'InvalidParameterValue',
    ],
    [
      'DescribeLaunchTemplates',
      { LaunchTemplateNames: ['none'] },
      'InvalidLaunchTemplateName.NotFoundException',
    ],
    [
      'DescribeLaunchTemplates',
      { LaunchTemplateIds: [unknownId] },
      'InvalidLaunchTemplateId.NotFound',
    ],
    ['ModifyLaunchTemplate', { LaunchTemplateId }, 'MissingParameter'],
    [
      'ModifyLaunchTemplate',
      { LaunchTemplateId, DefaultVersion: '2' },
      'InvalidLaunchTemplateId.VersionNotFound',
    ],
    ['DeleteLaunchTemplate', {}, 'MissingParameter'],
    ['DeleteLaunchTemplate', { LaunchTemplateId, DryRun: true }, 'DryRunOperation'],
    ['DeleteLaunchTemplateVersions', { LaunchTemplateId, Versions: [] }, 'MissingParameter'],
    [
      'DeleteLaunchTemplateVersions',
      { LaunchTemplateId, Versions: Array.from({ length: 201 }, (_, i) => String(i + 1)) },
      'InvalidParameterValue',
    ],
  ]
  for (const [action, input, code] of rows) {
    const call = cloud.call(action as 'CreateLaunchTemplate', input as never)
    assert.equal(await refusal(call), code, `${action} ${JSON.stringify(input)}`)
  }
  assert.equal((await cloud.state.fresh()).revision, revision)
})

test('a template warns of what no launch here would take, and is kept', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const { LaunchTemplate, Warning } = await cloud.call('CreateLaunchTemplate', {
    LaunchTemplateName,
    LaunchTemplateData: { ElasticInferenceAccelerators: [{ Type: 'eia1.medium' }] },
  })
  assert.ok(LaunchTemplate)
  assert.deepEqual(
    Warning?.Errors?.map((one) => one.Code),
    ['UnsupportedOperation'],
  )
})

test('every parameter of a launch template is one of the answer as well', () => {
  const { shapes } = loadModel('ec2')
  const members = (name: string): string[] =>
    shapes.flatMap((one) => (one[0] === 'o' && one[1] === name ? one[2] : [])).map(({ n }) => n)
  const asked = members('RequestLaunchTemplateData')
  assert.ok(asked.length > 20)
  assert.deepEqual(
    asked.filter((name) => !members('ResponseLaunchTemplateData').includes(name)),
    [],
  )
})

async function make(cloud: Cloud, data: Data, name = LaunchTemplateName): Promise<string> {
  const { LaunchTemplate } = await cloud.call('CreateLaunchTemplate', {
    LaunchTemplateName: name,
    LaunchTemplateData: data,
  })
  return LaunchTemplate?.LaunchTemplateId ?? ''
}
