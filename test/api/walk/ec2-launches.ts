// The walk through what EC2's instances are launched by, images, keys, templates and groups, and
// their launch by each of that.

import type { Row } from './row.ts'

const ONE = { InstanceIds: ['<instance>'] }
const STATE = 'Reservations.0.Instances.0.State.Name'
const RUN = {
  ...{ ImageId: '<image>', InstanceType: 't3.micro', MinCount: 1, MaxCount: 1 },
}

export const IMAGE_ROWS: readonly Row[] = [
  [
    'RegisterImage',
    { Name: 'walk', ImageLocation: '<blob>', Description: 'of the walk' },
    { keep: { image: 'ImageId' } },
  ],
  ['DescribeImages', { ImageIds: ['<image>'] }, { wait: 'image_exists' }],
  ['DescribeImages', { ImageIds: ['<image>'] }, { wait: 'image_available' }],
  [
    'DescribeImages',
    { Owners: ['self'], Filters: [{ Name: 'name', Values: ['walk'] }] },
    { want: { 'Images.0.State': 'available', 'Images.0.RootDeviceType': 'instance-store' } },
  ],
  [
    'ModifyImageAttribute',
    { ImageId: '<image>', LaunchPermission: { Add: [{ UserId: '<friend>' }] } },
    {
      argv: ['--image-id', '<image>', '--launch-permission', 'Add=[{UserId=<friend>}]'],
    },
  ],
  [
    'DescribeImageAttribute',
    { ImageId: '<image>', Attribute: 'launchPermission' },
    { want: { 'LaunchPermissions.0.UserId': '<friend>' } },
  ],
  ['ResetImageAttribute', { ImageId: '<image>', Attribute: 'launchPermission' }],
  [
    'EnableImageDeprecation',
    { ImageId: '<image>', DeprecateAt: '<later>' },
    { want: { Return: true } },
  ],
  ['DisableImageDeprecation', { ImageId: '<image>' }, { want: { Return: true } }],
  [
    'EnableImageBlockPublicAccess',
    { ImageBlockPublicAccessState: 'block-new-sharing' },
    { want: { ImageBlockPublicAccessState: 'block-new-sharing' } },
  ],
  [
    'GetImageBlockPublicAccessState',
    {},
    { want: { ImageBlockPublicAccessState: 'block-new-sharing' } },
  ],
  ['DisableImageBlockPublicAccess', {}, { want: { ImageBlockPublicAccessState: 'unblocked' } }],
  [
    'CopyImage',
    { SourceImageId: '<image>', SourceRegion: 'mallee-1', Name: 'walk-copy' },
    { keep: { copy: 'ImageId' } },
  ],
  ['DeregisterImage', { ImageId: '<copy>' }],
  [
    'ImportImage',
    {
      DiskContainers: [{ Format: 'raw', UserBucket: { S3Bucket: '<bucket>', S3Key: 'disk.raw' } }],
    },
    { keep: { importTask: 'ImportTaskId' }, want: { Status: 'active' } },
  ],
  [
    'DescribeImportImageTasks',
    { ImportTaskIds: ['<importTask>'] },
    {
      until: true,
      want: { 'ImportImageTasks.0.Status': 'completed' },
      keep: { imported: 'ImportImageTasks.0.ImageId' },
    },
  ],
  ['DescribeImportImageTasks', {}, { want: { 'ImportImageTasks.0.ImageId': '<imported>' } }],
  ['CancelImportTask', { ImportTaskId: '<importTask>' }, { refused: 'IncorrectState' }],
  ['DeregisterImage', { ImageId: '<imported>' }],
  [
    'CreateKeyPair',
    { KeyName: 'walk', KeyType: 'ed25519' },
    { want: { KeyMaterial: '~PRIVATE KEY' }, keep: { key: 'KeyPairId' } },
  ],
  [
    'ImportKeyPair',
    { KeyName: 'brought', PublicKeyMaterial: '<publicKey>' },
    { want: { KeyName: 'brought', KeyFingerprint: '*' } },
  ],
  ['DescribeKeyPairs', { KeyNames: ['brought'] }, { wait: 'key_pair_exists' }],
  [
    'DescribeKeyPairs',
    { Filters: [{ Name: 'key-name', Values: ['w*'] }] },
    { want: { 'KeyPairs.length': 1, 'KeyPairs.0.KeyPairId': '<key>' } },
  ],
  ['DeleteKeyPair', { KeyName: 'brought' }],
]

