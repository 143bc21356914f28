// What bad requests are about: two accounts, and in the first one of each thing, in the states that
// requests can be wrong about.

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { EC2, RunInstancesCommandInput } from '@aws-sdk/client-ec2'
import { randomHex } from '../../../common/clock.ts'
import { ensureDefaultSubnets } from '../../../gateway/ec2/networks.ts'
import { addPublicPool } from '../ec2/network-support.ts'
import { DIGEST, REGION, report, START_MS } from '../ec2/support.ts'
import { type Credentials, openWorld, policyDocument, trustOf, type World } from '../iam/world.ts'
import { ebsThings } from './ebs-things.ts'

export const ZONE = `${REGION}-a`
export const OTHER_ZONE = `${REGION}-b`

export type Ground = Awaited<ReturnType<typeof openGround>>

export async function openGround(t: TestContext) {
  const world = await openWorld(t)
  await addPublicPool(world.state, { cidr: '203.0.113.0/27' })
  await ensureDefaultSubnets(world.state, { nowMs: START_MS, randomHex })
  const net = await layNetwork(world.ec2(), 70)
  const started = await start(world, world.root, net)
  return { world, account: world.account, ...net, ...started, ...(await balance(world, net)) }
}

/** The same things of the second account, for requests that name things of both. */
export async function otherGround({ world }: Pick<Ground, 'world'>) {
  const net = await layNetwork(world.ec2(world.other), 80)
  return { ...net, ...(await start(world, world.other, net)) }
}

/** Ids of 10.`n`.0.0/16 with everything in it, and of an empty VPC after it. */
async function layNetwork(ec2: EC2, n: number) {
  const vpc = id((await ec2.createVpc({ CidrBlock: `10.${n}.0.0/16` })).Vpc?.VpcId)
  const otherVpc = id((await ec2.createVpc({ CidrBlock: `10.${n + 1}.0.0/16` })).Vpc?.VpcId)
  const subnetOf = async (VpcId: string, CidrBlock: string, AvailabilityZone = ZONE) =>
    id((await ec2.createSubnet({ VpcId, CidrBlock, AvailabilityZone })).Subnet?.SubnetId)
  const subnet = await subnetOf(vpc, `10.${n}.1.0/24`)
  const farSubnet = await subnetOf(vpc, `10.${n}.2.0/24`, OTHER_ZONE)
  const otherSubnet = await subnetOf(otherVpc, `10.${n + 1}.1.0/24`)
  const groupOf = async (VpcId: string, GroupName: string) =>
    id((await ec2.createSecurityGroup({ VpcId, GroupName, Description: GroupName })).GroupId)
  const group = await groupOf(vpc, 'web')
  const otherGroup = await groupOf(otherVpc, 'far')
  const { SecurityGroupRules: rules } = await ec2.authorizeSecurityGroupIngress({
    GroupId: group,
    IpPermissions: [
      { IpProtocol: 'tcp', FromPort: 80, ToPort: 80, IpRanges: [{ CidrIp: '0.0.0.0/0' }] },
    ],
  })
  const of = { Filters: [{ Name: 'vpc-id', Values: [vpc] }] }
  const [usual] =
    (
      await ec2.describeSecurityGroups({
        Filters: [...of.Filters, { Name: 'group-name', Values: ['default'] }],
      })
    ).SecurityGroups ?? []
  const [main] = (await ec2.describeRouteTables(of)).RouteTables ?? []
  const [acl] = (await ec2.describeNetworkAcls(of)).NetworkAcls ?? []
  const gateway = id((await ec2.createInternetGateway({})).InternetGateway?.InternetGatewayId)
  const freeGateway = id((await ec2.createInternetGateway({})).InternetGateway?.InternetGatewayId)
  await ec2.attachInternetGateway({ InternetGatewayId: gateway, VpcId: vpc })
  const table = id((await ec2.createRouteTable({ VpcId: vpc })).RouteTable?.RouteTableId)
  const DestinationCidrBlock = '0.0.0.0/0'
  await ec2.createRoute({ RouteTableId: table, DestinationCidrBlock, GatewayId: gateway })
  const tied = await ec2.associateRouteTable({ RouteTableId: table, SubnetId: subnet })
  const peering = await ec2.createVpcPeeringConnection({ VpcId: vpc, PeerVpcId: otherVpc })
  const list = await ec2.createManagedPrefixList({
    ...{ PrefixListName: 'list', AddressFamily: 'IPv4', MaxEntries: 2 },
    Entries: [{ Cidr: '192.0.2.0/24' }],
  })
  const egress = await ec2.createEgressOnlyInternetGateway({ VpcId: vpc })
  const customer = await ec2.createCustomerGateway({
    ...{ Type: 'ipsec.1', IpAddress: `198.51.100.${n}`, BgpAsn: 65_001 },
  })
  const vpnGatewayOf = async () =>
    id((await ec2.createVpnGateway({ Type: 'ipsec.1' })).VpnGateway?.VpnGatewayId)
  const vpnGateway = await vpnGatewayOf()
  await ec2.attachVpnGateway({ VpnGatewayId: vpnGateway, VpcId: vpc })
  const customerGateway = id(customer.CustomerGateway?.CustomerGatewayId)
  const vpn = await ec2.createVpnConnection({
    ...{ Type: 'ipsec.1', CustomerGatewayId: customerGateway, VpnGatewayId: vpnGateway },
    Options: { StaticRoutesOnly: true },
  })
  const dhcp = await ec2.createDhcpOptions({
    DhcpConfigurations: [{ Key: 'domain-name', Values: ['example.com'] }],
  })
  await ec2.associateDhcpOptions({ DhcpOptionsId: id(dhcp.DhcpOptions?.DhcpOptionsId), VpcId: vpc })
  return {
    ...{ vpc, otherVpc, subnet, farSubnet, otherSubnet, group, otherGroup, gateway, freeGateway },
    ...{ table, usualGroup: id(usual?.GroupId), mainTable: id(main?.RouteTableId) },
    rule: id(rules?.[0]?.SecurityGroupRuleId),
    mainAssociation: id(main?.Associations?.[0]?.RouteTableAssociationId),
    association: id(tied.AssociationId),
    acl: id(acl?.NetworkAclId),
    aclAssociation: id(acl?.Associations?.[0]?.NetworkAclAssociationId),
    ...{ customerGateway, vpnGateway, freeVpnGateway: await vpnGatewayOf() },
    vpnConnection: id(vpn.VpnConnection?.VpnConnectionId),
    egressOnly: id(egress.EgressOnlyInternetGateway?.EgressOnlyInternetGatewayId),
    ownAcl: id((await ec2.createNetworkAcl({ VpcId: vpc })).NetworkAcl?.NetworkAclId),
    peering: id(peering.VpcPeeringConnection?.VpcPeeringConnectionId),
    list: id(list.PrefixList?.PrefixListId),
    dhcp: id(dhcp.DhcpOptions?.DhcpOptionsId),
  }
}

