// Two accounts cannot see or touch each other's anything: every action that is done, called by the
// second account with an id of the first's in every member that holds ids, one at a time.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadModel, type Member, type Ref } from '../../../gateway/aws/model.ts'
import { type Ec2Parts, ec2Handlers } from '../../../gateway/ec2/index.ts'
import { call } from '../http/sign.ts'
import { type Ground, openGround, otherGround } from './ground.ts'
import { recordsOf } from './records.ts'
import { formOf } from './send.ts'
import { type Things, usualRequests } from './usual.ts'

const MODEL = loadModel('ec2')
const DONE = Object.keys(ec2Handlers({} as Ec2Parts)).sort()

/** A member's name → the thing of a ground that it names. */
const NAMED: Readonly<Record<string, keyof Things>> = {
  ...{ InstanceId: 'running', ImageId: 'image', SourceImageId: 'image', VpcId: 'vpc' },
  ...{ KernelId: 'kernel', RamdiskId: 'ramdisk' },
  ...{ SubnetId: 'subnet', GroupId: 'group', SecurityGroupId: 'group' },
  ...{ NetworkInterfaceId: 'freeCard', AttachmentId: 'attachment', AllocationId: 'address' },
  ...{ RouteTableId: 'table', InternetGatewayId: 'gateway', GatewayId: 'gateway' },
  ...{ NetworkAclId: 'ownAcl', DhcpOptionsId: 'dhcp', PrefixListId: 'list' },
  ...{ DestinationPrefixListId: 'list', VpcPeeringConnectionId: 'peering' },
  ...{ SecurityGroupRuleId: 'rule', LaunchTemplateId: 'template', PublicIp: 'publicIp' },
  ...{
    NatGatewayId: 'natGateway',
    ResourceId: 'vpc',
    Resource: 'vpc',
    Source: 'running',
    Destination: 'running',
    AssociationId: 'association',
    KeyPairId: 'key',
    FleetId: 'fleet',
    ImportTaskId: 'importTask',
    EgressOnlyInternetGatewayId: 'egressOnly',
    CustomerGatewayId: 'customerGateway',
    VpnGatewayId: 'vpnGateway',
    VpnConnectionId: 'vpnConnection',
    NetworkInsightsPathId: 'path',
    NetworkInsightsAnalysisId: 'analysis',
    TargetNetworkInterfaceId: 'freeCard',
    VolumeId: 'volume',
    ExcludeDataVolumeId: 'volume',
    SnapshotId: 'snapshot',
    SourceSnapshotId: 'snapshot',
  },
}

/** Where the name says something else. */
const ELSE: Readonly<Record<string, keyof Things>> = {
  'DescribePlacementGroups GroupIds': 'placement',
  'EnableVgwRoutePropagation GatewayId': 'vpnGateway',
  'DisableVgwRoutePropagation GatewayId': 'vpnGateway',
  'RunInstances Placement.GroupId': 'placement',
  'DescribeIamInstanceProfileAssociations AssociationIds': 'acting',
  'ReplaceNetworkAclAssociation AssociationId': 'aclAssociation',
  'DisassociateAddress AssociationId': 'binding',
  'DisassociateIamInstanceProfile AssociationId': 'acting',
  'ReplaceIamInstanceProfileAssociation AssociationId': 'acting',
}

/** Members that hold no id of the caller's things, or whose ids nobody looks up. */
const LEFT_OUT: readonly RegExp[] = [
  // What is kept in a template is looked up when somebody launches with it.
  /^CreateLaunchTemplate(Version)? LaunchTemplateData/,
  // The peering of somebody else's VPC is what the action is for.
  /^CreateVpcPeeringConnection PeerVpcId$/,
  // A type of things, as `vpc`.
  /^DescribeIdFormat Resource$/,
  // Refused whosever it is.
  /^(AssociateRouteTable GatewayId|ModifyInstancePlacement GroupId)$/,
  // Where a device is; no address of the account's.
  /^CreateCustomerGateway PublicIp$/,
  /^CreateNatGateway (VpcId|AvailabilityZoneAddresses.AllocationIds)$/,
  /^ModifyInstanceAttribute BlockDeviceMappings/,
  // Of an instance whose root is on its host no image is made (ebs/create-image.test.ts).
  /^CreateImage BlockDeviceMappings/,
  /^ImportImage DiskContainers\.SnapshotId$/,
  /^CreateFleet LaunchTemplateConfigs\.Overrides\.Placement\.GroupId$/,
  // Says again where the group is that the rule names.
  /UserIdGroupPairs\.(VpcId|VpcPeeringConnectionId)$/,
]

