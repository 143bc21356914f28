// Bad requests about instances that are there, images, keys, tags and placement groups: wrong
// states, limits, parameters that exclude each other.

import type { Row } from './row.ts'

const many = (count: number, prefix = 'k') =>
  Array.from({ length: count }, (_, i) => ({ Key: `${prefix}${i}`, Value: 'x' }))
const TAG = [{ Key: 'a', Value: 'b' }]

export const COMPUTE: readonly Row[] = [
  [
    'a terminated one',
    'StartInstances',
    ({ ended }) => ({ InstanceIds: [ended] }),
    'IncorrectInstanceState',
  ],
  [
    'a terminated one',
    'StopInstances',
    ({ ended }) => ({ InstanceIds: [ended] }),
    'IncorrectInstanceState',
  ],
  [
    'a pending one',
    'StopInstances',
    ({ pending }) => ({ InstanceIds: [pending] }),
    'IncorrectInstanceState',
  ],
  [
    'a stopped one',
    'RebootInstances',
    ({ stopped }) => ({ InstanceIds: [stopped] }),
    'IncorrectInstanceState',
  ],
  [
    'a protected one',
    'StopInstances',
    ({ guarded }) => ({ InstanceIds: [guarded] }),
    'OperationNotPermitted',
  ],
  [
    'a protected one',
    'TerminateInstances',
    ({ guarded, running }) => ({ InstanceIds: [running, guarded] }),
    'OperationNotPermitted',
  ],
  [
    'Hibernate',
    'StopInstances',
    ({ running }) => ({ InstanceIds: [running], Hibernate: true }),
    'UnsupportedHibernationConfiguration',
  ],
  [
    'a type of a running one',
    'ModifyInstanceAttribute',
    ({ running }) => ({ InstanceId: running, InstanceType: { Value: 't3.micro' } }),
    'IncorrectInstanceState',
  ],
  [
    'user data of a running one',
    'ModifyInstanceAttribute',
    ({ running }) => ({ InstanceId: running, UserData: { Value: 'eA==' } }),
    'IncorrectInstanceState',
  ],
  [
    'an unknown type',
    'ModifyInstanceAttribute',
    ({ stopped }) => ({ InstanceId: stopped, InstanceType: { Value: 't9.huge' } }),
    'InvalidInstanceAttributeValue',
  ],
  [
    'two attributes',
    'ModifyInstanceAttribute',
    ({ stopped }) => ({
      ...{ InstanceId: stopped, InstanceType: { Value: 't3.micro' } },
      DisableApiStop: { Value: true },
    }),
    'InvalidParameterCombination',
  ],
  [
    'no attribute',
    'ModifyInstanceAttribute',
    ({ stopped }) => ({ InstanceId: stopped }),
    'InvalidParameterCombination',
  ],
  [
    'an unknown attribute',
    'DescribeInstanceAttribute',
    ({ running }) => ({ InstanceId: running, Attribute: 'colour' }),
    'InvalidParameterValue',
  ],
  [
    'a hop limit of 65',
    'ModifyInstanceMetadataOptions',
    ({ running }) => ({ InstanceId: running, HttpPutResponseHopLimit: 65 }),
    'InvalidParameterValue',
  ],
  [
    'HttpTokens maybe',
    'ModifyInstanceMetadataOptions',
    ({ running }) => ({ InstanceId: running, HttpTokens: 'maybe' }),
    'InvalidParameterValue',
  ],
  [
    'an instance that has a profile',
    'AssociateIamInstanceProfile',
    ({ running }) => ({ InstanceId: running, IamInstanceProfile: { Name: 'web' } }),
    'IncorrectState',
  ],
  [
    'a terminated one',
    'AssociateIamInstanceProfile',
    ({ ended }) => ({ InstanceId: ended, IamInstanceProfile: { Name: 'web' } }),
    'IncorrectInstanceState',
  ],
  [
    'an unknown association',
    'DisassociateIamInstanceProfile',
    { AssociationId: 'iip-assoc-0123456789abcdef0' },
    'NoSuchAssociation',
  ],
  ['no name', 'RegisterImage', { ImageLocation: 'debian.qcow2' }, 'MissingParameter'],
  [
    'a short name',
    'RegisterImage',
    { Name: 'x', ImageLocation: 'debian.qcow2' },
    'InvalidAMIName.Malformed',
  ],
  [
    'a taken name',
    'RegisterImage',
    { Name: 'debian', ImageLocation: 'debian.qcow2' },
    'InvalidAMIName.Duplicate',
  ],
  [
    'an unknown file',
    'RegisterImage',
    { Name: 'new', ImageLocation: 'none.qcow2' },
    'InvalidManifest',
  ],
  [
    'a user that is no account',
    'ModifyImageAttribute',
    ({ image }) => ({ ImageId: image, LaunchPermission: { Add: [{ UserId: '12' }] } }),
    'InvalidAMIAttributeItemValue',
  ],
  ['a taken name', 'CreateKeyPair', { KeyName: 'mine' }, 'InvalidKeyPair.Duplicate'],
  ['an unknown kind', 'CreateKeyPair', { KeyName: 'new', KeyType: 'dsa' }, 'InvalidParameterValue'],
  ['256 characters', 'CreateKeyPair', { KeyName: 'x'.repeat(256) }, 'InvalidParameterValue'],
  [
    'what is no key',
    'ImportKeyPair',
    { KeyName: 'new', PublicKeyMaterial: 'bm8ga2V5' },
    'InvalidKey.Format',
  ],
  [
    '51 tags',
    'CreateTags',
    ({ vpc }) => ({ Resources: [vpc], Tags: many(51) }),
    'TagLimitExceeded',
  ],
  [
    'a key of 129 characters',
    'CreateTags',
    ({ vpc }) => ({ Resources: [vpc], Tags: [{ Key: 'x'.repeat(129), Value: '' }] }),
    'InvalidParameterValue',
  ],
  [
    'a value of 257 characters',
    'CreateTags',
    ({ vpc }) => ({ Resources: [vpc], Tags: [{ Key: 'x', Value: 'x'.repeat(257) }] }),
    'InvalidParameterValue',
  ],
  [
    'a key of aws:',
    'CreateTags',
    ({ vpc }) => ({ Resources: [vpc], Tags: [{ Key: 'aws:cloud', Value: '' }] }),
    'InvalidParameterValue',
  ],
  ['no resource', 'CreateTags', { Tags: TAG }, 'MissingParameter'],
  ['no tag', 'CreateTags', ({ vpc }) => ({ Resources: [vpc] }), 'MissingParameter'],
  [
    'a taken name',
    'CreatePlacementGroup',
    { GroupName: 'near', Strategy: 'cluster' },
    'InvalidPlacementGroup.Duplicate',
  ],
  [
    'an unknown strategy',
    'CreatePlacementGroup',
    { GroupName: 'new', Strategy: 'far' },
    'InvalidParameterValue',
  ],
  [
    '8 partitions',
    'CreatePlacementGroup',
    { GroupName: 'new', Strategy: 'partition', PartitionCount: 8 },
    'InvalidParameterValue',
  ],
  [
    'partitions of a cluster',
    'CreatePlacementGroup',
    { GroupName: 'new', Strategy: 'cluster', PartitionCount: 2 },
    'InvalidParameterCombination',
  ],
]
