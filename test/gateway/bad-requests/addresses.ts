// Bad requests about elastic IPs, network interfaces and their addresses.

import type { Row } from './row.ts'

export const ADDRESSES: readonly Row[] = [
  [
    'an unknown pool',
    'AllocateAddress',
    { PublicIpv4Pool: 'ipv4pool-ec2-01234567' },
    'InvalidPublicIpv4PoolID.NotFound',
  ],
  ['an unknown domain', 'AllocateAddress', { Domain: 'moon' }, 'InvalidParameterValue'],
  ['nothing named', 'ReleaseAddress', {}, 'MissingParameter'],
  [
    'a bound one',
    'ReleaseAddress',
    ({ bound }) => ({ AllocationId: bound }),
    'InvalidIPAddress.InUse',
  ],
  [
    'both names',
    'ReleaseAddress',
    ({ address, publicIp }) => ({ AllocationId: address, PublicIp: publicIp }),
    'InvalidParameterCombination',
  ],
  ['an unknown address', 'ReleaseAddress', { PublicIp: '192.0.2.77' }, 'InvalidAddress.NotFound'],
  ['no address', 'ReleaseAddress', { PublicIp: 'x' }, 'InvalidParameterValue'],
  ['nothing named', 'AssociateAddress', {}, 'MissingParameter'],
  [
    'nothing to bind',
    'AssociateAddress',
    ({ address }) => ({ AllocationId: address }),
    'MissingParameter',
  ],
  [
    'an unknown instance',
    'AssociateAddress',
    ({ address }) => ({ AllocationId: address, InstanceId: 'i-0123456789abcdef0' }),
    'InvalidInstanceID.NotFound',
  ],
  [
    'a terminated instance',
    'AssociateAddress',
    ({ address, ended }) => ({ AllocationId: address, InstanceId: ended }),
    'IncorrectInstanceState',
  ],
  [
    'a bound one',
    'AssociateAddress',
    ({ bound, freeCard }) => ({
      ...{ AllocationId: bound, NetworkInterfaceId: freeCard, AllowReassociation: false },
    }),
    'Resource.AlreadyAssociated',
  ],
  ['nothing named', 'DisassociateAddress', {}, 'MissingParameter'],
  ['no subnet', 'CreateNetworkInterface', { Description: 'x' }, 'MissingParameter'],
  [
    'an unknown subnet',
    'CreateNetworkInterface',
    { SubnetId: 'subnet-01234567' },
    'InvalidSubnetID.NotFound',
  ],
  [
    'a group of another VPC',
    'CreateNetworkInterface',
    ({ subnet, otherGroup }) => ({ SubnetId: subnet, Groups: [otherGroup] }),
    'InvalidParameter',
  ],
  [
    'a taken address',
    'CreateNetworkInterface',
    ({ subnet, cardAddress }) => ({ SubnetId: subnet, PrivateIpAddress: cardAddress }),
    'InvalidIPAddress.InUse',
  ],
  [
    'a reserved address',
    'CreateNetworkInterface',
    ({ subnet }) => ({ SubnetId: subnet, PrivateIpAddress: '10.70.1.1' }),
    'InvalidParameterValue',
  ],
  [
    'no address',
    'CreateNetworkInterface',
    ({ subnet }) => ({ SubnetId: subnet, PrivateIpAddress: 'x' }),
    'InvalidParameterValue',
  ],
  [
    'an attached one',
    'DeleteNetworkInterface',
    ({ card }) => ({ NetworkInterfaceId: card }),
    'InvalidNetworkInterface.InUse',
  ],
  [
    'an attached one',
    'AttachNetworkInterface',
    ({ card, guarded }) => ({ NetworkInterfaceId: card, InstanceId: guarded, DeviceIndex: 1 }),
    'InvalidNetworkInterface.InUse',
  ],
  [
    'a taken index',
    'AttachNetworkInterface',
    ({ freeCard, running }) => ({
      ...{ NetworkInterfaceId: freeCard, InstanceId: running, DeviceIndex: 0 },
    }),
    'InvalidParameterValue',
  ],
  [
    'a terminated instance',
    'AttachNetworkInterface',
    ({ freeCard, ended }) => ({
      ...{ NetworkInterfaceId: freeCard, InstanceId: ended, DeviceIndex: 1 },
    }),
    'IncorrectInstanceState',
  ],
  [
    'no index',
    'AttachNetworkInterface',
    ({ freeCard, running }) => ({ NetworkInterfaceId: freeCard, InstanceId: running }),
    'MissingParameter',
  ],
  [
    'the first one of its instance',
    'DetachNetworkInterface',
    ({ attachment }) => ({ AttachmentId: attachment }),
    'OperationNotPermitted',
  ],
  [
    'two attributes',
    'ModifyNetworkInterfaceAttribute',
    ({ freeCard }) => ({
      ...{ NetworkInterfaceId: freeCard, Description: { Value: 'x' } },
      SourceDestCheck: { Value: false },
    }),
    'InvalidParameterCombination',
  ],
  [
    'an unknown attribute',
    'DescribeNetworkInterfaceAttribute',
    ({ freeCard }) => ({ NetworkInterfaceId: freeCard, Attribute: 'colour' }),
    'InvalidParameterValue',
  ],
  [
    'addresses and a number of them',
    'AssignPrivateIpAddresses',
    ({ freeCard }) => ({
      ...{ NetworkInterfaceId: freeCard, SecondaryPrivateIpAddressCount: 1 },
      PrivateIpAddresses: ['10.70.1.50'],
    }),
    'InvalidParameterCombination',
  ],
  [
    '50 more addresses',
    'AssignPrivateIpAddresses',
    ({ freeCard }) => ({ NetworkInterfaceId: freeCard, SecondaryPrivateIpAddressCount: 50 }),
    'PrivateIpAddressLimitExceeded',
  ],
  [
    'an address that it does not have',
    'UnassignPrivateIpAddresses',
    ({ freeCard }) => ({ NetworkInterfaceId: freeCard, PrivateIpAddresses: ['10.70.1.77'] }),
    'InvalidParameterValue',
  ],
]
