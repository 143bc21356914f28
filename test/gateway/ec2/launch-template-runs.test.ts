// Instances that are launched from templates: whose parameters they get, and their tags.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RequestLaunchTemplateData } from '@aws-sdk/client-ec2'
import { type Cloud, OTHER_ACCOUNT, openCloud, refusal, registerImage, run } from './support.ts'

type Data = RequestLaunchTemplateData
const LaunchTemplateName = 'web'
const ONE = { MinCount: 1, MaxCount: 1 } as const

test('RunInstances from a template: the default version, its tags, and its own first', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const ImageId = await registerImage(cloud)
  const LaunchTemplateId = await make(cloud, {
    ImageId,
    InstanceType: 't3.micro',
    UserData: Buffer.from('hello').toString('base64'),
    MetadataOptions: { HttpTokens: 'optional', HttpPutResponseHopLimit: 3 },
    TagSpecifications: [
      { ResourceType: 'instance', Tags: [tag('Name', 'web'), tag('of', 'template')] },
    ],
  })
  const answer = await cloud.call('RunInstances', {
    ...ONE,
    LaunchTemplate: { LaunchTemplateId },
    MetadataOptions: { HttpPutResponseHopLimit: 5 },
    TagSpecifications: [{ ResourceType: 'instance', Tags: [tag('of', 'launch')] }],
  })
  const [instance] = answer.Instances ?? []
  assert.equal(instance?.ImageId, ImageId)
  assert.equal(instance?.InstanceType, 't3.micro')
  assert.equal(instance?.MetadataOptions?.HttpTokens, 'optional')
  assert.equal(instance?.MetadataOptions?.HttpPutResponseHopLimit, 5)
  assert.deepEqual(instance?.Tags, [
    tag('Name', 'web'),
    tag('aws:ec2launchtemplate:id', LaunchTemplateId),
    tag('aws:ec2launchtemplate:version', '1'),
    tag('of', 'launch'),
  ])
  const InstanceId = instance?.InstanceId ?? ''
  await cloud.call('DeleteTags', { Resources: [InstanceId] })
  const left = await cloud.call('DescribeTags', {})
  assert.deepEqual(
    left.Tags?.map(({ Key }) => Key),
    ['aws:ec2launchtemplate:id', 'aws:ec2launchtemplate:version'],
    'what the cloud set only the cloud takes away',
  )
  const Tags = [{ Key: 'aws:ec2launchtemplate:id' }]
  const deletion = cloud.call('DeleteTags', { Resources: [InstanceId], Tags })
  assert.equal(await refusal(deletion), 'InvalidParameterValue')
  const { LaunchTemplateData } = await cloud.call('GetLaunchTemplateData', { InstanceId })
  const copy = await make(cloud, LaunchTemplateData as Data, 'copy')
  const [same = ''] = await run(cloud, { LaunchTemplate: { LaunchTemplateId: copy } })
  const records = [InstanceId, same].map((id) => cloud.state.view().get('instance', id))
  assert.equal(records[1]?.userData, records[0]?.userData)
  assert.equal(records[1]?.subnet, records[0]?.subnet)
})

test('GetLaunchTemplateData says all that a launch said, and a launch takes it back', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const ImageId = await registerImage(cloud)
  const said = {
    Monitoring: { Enabled: true },
    DisableApiStop: true,
    DisableApiTermination: true,
    InstanceInitiatedShutdownBehavior: 'terminate',
    MaintenanceOptions: { AutoRecovery: 'disabled' },
    CapacityReservationSpecification: { CapacityReservationPreference: 'none' },
    CreditSpecification: { CpuCredits: 'unlimited' },
    PrivateDnsNameOptions: { HostnameType: 'resource-name' },
    InstanceMarketOptions: { MarketType: 'spot' },
  } as const
  const [InstanceId = ''] = await run(cloud, { ImageId, ...said })
  const { LaunchTemplateData: data } = await cloud.call('GetLaunchTemplateData', { InstanceId })
  const names = Object.keys(said) as (keyof typeof said)[]
  assert.deepEqual(Object.fromEntries(names.map((name) => [name, data?.[name]])), said)
  const LaunchTemplateId = await make(cloud, data as Data)
  const answer = await cloud.call('RunInstances', { ...ONE, LaunchTemplate: { LaunchTemplateId } })
  const again = { InstanceId: answer.Instances?.[0]?.InstanceId ?? '' }
  const copy = await cloud.call('GetLaunchTemplateData', again)
  assert.deepEqual(copy.LaunchTemplateData, data)
})

