// The aws CLI over the wire against all of it: endpoint, codec, handlers, store.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addPublicPool } from './network-support.ts'
import { REGION, report } from './support.ts'
import { awsWithImage, listening, sdkClient } from './wire-support.ts'

test('the aws CLI registers an image, starts, finds, tags, reads and ends an instance', async (t) => {
  const { cloud, aws, image } = await awsWithImage(t)
  const id = await aws(
    ...['run-instances', '--image-id', image, '--instance-type', 't3.nano'],
    ...['--placement', `AvailabilityZone=${REGION}-b`, '--user-data', 'hello'],
    ...['--tag-specifications', 'ResourceType=instance,Tags=[{Key=Name,Value=web 1}]'],
    ...['--query', 'Instances[0].InstanceId'],
  )
  assert.equal(
    Buffer.from(cloud.state.view().get('instance', id)?.userData ?? '', 'base64').toString(),
    'hello',
  )
  await report(cloud.state, id, 'running')
  await aws('create-tags', '--resources', id, '--tags', 'Key=role,Value=')
  const found = await aws(
    ...['describe-instances', '--filters', 'Name=tag:Name,Values=web*'],
    ...['Name=instance-state-name,Values=running'],
    ...['--query', 'Reservations[].Instances[].[InstanceId,PrivateIpAddress,Ipv6Address]'],
  )
  const card = cloud.state.view().interfacesOf('instance', id)[0]
  assert.equal(found, [id, card?.ipv4, card?.ipv6].join('\t'))
  await aws('wait', 'instance-status-ok', '--instance-ids', id)
  assert.match(await aws('get-console-output', '--instance-id', id), /booted/)
  const ended = await aws('terminate-instances', '--instance-ids', id)
  assert.match(ended, /CURRENTSTATE\s+32\s+shutting-down/)
  await report(cloud.state, id, 'terminated')
  await aws('wait', 'instance-terminated', '--instance-ids', id)
})

test('the JavaScript SDK reads every Describe call of a cloud in use', async (t) => {
  const [cloud, endpoint] = await listening(t)
  const ec2 = sdkClient(t, endpoint)
  const { ImageId } = await ec2.registerImage({ Name: 'debian', ImageLocation: 'debian.qcow2' })
  await ec2.runInstances({ ImageId, InstanceType: 't3.nano', MinCount: 6, MaxCount: 6 })
  const [first] = cloud.state.view().all('instance')
  await report(cloud.state, first?.id ?? '', 'running')
  await ec2.createTags({ Resources: [ImageId ?? ''], Tags: [{ Key: 'a', Value: 'é <&>' }] })
  assert.equal((await ec2.describeRegions()).Regions?.[0]?.Endpoint, 'cloud.example:8773')
  assert.equal((await ec2.describeAvailabilityZones()).AvailabilityZones?.length, 2)
  assert.equal((await ec2.describeAccountAttributes()).AccountAttributes?.length, 6)
  assert.equal((await ec2.describeImages()).Images?.[0]?.Tags?.[0]?.Value, 'é <&>')
  assert.equal((await ec2.describeVpcs()).Vpcs?.[0]?.IsDefault, true)
  assert.equal((await ec2.describeSubnets()).Subnets?.length, 2)
  assert.equal((await ec2.describeSecurityGroups()).SecurityGroups?.length, 1)
  assert.equal((await ec2.describeInstanceStatus()).InstanceStatuses?.length, 1)
  assert.equal((await ec2.describeTags()).Tags?.length, 1)
  const types = await ec2.describeInstanceTypes({ InstanceTypes: ['t3.nano'] })
  assert.equal(types.InstanceTypes?.[0]?.MemoryInfo?.SizeInMiB, 512)
  assert.notEqual((await ec2.describeInstanceTypeOfferings()).InstanceTypeOfferings?.length, 0)
  const one = await ec2.describeInstances({ MaxResults: 5 })
  const two = await ec2.describeInstances({ MaxResults: 5, NextToken: one.NextToken })
  const shown = [one, two].flatMap(({ Reservations }) =>
    (Reservations ?? []).flatMap((reservation) => reservation.Instances ?? []),
  )
  assert.equal(shown.length, 6)
  for (const { InstanceId = '', LaunchTime } of shown) {
    assert.ok(cloud.state.view().get('instance', InstanceId))
    assert.ok(LaunchTime instanceof Date)
  }
})