export const LAUNCH_ROWS: readonly Row[] = [
  [
    'CreateLaunchTemplate',
    {
      LaunchTemplateName: 'walk',
      LaunchTemplateData: { ImageId: '<image>', InstanceType: 't3.nano', KeyName: 'walk' },
    },
    { keep: { template: 'LaunchTemplate.LaunchTemplateId' } },
  ],
  [
    'CreateLaunchTemplateVersion',
    {
      ...{ LaunchTemplateId: '<template>', SourceVersion: '1' },
      LaunchTemplateData: { InstanceType: 't3.micro' },
    },
    { want: { 'LaunchTemplateVersion.VersionNumber': 2 } },
  ],
  [
    'DescribeLaunchTemplateVersions',
    { LaunchTemplateId: '<template>' },
    { want: { 'LaunchTemplateVersions.*.LaunchTemplateData.InstanceType': 't3.micro' } },
  ],
  [
    'ModifyLaunchTemplate',
    { LaunchTemplateId: '<template>', DefaultVersion: '2' },
    { want: { 'LaunchTemplate.DefaultVersionNumber': 2 } },
  ],
  [
    'DeleteLaunchTemplateVersions',
    { LaunchTemplateId: '<template>', Versions: ['1'] },
    { want: { 'SuccessfullyDeletedLaunchTemplateVersions.0.VersionNumber': 1 } },
  ],
  [
    'DescribeLaunchTemplates',
    { Filters: [{ Name: 'launch-template-name', Values: ['walk'] }] },
    { want: { 'LaunchTemplates.0.LatestVersionNumber': 2 } },
  ],
  [
    'CreatePlacementGroup',
    { GroupName: 'walk', Strategy: 'partition', PartitionCount: 2 },
    { want: { 'PlacementGroup.PartitionCount': 2 } },
  ],
  [
    'DescribePlacementGroups',
    { Filters: [{ Name: 'strategy', Values: ['partition'] }] },
    { want: { 'PlacementGroups.0.GroupName': 'walk' } },
  ],
  [
    'CreateFleet',
    {
      Type: 'instant',
      LaunchTemplateConfigs: [
        {
          LaunchTemplateSpecification: { LaunchTemplateId: '<template>', Version: '$Default' },
          Overrides: [{ SubnetId: '<farSubnet>' }],
        },
      ],
      TargetCapacitySpecification: {
        ...{ TotalTargetCapacity: 1, DefaultTargetCapacityType: 'spot' },
      },
    },
    {
      want: { 'Instances.0.InstanceType': 't3.micro', 'Instances.0.Lifecycle': 'spot' },
      keep: { fleet: 'FleetId', spot: 'Instances.0.InstanceIds.0' },
    },
  ],
  // Instant ones are shown by their ids only.
  ['DescribeFleets', {}, { want: { 'Fleets.0': null } }],
  ['DescribeFleets', { FleetIds: ['<fleet>'] }, { want: { 'Fleets.0.FleetState': 'active' } }],
  [
    'DescribeSpotInstanceRequests',
    { Filters: [{ Name: 'state', Values: ['active'] }] },
    {
      want: { 'SpotInstanceRequests.0.InstanceId': '<spot>' },
      keep: { request: 'SpotInstanceRequests.0.SpotInstanceRequestId' },
    },
  ],
  [
    'DescribeSpotInstanceRequests',
    { SpotInstanceRequestIds: ['<request>'] },
    { wait: 'spot_instance_request_fulfilled' },
  ],
  [
    'DescribeSpotPriceHistory',
    { Filters: [{ Name: 'instance-type', Values: ['t3.nano'] }] },
    { want: { 'SpotPriceHistory.*.InstanceType': 't3.nano' } },
  ],
  [
    'CancelSpotInstanceRequests',
    { SpotInstanceRequestIds: ['<request>'] },
    { want: { 'CancelledSpotInstanceRequests.0.SpotInstanceRequestId': '<request>' } },
  ],
  [
    'RunInstances',
    {
      ...RUN,
      ...{ SubnetId: '<subnet>', SecurityGroupIds: ['<group>'], KeyName: 'walk' },
      UserData: '#!/bin/sh\necho walk\n',
      TagSpecifications: [{ ResourceType: 'instance', Tags: [{ Key: 'Name', Value: 'walk' }] }],
    },
    {
      argv: [
        ...['--image-id', '<image>', '--instance-type', 't3.micro', '--count', '1'],
        ...['--subnet-id', '<subnet>', '--security-group-ids', '<group>', '--key-name', 'walk'],
        ...['--user-data', '#!/bin/sh\necho walk\n', '--tag-specifications'],
        'ResourceType=instance,Tags=[{Key=Name,Value=walk}]',
      ],
      want: { 'Instances.0.State.Name': 'pending', 'Instances.0.Tags.0.Value': 'walk' },
      keep: {
        instance: 'Instances.0.InstanceId',
        card: 'Instances.0.NetworkInterfaces.0.NetworkInterfaceId',
      },
    },
  ],
  [
    'RunInstances',
    { ...RUN, SubnetId: '<farSubnet>', Placement: { GroupName: 'walk', PartitionNumber: 2 } },
    {
      want: { 'Instances.0.Placement.PartitionNumber': 2 },
      keep: { second: 'Instances.0.InstanceId' },
    },
  ],
  [
    'RunInstances',
    {
      ...RUN,
      NetworkInterfaces: [
        {
          ...{ DeviceIndex: 0, SubnetId: '<farSubnet>', Groups: ['<group>'] },
          AssociatePublicIpAddress: true,
          PrivateIpAddresses: [{ PrivateIpAddress: '10.<net>.2.77', Primary: true }],
        },
      ],
    },
    {
      argv: [
        ...['--image-id', '<image>', '--instance-type', 't3.micro', '--subnet-id', '<farSubnet>'],
        ...['--security-group-ids', '<group>', '--associate-public-ip-address'],
        ...['--private-ip-address', '10.<net>.2.77'],
      ],
      want: { 'Instances.0.PrivateIpAddress': '10.<net>.2.77' },
      keep: { third: 'Instances.0.InstanceId' },
    },
  ],
  [
    'RunInstances',
    { ...RUN, BlockDeviceMappings: [{ DeviceName: '/dev/sdb', VirtualName: 'swap' }] },
    {
      argv: [
        ...['--image-id', '<image>', '--instance-type', 't3.micro', '--block-device-mappings'],
        'DeviceName=/dev/sdb,VirtualName=swap',
      ],
      refused: 'InvalidBlockDeviceMapping',
    },
  ],
  ['DescribeInstances', ONE, { wait: 'instance_exists' }],
  ['DescribeInstances', ONE, { until: true, want: { [STATE]: 'running' } }],
  [
    'DescribeInstances',
    { InstanceIds: ['<second>'] },
    { until: true, want: { [STATE]: 'running' } },
  ],
  ['DescribeInstances', ONE, { wait: 'instance_running' }],
  [
    'DescribeInstances',
    { Filters: [{ Name: 'tag:Name', Values: ['walk'] }] },
    { want: { 'Reservations.0.Instances.0.PublicIpAddress': '*' } },
  ],
  [
    'DescribeInstanceStatus',
    ONE,
    { until: true, want: { 'InstanceStatuses.0.InstanceStatus.Status': 'ok' } },
  ],
  ['DescribeInstanceStatus', ONE, { wait: 'instance_status_ok' }],
  ['DescribeInstanceStatus', ONE, { wait: 'system_status_ok' }],
  ['DescribeInstanceStatus', {}, { want: { 'InstanceStatuses.*.InstanceId': '<second>' } }],
]
