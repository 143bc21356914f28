// The aws CLI and the JavaScript SDK over the wire: what instances are launched by.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { REGION } from './support.ts'
import { awsWithImage, listening, sdkClient } from './wire-support.ts'

test('the aws CLI makes a launch template, a version of it, and an instance from it', async (t) => {
  const { aws, image } = await awsWithImage(t)
  const data = JSON.stringify({ ImageId: image, InstanceType: 't3.micro' })
  const id = await aws(
    ...['create-launch-template', '--launch-template-name', 'web'],
    ...['--launch-template-data', data, '--query', 'LaunchTemplate.LaunchTemplateId'],
  )
  await aws(
    ...['create-launch-template-version', '--launch-template-id', id, '--source-version', '1'],
    ...['--launch-template-data', '{"InstanceType":"t3.small"}'],
  )
  await aws('modify-launch-template', '--launch-template-name', 'web', '--default-version', '2')
  const types = await aws(
    ...['describe-launch-template-versions', '--launch-template-id', id, '--versions', '$Default'],
    ...['--query', 'LaunchTemplateVersions[].LaunchTemplateData.InstanceType'],
  )
  assert.equal(types, 't3.small')
  const started = await aws(
    ...['run-instances', '--launch-template', 'LaunchTemplateName=web,Version=$Latest'],
    ...['--count', '1', '--query', 'Instances[0].[InstanceType,ImageId]'],
  )
  assert.equal(started, `t3.small\t${image}`)
  await aws('delete-launch-template-versions', '--launch-template-id', id, '--versions', '1')
  await aws('delete-launch-template', '--launch-template-id', id)
  assert.equal(await aws('describe-launch-templates', '--query', 'LaunchTemplates'), '')
})

test('the JavaScript SDK reads back every part of a launch template', async (t) => {
  const [, endpoint] = await listening(t)
  const ec2 = sdkClient(t, endpoint)
  const LaunchTemplateData = {
    BlockDeviceMappings: [{ DeviceName: '/dev/sda1', Ebs: { VolumeSize: 8 } }],
    InstanceMarketOptions: {
      MarketType: 'spot',
      SpotOptions: { ValidUntil: new Date('2027-01-01T00:00:00Z') },
    },
    InstanceRequirements: { VCpuCount: { Min: 2 }, MemoryMiB: { Min: 512 } },
    NetworkInterfaces: [{ DeviceIndex: 0, Groups: ['sg-01234567'], Ipv6AddressCount: 1 }],
    TagSpecifications: [{ ResourceType: 'instance', Tags: [{ Key: 'a', Value: 'é <&>' }] }],
  } as const
  const { LaunchTemplate } = await ec2.createLaunchTemplate({
    LaunchTemplateName: 'web',
    LaunchTemplateData: LaunchTemplateData as never,
  })
  const { LaunchTemplateVersions } = await ec2.describeLaunchTemplateVersions({
    LaunchTemplateId: LaunchTemplate?.LaunchTemplateId,
  })
  assert.deepEqual(LaunchTemplateVersions?.[0]?.LaunchTemplateData, LaunchTemplateData)
})

test('the aws CLI makes a placement group and starts an instance in a partition of it', async (t) => {
  const { aws, image } = await awsWithImage(t)
  await aws(
    ...['create-placement-group', '--group-name', 'db', '--strategy', 'partition'],
    ...['--partition-count', '5'],
  )
  const place = await aws(
    ...['run-instances', '--image-id', image, '--instance-type', 't3.nano'],
    ...['--placement', 'GroupName=db,PartitionNumber=4'],
    ...['--query', 'Instances[0].Placement.[GroupName,PartitionNumber]'],
  )
  assert.equal(place, 'db\t4')
  const count = await aws(
    ...['describe-placement-groups', '--group-names', 'db'],
    ...['--query', 'PlacementGroups[0].PartitionCount'],
  )
  assert.equal(count, '5')
})

