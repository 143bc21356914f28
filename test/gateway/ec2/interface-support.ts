// A cloud with two racks, an image, and a VPC with a subnet of each kind.

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { Instance, NetworkInterface } from '@aws-sdk/client-ec2'
import type { Ec2Inputs } from '../../../gateway/aws/handlers.ts'
import type { InstanceRecord, InterfaceRecord } from '../../../gateway/store/records.ts'
import { type Cloud, REGION, registerImage, report } from './support.ts'
import { openVpc } from './vpc-support.ts'

export interface Net {
  readonly cloud: Cloud
  readonly VpcId: string
  readonly ImageId: string
  /** 172.16.1.0/24 in rack a, dual stack; launches get both families. */
  readonly a: string
  /** 172.16.2.0/24 in rack b, IPv4 alone. */
  readonly b: string
  /** 172.16.3.0/24 in all racks. */
  readonly any: string
  /** In rack a, without IPv4. */
  readonly native: string
}

export const ONE = { InstanceType: 't3.medium', MinCount: 1, MaxCount: 1 } as const

export async function openNet(t: TestContext): Promise<Net> {
  const { cloud, VpcId, ipv6 } = await openVpc(t)
  const make = async (input: Omit<Ec2Inputs['CreateSubnet'], 'VpcId'>): Promise<string> => {
    const { Subnet } = await cloud.call('CreateSubnet', { VpcId, ...input })
    return Subnet?.SubnetId ?? ''
  }
  const zone = (rack: string): string => `${REGION}-${rack}`
  const a = await make({
    CidrBlock: '172.16.1.0/24',
    Ipv6CidrBlock: ipv6,
    AvailabilityZone: zone('a'),
  })
  const AssignIpv6AddressOnCreation = { Value: true }
  await cloud.call('ModifySubnetAttribute', { SubnetId: a, AssignIpv6AddressOnCreation })
  return {
    cloud,
    VpcId,
    ImageId: await registerImage(cloud),
    a,
    b: await make({ CidrBlock: '172.16.2.0/24', AvailabilityZone: zone('b') }),
    any: await make({ CidrBlock: '172.16.3.0/24', AvailabilityZone: zone('any') }),
    native: await make({
      Ipv6Native: true,
      Ipv6CidrBlock: ipv6.replace('00::/64', '07::/64'),
      AvailabilityZone: zone('a'),
    }),
  }
}

export async function createInterface(
  { cloud }: Net,
  input: Ec2Inputs['CreateNetworkInterface'],
): Promise<NetworkInterface & { NetworkInterfaceId: string }> {
  const { NetworkInterface: made } = await cloud.call('CreateNetworkInterface', input)
  assert.ok(made?.NetworkInterfaceId)
  return { ...made, NetworkInterfaceId: made.NetworkInterfaceId }
}

export async function launch(
  { cloud, ImageId }: Net,
  input: Partial<Ec2Inputs['RunInstances']>,
): Promise<Instance & { InstanceId: string }> {
  const { Instances } = await cloud.call('RunInstances', { ...ONE, ImageId, ...input })
  const [one] = Instances ?? []
  assert.ok(one?.InstanceId)
  return { ...one, InstanceId: one.InstanceId }
}

export function instanceRecord({ cloud }: Net, id: string): InstanceRecord {
  const record = cloud.state.view().get('instance', id)
  assert.ok(record)
  return record
}

export function interfaceRecord({ cloud }: Net, id: string): InterfaceRecord {
  const record = cloud.state.view().get('interface', id)
  assert.ok(record)
  return record
}

/** As DescribeInstances shows it. */
export async function shownInstance({ cloud }: Net, id: string): Promise<Instance> {
  const { Reservations } = await cloud.call('DescribeInstances', { InstanceIds: [id] })
  const [instance] = Reservations?.[0]?.Instances ?? []
  if (instance === undefined) throw new RangeError(`${id} is not shown`)
  return instance
}

/** Launches an instance that has run and is stopped. */
export async function stoppedInstance(net: Net, more: object = {}): Promise<string> {
  const { InstanceId } = await launch(net, { SubnetId: net.a, ...more })
  await report(net.cloud.state, InstanceId, 'running')
  await net.cloud.call('StopInstances', { InstanceIds: [InstanceId] })
  await report(net.cloud.state, InstanceId, 'stopped')
  return InstanceId
}

/** What DescribeInstanceAttribute says of one attribute. */
export async function attributeOf({ cloud }: Net, InstanceId: string, name: string) {
  const Attribute = name as Ec2Inputs['DescribeInstanceAttribute']['Attribute']
  const { InstanceId: of, ...rest } = await cloud.call('DescribeInstanceAttribute', {
    ...{ InstanceId, Attribute },
  })
  assert.equal(of, InstanceId)
  return rest
}