/** Instances in every state, and what hangs on them. */
async function start(
  world: World,
  as: Credentials,
  { subnet, farSubnet, group }: Record<'subnet' | 'farSubnet' | 'group', string>,
) {
  const [ec2, iam] = [world.ec2(as), world.iam(as)]
  const AssumeRolePolicyDocument = trustOf({ AWS: '*' })
  const role = await iam.createRole({ RoleName: 'web', AssumeRolePolicyDocument })
  await iam.createUser({ UserName: 'alice' })
  await iam.createGroup({ GroupName: 'staff' })
  await iam.addUserToGroup({ GroupName: 'staff', UserName: 'alice' })
  const PolicyDocument = policyDocument('ec2:Describe*')
  const policy = await iam.createPolicy({ PolicyName: 'reader', PolicyDocument })
  await iam.attachUserPolicy({ UserName: 'alice', PolicyArn: policy.Policy?.Arn })
  await iam.createInstanceProfile({ InstanceProfileName: 'web' })
  await iam.addRoleToInstanceProfile({ InstanceProfileName: 'web', RoleName: 'web' })

  const location = { ImageLocation: `sha256:${DIGEST}` }
  const image = id((await ec2.registerImage({ Name: 'debian', ...location })).ImageId)
  const kernel = await bootImage(world, as, 'kernel')
  const ramdisk = await bootImage(world, as, 'ramdisk')
  const key = await ec2.createKeyPair({ KeyName: 'mine' })
  const base = { ImageId: image, InstanceType: 't3.nano' as const, MinCount: 1, MaxCount: 1 }
  const run = async (wish: Partial<RunInstancesCommandInput> = {}) => {
    const launch = { ...base, SubnetId: subnet, SecurityGroupIds: [group], ...wish }
    return id((await ec2.runInstances(launch)).Instances?.[0]?.InstanceId)
  }
  const pending = await run({ ClientToken: 'first' })
  const running = await run()
  const guarded = await run({ DisableApiTermination: true, DisableApiStop: true })
  const stopped = await run()
  const ended = await run()
  for (const one of [running, guarded, stopped, ended]) await report(world.state, one, 'running')
  await ec2.stopInstances({ InstanceIds: [stopped] })
  await report(world.state, stopped, 'stopped')
  await ec2.terminateInstances({ InstanceIds: [ended] })
  await report(world.state, ended, 'terminated')
  const card = world.state.view().interfacesOf('instance', running)[0]
  const free = await ec2.createNetworkInterface({ SubnetId: subnet })
  const address = await ec2.allocateAddress({})
  const nat = await ec2.createNatGateway({ SubnetId: subnet, ConnectivityType: 'private' })
  const bound = await ec2.allocateAddress({})
  const tied = await ec2.associateAddress({ AllocationId: bound.AllocationId, InstanceId: running })
  const template = await ec2.createLaunchTemplate({
    LaunchTemplateName: 'web',
    LaunchTemplateData: { ImageId: image, InstanceType: 't3.nano' },
  })
  const fleet = await ec2.createFleet({
    Type: 'instant',
    LaunchTemplateConfigs: [
      {
        LaunchTemplateSpecification: { LaunchTemplateName: 'web', Version: '1' },
        Overrides: [{ SubnetId: farSubnet }],
      },
    ],
    TargetCapacitySpecification: {
      ...{ TotalTargetCapacity: 1, DefaultTargetCapacityType: 'on-demand' },
    },
  })
  const profile = { Name: 'web' }
  const acting = await ec2.associateIamInstanceProfile({
    ...{ InstanceId: running, IamInstanceProfile: profile },
  })
  const path = await ec2.createNetworkInsightsPath({
    ...{ Source: running, Destination: guarded, Protocol: 'tcp' },
  })
  const NetworkInsightsPathId = id(path.NetworkInsightsPath?.NetworkInsightsPathId)
  const analysed = await ec2.startNetworkInsightsAnalysis({ NetworkInsightsPathId })
  // Its only instance is one of those above.
  const scaling = world.autoScaling(as)
  await scaling.createAutoScalingGroup({
    ...{ AutoScalingGroupName: 'web', MinSize: 0, MaxSize: 1, VPCZoneIdentifier: subnet },
    LaunchTemplate: { LaunchTemplateName: 'web', Version: '$Latest' },
  })
  await scaling.attachInstances({ AutoScalingGroupName: 'web', InstanceIds: [guarded] })
  const near = await ec2.createPlacementGroup({ GroupName: 'near', Strategy: 'cluster' })
  await ec2.createPlacementGroup({ GroupName: 'parts', Strategy: 'partition', PartitionCount: 2 })
  return {
    ...{ image, kernel, ramdisk },
    ...{ pending, running, guarded, stopped, ended },
    ...(await ebsThings(world, as, running)),
    card: id(card?.id),
    attachment: id(card?.attachment),
    cardAddress: id(card?.ipv4),
    freeCard: id(free.NetworkInterface?.NetworkInterfaceId),
    address: id(address.AllocationId),
    publicIp: id(address.PublicIp),
    bound: id(bound.AllocationId),
    binding: id(tied.AssociationId),
    template: id(template.LaunchTemplate?.LaunchTemplateId),
    acting: id(acting.IamInstanceProfileAssociation?.AssociationId),
    path: NetworkInsightsPathId,
    analysis: id(analysed.NetworkInsightsAnalysis?.NetworkInsightsAnalysisId),
    key: id(key.KeyPairId),
    fleet: id(fleet.FleetId),
    placement: id(near.PlacementGroup?.GroupId),
    importTask: await importTask(world, image),
    natGateway: id(nat.NatGateway?.NatGatewayId),
    policyArn: id(policy.Policy?.Arn),
    roleArn: id(role.Role?.Arn),
  }
}