test('the JavaScript SDK changes and reads interfaces, metadata and attributes', async (t) => {
  const [cloud, endpoint] = await listening(t)
  const ec2 = sdkClient(t, endpoint)
  await addPublicPool(cloud.state, { cidr: '203.0.113.0/28' })
  const { ImageId } = await ec2.registerImage({ Name: 'debian', ImageLocation: 'debian.qcow2' })
  const { Instances } = await ec2.runInstances({
    ImageId,
    InstanceType: 't3.small',
    MinCount: 1,
    MaxCount: 1,
    NetworkInterfaces: [{ DeviceIndex: 0, AssociatePublicIpAddress: true }],
  })
  const [instance] = Instances ?? []
  const InstanceId = instance?.InstanceId ?? ''
  assert.match(instance?.PublicIpAddress ?? '', /^203\.0\.113\./)
  const SubnetId = instance?.SubnetId
  const made = await ec2.createNetworkInterface({ SubnetId, SecondaryPrivateIpAddressCount: 1 })
  const NetworkInterfaceId = made.NetworkInterface?.NetworkInterfaceId
  const { AttachmentId } = await ec2.attachNetworkInterface({
    NetworkInterfaceId,
    InstanceId,
    DeviceIndex: 1,
  })
  const { NetworkInterfaces } = await ec2.describeNetworkInterfaces()
  assert.deepEqual(
    NetworkInterfaces?.map((one) => [
      one.Attachment?.DeviceIndex,
      one.Association?.IpOwnerId,
    ]).sort(),
    [
      [0, 'amazon'],
      [1, undefined],
    ],
  )
  const v6 = await ec2.assignIpv6Addresses({ NetworkInterfaceId, Ipv6AddressCount: 1 })
  const Ipv6Addresses = v6.AssignedIpv6Addresses
  await ec2.unassignIpv6Addresses({ NetworkInterfaceId, Ipv6Addresses })
  const v4 = await ec2.assignPrivateIpAddresses({
    NetworkInterfaceId,
    SecondaryPrivateIpAddressCount: 1,
  })
  assert.equal(v4.AssignedPrivateIpAddresses?.length, 1)
  const ask = { NetworkInterfaceId, Attribute: 'attachment' as const }
  const { Attachment } = await ec2.describeNetworkInterfaceAttribute(ask)
  assert.equal(Attachment?.InstanceId, InstanceId)
  const { InstanceMetadataOptions } = await ec2.modifyInstanceMetadataOptions({
    InstanceId,
    HttpTokens: 'optional',
  })
  assert.equal(InstanceMetadataOptions?.HttpTokens, 'optional')
  await ec2.modifyInstanceMetadataDefaults({ HttpEndpoint: 'disabled' })
  const { AccountLevel } = await ec2.getInstanceMetadataDefaults()
  assert.equal(AccountLevel?.HttpEndpoint, 'disabled')
  for (const Attribute of ['userData', 'groupSet', 'disableApiStop'] as const) {
    const answer = await ec2.describeInstanceAttribute({ InstanceId, Attribute })
    assert.equal(answer.InstanceId, InstanceId)
  }
  const { Reservations } = await ec2.describeInstances({ InstanceIds: [InstanceId] })
  assert.equal(Reservations?.[0]?.Instances?.[0]?.NetworkInterfaces?.length, 2)
  await ec2.detachNetworkInterface({ AttachmentId })
  await ec2.deleteNetworkInterface({ NetworkInterfaceId })
})