/** Names of members for what nobody can have here, for what is nobody's, and for accounts. */
const OTHERS = [
  'BundleId CapacityReservationId CarrierGatewayId ClientVpnEndpointId ConversionTaskId',
  'ExportImageTaskId ExportTaskId FlowLogId HostId',
  'InstanceConnectEndpointId InstanceEventId InstanceEventWindowId KmsKeyId',
  'LocalGatewayId RamDiskId ReservedInstancesId OwnerId RestorableByUserId SpotInstanceRequestId',
  'TransitGatewayAttachmentId TransitGatewayId TransitGatewayRouteTableId VpcEndpointId',
  'TransportTransitGatewayAttachmentId',
  'VpnConcentratorId VpnConnectionDeviceTypeId SecondaryAllocationId SecondarySubnetId LinkedGroupId',
  'ParentGroupId AvailabilityZoneId DestinationAvailabilityZoneId ZoneId IpamId',
  'IpamPoolAllocationId IpamPoolId IpamScopeId Ipv4IpamPoolId Ipv6IpamPoolId PoolId',
  'MetricCategoryId PeerOwnerId SourceSecurityGroupOwnerId UserId AssociatedSubnetId',
  // Under another name above.
  'PeerVpcId ReferencedGroupId',
]

/** As with AWS, ending what is not there is no error. */
const QUIET = new Set(['DeleteKeyPair KeyPairId'])
/** Says which rules the caller's own group does not have, not whom they would have named. */
const NO_RULE = 'InvalidPermission.NotFound'

const NOT_FOUND =
  /(?:NotFound(?:Exception)?|DoesNotExist|PlacementGroup\.Unknown|ConversionTaskId)$|^NoSuchAssoc/

interface Case {
  readonly action: string
  /** Names of members, one below the other; a list has one item. */
  readonly path: readonly string[]
  readonly thing: keyof Things
}

/** Actions that show all that the caller has. */
const SHOWING = DONE.filter(
  (action) =>
    /^(?:Describe|Get)/.test(action) &&
    !membersOf(MODEL.ops[action]?.i).some(({ req }) => req === 1),
)
const CASES = DONE.flatMap((action) => casesIn(action, MODEL.ops[action]?.i))

test('every member that is called an id is asked for, or is known to be none of a thing', () => {
  const names = new Set(DONE.flatMap((action) => idsIn(MODEL.ops[action]?.i)))
  const rest = [...names].filter((name) => NAMED[name] === undefined)
  assert.deepEqual(rest.sort(), OTHERS.flatMap((line) => line.split(' ')).sort())
})

test('there are many such members', () => {
  assert.ok(CASES.length > 150, `${CASES.length}`)
})