test('the aws CLI makes an instant fleet, reads it and deletes it', async (t) => {
  const { aws, image } = await awsWithImage(t)
  const data = JSON.stringify({ ImageId: image, InstanceType: 't3.nano' })
  await aws(
    ...['create-launch-template', '--launch-template-name', 'web'],
    ...['--launch-template-data', data],
  )
  const LaunchTemplateSpecification = { LaunchTemplateName: 'web', Version: '$Default' }
  const Overrides = [{ InstanceType: 'z9.huge' }, { InstanceType: 't3.micro' }]
  const made = await aws(
    ...['create-fleet', '--type', 'instant', '--launch-template-configs'],
    JSON.stringify([{ LaunchTemplateSpecification, Overrides }]),
    ...['--target-capacity-specification'],
    'TotalTargetCapacity=1,DefaultTargetCapacityType=on-demand',
    ...['--query', '[FleetId,Instances[0].InstanceType,Errors[0].ErrorCode]'],
  )
  const [id = '', ...rest] = made.split('\t')
  assert.deepEqual(rest, ['t3.micro', 'InvalidParameterValue'])
  const shown = await aws(
    ...['describe-fleets', '--fleet-ids', id],
    ...['--query', 'Fleets[0].[Type,FleetState,FulfilledCapacity]'],
  )
  assert.equal(shown, 'instant\tactive\t1.0')
  const state = await aws(
    ...['delete-fleets', '--fleet-ids', id, '--terminate-instances'],
    ...['--query', 'SuccessfulFleetDeletions[0].CurrentFleetState'],
  )
  assert.equal(state, 'deleted_terminating')
})

test('the aws CLI starts a spot instance and reads its request and the price', async (t) => {
  const { aws, image } = await awsWithImage(t)
  const request = await aws(
    ...['run-instances', '--image-id', image, '--instance-type', 't3.nano'],
    ...['--instance-market-options', 'MarketType=spot,SpotOptions={MaxPrice=0.1}'],
    ...['--query', 'Instances[0].SpotInstanceRequestId'],
  )
  const states = await aws(
    ...['describe-spot-instance-requests', '--spot-instance-request-ids', request],
    ...['--query', 'SpotInstanceRequests[].State'],
  )
  assert.equal(states, 'active')
  const prices = await aws(
    ...['describe-spot-price-history', '--instance-types', 't3.nano'],
    ...['--query', 'SpotPriceHistory[].SpotPrice'],
  )
  assert.equal(prices, '0.000000\t0.000000')
})

test('the JavaScript SDK shares and copies an image, and asks for what nobody has', async (t) => {
  const [, endpoint] = await listening(t)
  const ec2 = sdkClient(t, endpoint)
  const { ImageId } = await ec2.registerImage({ Name: 'debian', ImageLocation: 'debian.qcow2' })
  const Description = { Value: 'é <&>' }
  await ec2.modifyImageAttribute({
    ...{ ImageId, Description },
    LaunchPermission: { Add: [{ Group: 'all' }] },
  })
  const attribute = { ImageId, Attribute: 'launchPermission' } as const
  const { LaunchPermissions } = await ec2.describeImageAttribute(attribute)
  assert.deepEqual(LaunchPermissions, [{ Group: 'all' }])
  await ec2.enableImageDeprecation({ ImageId, DeprecateAt: new Date(Date.now() + 86_400_000) })
  const copy = { SourceImageId: ImageId, SourceRegion: REGION, Name: 'copy' }
  const copied = await ec2.copyImage(copy)
  const { Images } = await ec2.describeImages({ ImageIds: [copied.ImageId ?? ''] })
  assert.equal(Images?.[0]?.Description, 'é <&>')
  assert.deepEqual((await ec2.describeVpcEndpoints()).VpcEndpoints ?? [], [])
  assert.deepEqual((await ec2.describeVpnGateways()).VpnGateways ?? [], [])
  const VpcEndpointIds = ['vpce-0123456789abcdef0']
  await assert.rejects(ec2.describeVpcEndpoints({ VpcEndpointIds }), {
    name: 'InvalidVpcEndpointId.NotFound',
  })
})
