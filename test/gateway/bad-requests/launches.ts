// Bad launches: counts, types, places, interfaces, user data, templates, profiles.

import type { Ground } from './ground.ts'
import type { Ask, Row } from './row.ts'

/** A good launch but for `wrong`. */
function launch(wrong: (ground: Ground) => Ask): (ground: Ground) => Ask {
  return (ground) => ({
    ...{ ImageId: ground.image, InstanceType: 't3.nano', MinCount: 1, MaxCount: 1 },
    ...(wrong(ground) as object),
  })
}

export const LAUNCHES: readonly Row[] = [
  [
    'no image',
    'RunInstances',
    { InstanceType: 't3.nano', MinCount: 1, MaxCount: 1 },
    'MissingParameter',
  ],
  ['MinCount 0', 'RunInstances', launch(() => ({ MinCount: 0 })), 'InvalidParameterValue'],
  ['a negative count', 'RunInstances', launch(() => ({ MaxCount: -1 })), 'InvalidParameterValue'],
  [
    'MinCount over MaxCount',
    'RunInstances',
    launch(() => ({ MinCount: 2 })),
    'InvalidParameterValue',
  ],
  [
    'a huge count',
    'RunInstances',
    launch(() => ({ MaxCount: '9'.repeat(25) })),
    'InvalidParameterValue',
  ],
  [
    '101 instances',
    'RunInstances',
    launch(() => ({ MinCount: 101, MaxCount: 101 })),
    'InstanceLimitExceeded',
  ],
  [
    'an unknown type',
    'RunInstances',
    launch(() => ({ InstanceType: 't9.x' })),
    'InvalidParameterValue',
  ],
  ['no image id', 'RunInstances', launch(() => ({ ImageId: 'debian' })), 'InvalidAMIID.Malformed'],
  [
    'an unknown image',
    'RunInstances',
    launch(() => ({ ImageId: 'ami-01234567' })),
    'InvalidAMIID.NotFound',
  ],
  [
    'an unknown key',
    'RunInstances',
    launch(() => ({ KeyName: 'nobody' })),
    'InvalidKeyPair.NotFound',
  ],
  ['no subnet id', 'RunInstances', launch(() => ({ SubnetId: 'x' })), 'InvalidSubnetID.Malformed'],
  [
    'an unknown subnet',
    'RunInstances',
    launch(() => ({ SubnetId: 'subnet-01234567' })),
    'InvalidSubnetID.NotFound',
  ],
  [
    'an unknown group',
    'RunInstances',
    launch(() => ({ SecurityGroupIds: ['sg-01234567'] })),
    'InvalidGroup.NotFound',
  ],
  [
    'no group id',
    'RunInstances',
    launch(() => ({ SecurityGroupIds: ['web'] })),
    'InvalidGroupId.Malformed',
  ],
  [
    'an unknown name of a group',
    'RunInstances',
    launch(() => ({ SecurityGroups: ['nobody'] })),
    'InvalidGroup.NotFound',
  ],
  [
    'a group of another VPC',
    'RunInstances',
    launch(({ subnet, otherGroup }) => ({ SubnetId: subnet, SecurityGroupIds: [otherGroup] })),
    'InvalidParameter',
  ],
  [
    'a subnet and interfaces',
    'RunInstances',
    launch(({ subnet }) => ({ SubnetId: subnet, NetworkInterfaces: [{ DeviceIndex: 0 }] })),
    'InvalidParameterCombination',
  ],
  [
    'an interface without an index',
    'RunInstances',
    launch(({ subnet }) => ({ NetworkInterfaces: [{ SubnetId: subnet }, { DeviceIndex: 1 }] })),
    'MissingParameter',
  ],
  [
    'a zone and a subnet elsewhere',
    'RunInstances',
    launch(({ farSubnet }) => ({
      ...{ SubnetId: farSubnet, Placement: { AvailabilityZone: 'mallee-1-a' } },
    })),
    'InvalidParameterValue',
  ],
  [
    'an unknown zone',
    'RunInstances',
    launch(() => ({ Placement: { AvailabilityZone: 'moon-1a' } })),
    'InvalidParameterValue',
  ],
  [
    'an address outside of its subnet',
    'RunInstances',
    launch(({ subnet }) => ({ SubnetId: subnet, PrivateIpAddress: '192.0.2.9' })),
    'InvalidParameterValue',
  ],
  [
    'a taken address',
    'RunInstances',
    launch(({ subnet, cardAddress }) => ({ SubnetId: subnet, PrivateIpAddress: cardAddress })),
    'InvalidIPAddress.InUse',
  ],
  [
    'one address for two',
    'RunInstances',
    launch(({ subnet }) => ({ SubnetId: subnet, PrivateIpAddress: '10.70.1.99', MaxCount: 2 })),
    'InvalidParameterCombination',
  ],
  [
    'user data of 24,000 bytes',
    'RunInstances',
    launch(() => ({ UserData: 'x'.repeat(24_000) })),
    'InvalidParameterValue',
  ],
  [
    'an unknown group of placement',
    'RunInstances',
    launch(() => ({ Placement: { GroupName: 'nobody' } })),
    'InvalidPlacementGroup.Unknown',
  ],
  [
    'a partition too many',
    'RunInstances',
    launch(() => ({ Placement: { GroupName: 'parts', PartitionNumber: 3 } })),
    'InvalidParameterValue',
  ],
  [
    'an unknown template',
    'RunInstances',
    launch(() => ({ LaunchTemplate: { LaunchTemplateName: 'nobody' } })),
    'InvalidLaunchTemplateName.NotFoundException',
  ],
  [
    'an unknown version',
    'RunInstances',
    launch(({ template }) => ({ LaunchTemplate: { LaunchTemplateId: template, Version: '9' } })),
    'InvalidLaunchTemplateId.VersionNotFound',
  ],
  [
    'an unknown profile',
    'RunInstances',
    launch(() => ({ IamInstanceProfile: { Name: 'nobody' } })),
    'InvalidParameterValue',
  ],
  [
    'a token of 65 characters',
    'RunInstances',
    launch(() => ({ ClientToken: 'x'.repeat(65) })),
    'InvalidClientToken',
  ],
  [
    'the token of another launch',
    'RunInstances',
    launch(() => ({ ClientToken: 'first', InstanceType: 't3.micro' })),
    'IdempotentParameterMismatch',
  ],
  [
    'tags that begin with aws:',
    'RunInstances',
    launch(() => ({
      TagSpecifications: [{ ResourceType: 'instance', Tags: [{ Key: 'aws:x', Value: '' }] }],
    })),
    'InvalidParameterValue',
  ],
]