test('no id of one account means anything to another, and nothing is shown', async (t) => {
  const ground = await openGround(t)
  const own = await otherGround(ground)
  const { endpoint, other, state } = ground.world
  const keys = { accessKeyId: other.accessKeyId, secret: other.secretAccessKey }
  const ask = async (action: string, input: object): Promise<string> => {
    const body = `Action=${action}&Version=${MODEL.version}&${formOf(MODEL, action, input)}`
    return await (await call(endpoint.port, { ...keys, body })).text()
  }
  const before = recordsOf(state)

  for (const one of CASES) {
    const { action, path } = one
    await t.test(`${action} does not find another's ${path.join('.')}`, async () => {
      const xml = await ask(action, inputOf(one, ground, own))
      if (QUIET.has(`${action} ${path.join('.')}`)) return
      // A few actions answer for each thing by itself.
      const [, code = ''] = /<(?:error)?code>([^<]*)</i.exec(xml) ?? []
      assert.match(code, NOT_FOUND, xml)
      assert.ok(code === NO_RULE || xml.includes(ground[one.thing]), xml)
    })
  }

  // A public address may be the first of the operator's pool, which everybody sees.
  const shown = Object.values(NAMED).filter((thing) => thing !== 'publicIp')
  const ids = shown.map((thing) => ground[thing])
  for (const action of SHOWING) {
    await t.test(`${action} shows nothing of another`, async () => {
      const xml = await ask(action, {})
      assert.deepEqual(
        ids.filter((id) => xml.includes(id)),
        [],
      )
    })
  }

  await t.test('all is as it was before', () => {
    const after = new Set(recordsOf(state))
    assert.deepEqual(
      before.filter((line) => !after.has(line)),
      [],
    )
  })
})

function casesIn(action: string, ref: Ref | undefined, path: readonly string[] = []): Case[] {
  return membersOf(ref).flatMap((member) => {
    if (path.length > 3 || member.n === 'Filters') return []
    const here = [...path, member.n]
    const name = member.n.replace(/^(Add|Remove|Peer|Referenced)/, '')
    const thing = NAMED[name.replace(/s$/, '')] ?? NAMED[name]
    const asked = `${action} ${here.join('.')}`
    if (LEFT_OUT.some((one) => one.test(asked))) return []
    if (thing !== undefined && isText(member.r)) {
      return [{ action, path: here, thing: ELSE[asked] ?? thing }]
    }
    return casesIn(action, member.r, here)
  })
}

/** Names of members that end in Id, also within others. */
function idsIn(ref: Ref | undefined, depth = 0): string[] {
  return membersOf(ref).flatMap(({ n, r }) => {
    const name = n.replace(/s$/, '')
    return name.endsWith('Id') && isText(r) ? [name] : depth > 3 ? [] : idsIn(r, depth + 1)
  })
}

/** Members of a structure, or of the structure that a list is of. */
function membersOf(ref: Ref | undefined): readonly Member[] {
  const shape = typeof ref === 'number' ? MODEL.shapes[ref] : undefined
  if (shape?.[0] === 'l') return membersOf(shape[2])
  return shape?.[0] === 'o' ? shape[2] : []
}

function isText(ref: Ref): boolean {
  const shape = typeof ref === 'number' ? MODEL.shapes[ref] : undefined
  return ref === 's' || (shape?.[0] === 'l' && isText(shape[2]))
}

function inputOf({ action, path, thing }: Case, ground: Ground, own: Things): object {
  const input = MODEL.ops[action]?.i
  const needed = membersOf(input).filter(({ req }) => req === 1)
  const usual = usualRequests(own)
  const rest = usual[`${action} ${path.join('.')}`] ?? usual[action]
  const base = {
    ...Object.fromEntries(needed.map((one) => [one.n, neededValue(one, own)])),
    ...rest,
  }
  return nested(base, input, path, ground[thing])
}

function neededValue({ n, r }: Member, own: Things): unknown {
  const thing = NAMED[n.replace(/s$/, '')] ?? NAMED[n]
  const text = thing === undefined ? '1' : own[thing]
  return typeof r === 'number' && MODEL.shapes[r]?.[0] === 'l' ? [text] : r === 'b' ? true : text
}

/** `base` with the id at the path. */
function nested(
  base: Readonly<Record<string, unknown>>,
  ref: Ref | undefined,
  [name = '', ...rest]: readonly string[],
  id: string,
): object {
  const member = membersOf(ref).find(({ n }) => n === name)
  const isList = typeof member?.r === 'number' && MODEL.shapes[member.r]?.[0] === 'l'
  const there = isList ? (base[name] as readonly unknown[] | undefined)?.[0] : base[name]
  const below = (typeof there === 'object' ? there : {}) as Record<string, unknown>
  const inner = rest.length === 0 ? id : nested(below, member?.r, rest, id)
  return { ...base, [name]: isList ? [inner] : inner }
}
