// The walk through all of EC2.

import { NOTHING_THERE } from '../../../gateway/ec2/nothing-there.ts'
import { ADDRESS_END_ROWS, ADDRESS_ROWS, EXTRA_ROWS } from './ec2-addresses.ts'
import { BOOT_ROWS } from './ec2-boot.ts'
import { FIREWALL_END_ROWS, FIREWALL_ROWS } from './ec2-firewall.ts'
import { CHANGE_ROWS, INSTANCE_END_ROWS } from './ec2-instances.ts'
import { IMAGE_ROWS, LAUNCH_ROWS } from './ec2-launches.ts'
import { DEFAULT_ROWS, NETWORK_ROWS } from './ec2-networks.ts'
import { NETWORK_END_ROWS, ROUTE_ROWS } from './ec2-routes.ts'
import { VOLUME_ROWS } from './ec2-volumes.ts'
import { VPN_ROWS } from './ec2-vpns.ts'
import { type Row, steps } from './row.ts'

const CLOUD_ROWS: readonly Row[] = [
  ['DescribeRegions', {}, { want: { 'Regions.0.RegionName': 'mallee-1' } }],
  [
    'DescribeAvailabilityZones',
    {},
    { want: { 'AvailabilityZones.length': 2, 'AvailabilityZones.*.ZoneName': 'mallee-1-b' } },
  ],
  [
    'DescribeAccountAttributes',
    {},
    { want: { 'AccountAttributes.*.AttributeName': 'max-instances' } },
  ],
  ['DescribeInstanceTypes', {}, { want: { 'InstanceTypes.*.InstanceType': 'm5.large' } }],
  [
    'DescribeInstanceTypeOfferings',
    { LocationType: 'availability-zone' },
    { want: { 'InstanceTypeOfferings.*.Location': 'mallee-1-b' } },
  ],
  ['DescribeIdFormat', {}, { want: { 'Statuses.*.UseLongIds': true } }],
  ['DescribeAggregateIdFormat', {}, { want: { UseLongIdsAggregated: true } }],
  ['DescribePublicIpv4Pools', {}, { want: { 'PublicIpv4Pools.length': 1 } }],
  ['DescribePrefixLists', {}, { want: { 'PrefixLists.0': null } }],
  ['DescribeVpcClassicLink', {}, { want: { 'Vpcs.*.ClassicLinkEnabled': false } }],
  ['DescribeVpcClassicLinkDnsSupport', {}, { want: { 'Vpcs.*.ClassicLinkDnsSupported': false } }],
  ['EnableSerialConsoleAccess', {}, { want: { SerialConsoleAccessEnabled: true } }],
  ['GetSerialConsoleAccessStatus', {}, { want: { SerialConsoleAccessEnabled: true } }],
  ['DisableSerialConsoleAccess', {}, { want: { SerialConsoleAccessEnabled: false } }],
  ['CreateVpc', { CidrBlock: '10.<net>.0.0/16', DryRun: true }, { refused: 'DryRunOperation' }],
]

const NOTHING_ROWS: readonly Row[] = Object.entries(NOTHING_THERE).map(([action, { list }]) => [
  action,
  {},
  { want: { [`${list}.0`]: null } },
])

/** Nothing is left of all that, and the default network is there. */
const LEFT_ROWS: readonly Row[] = [
  ...Object.entries({
    DescribeAddresses: 'Addresses',
    DescribeKeyPairs: 'KeyPairs',
    DescribeLaunchTemplates: 'LaunchTemplates',
    DescribeManagedPrefixLists: 'PrefixLists',
    DescribeNetworkInterfaces: 'NetworkInterfaces',
    DescribePlacementGroups: 'PlacementGroups',
  }).map(([action, list]): Row => [action, {}, { want: { [`${list}.0`]: null } }]),
  ['DescribeImages', { Owners: ['self'] }, { want: { 'Images.0': null } }],
  ['DescribeVolumes', {}, { until: true, want: { 'Volumes.0': null } }],
  ['DescribeSecurityGroups', {}, { want: { 'SecurityGroups.length': 1 } }],
  ['DescribeSubnets', {}, { want: { 'Subnets.length': 2 } }],
  ['DescribeVpcs', {}, { want: { 'Vpcs.length': 1, 'Vpcs.0.VpcId': '<usual>' } }],
]

/** What is made, and between it and its end what needs IAM's things. */
export const EC2_STEPS = {
  made: steps('ec2', CLOUD_ROWS, NOTHING_ROWS, DEFAULT_ROWS, NETWORK_ROWS, ROUTE_ROWS).concat(
    steps('ec2', FIREWALL_ROWS, IMAGE_ROWS, LAUNCH_ROWS, CHANGE_ROWS, VOLUME_ROWS, BOOT_ROWS),
    steps('ec2', VPN_ROWS, ADDRESS_ROWS),
  ),
  extra: steps('ec2', EXTRA_ROWS),
  ended: steps(
    'ec2',
    ADDRESS_END_ROWS,
    INSTANCE_END_ROWS,
    FIREWALL_END_ROWS,
    NETWORK_END_ROWS,
  ).concat(steps('ec2', LEFT_ROWS)),
}
