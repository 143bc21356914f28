// Users of clouds that benchmarks connect: their default VPC, open to all, and guests in it.

import {
  AuthorizeSecurityGroupIngressCommand,
  DescribeRouteTablesCommand,
  DescribeSecurityGroupsCommand,
  DescribeVpcPeeringConnectionsCommand,
  DescribeVpcsCommand,
  type EC2Client,
  RunInstancesCommand,
  type VpcPeeringConnection,
} from '@aws-sdk/client-ec2'
import { MalleeError } from '../common/errors.ts'

export interface Guest {
  readonly id: string
  readonly ipv4: string
  readonly ipv6: string
}

export interface Vpc {
  readonly id: string
  readonly cidr: string
  readonly table: string
  readonly group: string
}

/** Throws NotFound. */
export async function defaultVpc(client: EC2Client): Promise<Vpc> {
  const isDefault = [{ Name: 'is-default', Values: ['true'] }]
  const vpc = (await client.send(new DescribeVpcsCommand({ Filters: isDefault }))).Vpcs?.[0]
  const Filters = [{ Name: 'vpc-id', Values: [vpc?.VpcId ?? ''] }]
  const tables = await client.send(new DescribeRouteTablesCommand({ Filters }))
  const groups = await client.send(new DescribeSecurityGroupsCommand({ Filters }))
  const [table] = tables.RouteTables ?? []
  const [group] = groups.SecurityGroups ?? []
  if (vpc?.VpcId === undefined || table?.RouteTableId === undefined || group === undefined) {
    throw new MalleeError('NotFound', 'the account has no default VPC')
  }
  return {
    id: vpc.VpcId,
    cidr: vpc.CidrBlock ?? '',
    table: table.RouteTableId,
    group: group.GroupId ?? '',
  }
}

export async function allowAll(client: EC2Client, GroupId: string): Promise<void> {
  const ends = { IpRanges: [{ CidrIp: '0.0.0.0/0' }], Ipv6Ranges: [{ CidrIpv6: '::/0' }] }
  const IpPermissions = [{ IpProtocol: '-1', ...ends }]
  await client.send(new AuthorizeSecurityGroupIngressCommand({ GroupId, IpPermissions }))
}

/** In the default subnet of the zone; resolves when it is asked for. Throws NotFound. */
export async function runGuest(
  client: EC2Client,
  ImageId: string,
  AvailabilityZone: string,
): Promise<Guest> {
  const { Instances } = await client.send(
    new RunInstancesCommand({
      ...{ ImageId, InstanceType: 't3.nano', MinCount: 1, MaxCount: 1 },
      Placement: { AvailabilityZone },
    }),
  )
  const [one] = Instances ?? []
  const ipv6 = one?.NetworkInterfaces?.[0]?.Ipv6Addresses?.[0]?.Ipv6Address
  if (one?.InstanceId === undefined || ipv6 === undefined) {
    throw new MalleeError('NotFound', 'RunInstances named no instance with both families')
  }
  return { id: one.InstanceId, ipv4: one.PrivateIpAddress ?? '', ipv6 }
}

export async function peering(
  client: EC2Client,
  id: string,
): Promise<VpcPeeringConnection | undefined> {
  const { VpcPeeringConnections: all } = await client.send(
    new DescribeVpcPeeringConnectionsCommand({}),
  )
  return all?.find((one) => one.VpcPeeringConnectionId === id)
}