async function bootImage(
  world: World,
  as: Credentials,
  format: 'kernel' | 'ramdisk',
): Promise<string> {
  const sha256 = { kernel: 'cd', ramdisk: 'ef' }[format].repeat(32)
  await world.state.update(async (tx) => {
    const sizes = { sizeBytes: 700, virtualSizeBytes: 700 }
    const file = { sha256, names: [format], format, ...sizes, createdAtMs: START_MS }
    await tx.put('blob', [sha256], file)
  })
  const wish = { Name: format, ImageLocation: format }
  return id((await world.ec2(as).registerImage(wish)).ImageId)
}

/** Of the image's account, under way. */
async function importTask({ state }: World, image: string): Promise<string> {
  const account = id(state.view().get('image', image)?.account)
  const made = image.replace('ami', 'import-ami')
  const object = { bucket: 'images', bucketId: 'images', key: 'disk', versionId: 'null', etag: 'e' }
  await state.update((tx) =>
    tx.put('import-task', [made], {
      ...{ id: made, account, description: '', source: { ...object, sizeBytes: 512 } },
      ...{ state: 'active', progress: 0, message: 'pending', failures: 0, createdAtMs: START_MS },
    }),
  )
  return made
}

/** An internal load balancer with a group behind it, and a group that nothing uses. */
async function balance(
  world: World,
  { vpc, subnet }: Record<'vpc' | 'subnet', string>,
  as: Credentials = world.root,
) {
  const elb = world.elb(as)
  const { LoadBalancers } = await elb.createLoadBalancer({
    ...{ Name: 'web', Subnets: [subnet], Scheme: 'internal', Type: 'network' },
  })
  const LoadBalancerArn = id(LoadBalancers?.[0]?.LoadBalancerArn)
  const groupOf = async (Name: string) => {
    const wish = { Name, Protocol: 'TCP', Port: 80, VpcId: vpc, TargetType: 'ip' } as const
    return id((await elb.createTargetGroup(wish)).TargetGroups?.[0]?.TargetGroupArn)
  }
  const TargetGroupArn = await groupOf('web')
  const { Listeners } = await elb.createListener({
    ...{ LoadBalancerArn, Protocol: 'TCP', Port: 80 },
    DefaultActions: [{ Type: 'forward', TargetGroupArn }],
  })
  return {
    balancer: LoadBalancerArn,
    targetGroup: TargetGroupArn,
    freeTargetGroup: await groupOf('free'),
    listener: id(Listeners?.[0]?.ListenerArn),
  }
}

function id(value: string | undefined): string {
  assert.ok(value)
  return value
}