test('RunInstances overrides groups, interfaces and devices of a template by their key', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const ImageId = await registerImage(cloud)
  const view = await cloud.state.fresh()
  const group = view.all('security-group').find((one) => one.account !== OTHER_ACCOUNT)?.id ?? ''
  const subnet = view.all('subnet').find((one) => one.account !== OTHER_ACCOUNT)?.id ?? ''
  await make(cloud, { SecurityGroups: ['none'], InstanceType: 't3.small', ImageId })
  const LaunchTemplate = { LaunchTemplateName }
  assert.equal(await refusal(run(cloud, { LaunchTemplate })), 'InvalidGroup.NotFound')
  await run(cloud, { LaunchTemplate, SecurityGroupIds: [group] })
  const cards = (SubnetId: string): Data['NetworkInterfaces'] => [
    { DeviceIndex: 0, SubnetId },
    { DeviceIndex: 1, SubnetId: subnet, Description: 'second' },
  ]
  await cloud.call('CreateLaunchTemplateVersion', {
    LaunchTemplateName,
    LaunchTemplateData: {
      ImageId,
      InstanceType: 't3.small',
      NetworkInterfaces: cards('subnet-01234567'),
      BlockDeviceMappings: [{ DeviceName: '/dev/sdb', Ebs: { VolumeSize: 1 } }],
    },
  })
  const second = { LaunchTemplateName, Version: '2' }
  const NetworkInterfaces = [{ DeviceIndex: 0, SubnetId: subnet }]
  const BlockDeviceMappings = [{ DeviceName: '/dev/sdb', NoDevice: '' }]
  const input = { InstanceType: 't3.small', LaunchTemplate: second, BlockDeviceMappings } as const
  assert.equal(await refusal(run(cloud, input)), 'InvalidSubnetID.NotFound')
  const top = run(cloud, { ...input, SubnetId: subnet })
  assert.equal(await refusal(top), 'InvalidParameterCombination')
  const [id = ''] = await run(cloud, { ...input, NetworkInterfaces })
  const descriptions = cloud.state.view().interfacesOf('instance', id)
  assert.deepEqual(descriptions.map((one) => one.description).sort(), ['', 'second'])
  const unknown = run(cloud, { LaunchTemplate: { LaunchTemplateName, Version: '7' } })
  assert.equal(await refusal(unknown), 'InvalidLaunchTemplateId.VersionNotFound')
})

test('a launch with a client token is answered after its template is gone', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const LaunchTemplateId = await make(cloud, { ImageId: await registerImage(cloud) })
  const input = { LaunchTemplate: { LaunchTemplateId }, ClientToken: 'once' }
  const before = await run(cloud, input)
  await cloud.call('DeleteLaunchTemplate', { LaunchTemplateId })
  assert.deepEqual(await run(cloud, input), before)
})

async function make(cloud: Cloud, data: Data, name = LaunchTemplateName): Promise<string> {
  const { LaunchTemplate } = await cloud.call('CreateLaunchTemplate', {
    LaunchTemplateName: name,
    LaunchTemplateData: data,
  })
  return LaunchTemplate?.LaunchTemplateId ?? ''
}

function tag(Key: string, Value: string): { Key: string; Value: string } {
  return { Key, Value }
}
