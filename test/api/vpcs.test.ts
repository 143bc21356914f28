// The life of a VPC through the official SDK: made, filled, lived in, emptied, deleted.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import {
  AssociateDhcpOptionsCommand,
  AssociateVpcCidrBlockCommand,
  CreateDhcpOptionsCommand,
  CreateSubnetCommand,
  CreateVpcCommand,
  DeleteDhcpOptionsCommand,
  DeleteSubnetCommand,
  DeleteVpcCommand,
  DescribeSubnetsCommand,
  DescribeVpcAttributeCommand,
  DescribeVpcsCommand,
  ModifySubnetAttributeCommand,
  ModifyVpcAttributeCommand,
  paginateDescribeIpamPools,
  TerminateInstancesCommand,
  waitUntilVpcExists,
} from '@aws-sdk/client-ec2'
import { until } from '../../sandbox/until.ts'
import { startCloud } from '../support/cloud.ts'
import { addTwoRacks } from '../support/simulated-rack.ts'
import { idsOf, makeImage, reach, refusal, run } from './support.ts'

const cloud = await startCloud({ after })
await addTwoRacks(cloud)
const ec2 = cloud.ec2()
const image = await makeImage(cloud, ec2)

test('a VPC lives from CreateVpc to DeleteVpc, with instances in it', async () => {
  const { Vpc } = await ec2.send(
    new CreateVpcCommand({
      CidrBlock: '172.20.0.0/16',
      AmazonProvidedIpv6CidrBlock: true,
      TagSpecifications: [{ ResourceType: 'vpc', Tags: [{ Key: 'Name', Value: 'own' }] }],
    }),
  )
  const VpcId = Vpc?.VpcId ?? ''
  await waitUntilVpcExists({ client: ec2, maxWaitTime: 10 }, { VpcIds: [VpcId] })
  const more = { VpcId, CidrBlock: '172.21.0.0/24' }
  await ec2.send(new AssociateVpcCidrBlockCommand(more))
  await ec2.send(new ModifyVpcAttributeCommand({ VpcId, EnableDnsHostnames: { Value: true } }))
  const asked = { VpcId, Attribute: 'enableDnsHostnames' } as const
  const { EnableDnsHostnames } = await ec2.send(new DescribeVpcAttributeCommand(asked))
  assert.equal(EnableDnsHostnames?.Value, true)

  const ipv6 = Vpc?.Ipv6CidrBlockAssociationSet?.[0]?.Ipv6CidrBlock ?? ''
  const { Subnet } = await ec2.send(
    new CreateSubnetCommand({
      VpcId,
      CidrBlock: '172.21.0.0/28',
      Ipv6CidrBlock: ipv6.replace('/56', '/64'),
      AvailabilityZone: 'mallee-1-b',
    }),
  )
  const SubnetId = Subnet?.SubnetId ?? ''
  const assign = { SubnetId, AssignIpv6AddressOnCreation: { Value: true } }
  await ec2.send(new ModifySubnetAttributeCommand(assign))
  const filter = { Filters: [{ Name: 'vpc-id', Values: [VpcId] }] }
  const { Subnets } = await ec2.send(new DescribeSubnetsCommand(filter))
  assert.deepEqual(
    Subnets?.map((one) => [one.CidrBlock, one.AssignIpv6AddressOnCreation, one.Ipv6Native]),
    [['172.21.0.0/28', true, false]],
  )
  const { DhcpOptions } = await ec2.send(
    new CreateDhcpOptionsCommand({
      DhcpConfigurations: [{ Key: 'domain-name', Values: ['corp.example'] }],
    }),
  )
  const DhcpOptionsId = DhcpOptions?.DhcpOptionsId ?? ''
  await ec2.send(new AssociateDhcpOptionsCommand({ VpcId, DhcpOptionsId }))

  const ids = idsOf(await run(ec2, { ImageId: image, SubnetId, count: 2 }))
  const running = await reach(ec2, ids, 'running')
  assert.ok(running.every((one) => one.VpcId === VpcId && one.Ipv6Address !== undefined))
  const remove = new DeleteVpcCommand({ VpcId })
  assert.equal(await refusal(ec2.send(remove)), 'DependencyViolation')
  await ec2.send(new TerminateInstancesCommand({ InstanceIds: ids }))
  await reach(ec2, ids, 'terminated')
  await until(
    'the subnet is empty',
    async () => (await refusal(ec2.send(new DeleteSubnetCommand({ SubnetId })))) === 'accepted',
  )
  await ec2.send(remove)
  await ec2.send(new DeleteDhcpOptionsCommand({ DhcpOptionsId }))
  const { Vpcs } = await ec2.send(new DescribeVpcsCommand({}))
  assert.deepEqual(
    Vpcs?.map((one) => one.IsDefault),
    [true],
  )
})

test('the IPAM pools are there to take a VPC from, page by page', async () => {
  const pools = []
  for await (const page of paginateDescribeIpamPools({ client: ec2, pageSize: 5 }, {})) {
    pools.push(...(page.IpamPools ?? []))
  }
  const Ipv4IpamPoolId = pools.find((one) => one.AddressFamily === 'ipv4')?.IpamPoolId ?? ''
  const wish = { Ipv4IpamPoolId, Ipv4NetmaskLength: 28 }
  const { Vpc } = await ec2.send(new CreateVpcCommand(wish))
  assert.match(Vpc?.CidrBlock ?? '', /^10\..*\/28$/)
  await ec2.send(new DeleteVpcCommand({ VpcId: Vpc?.VpcId ?? '' }))
})
