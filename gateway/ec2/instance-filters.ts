// The filters of DescribeInstances (EC2 API reference, DescribeInstances, "Filters"), over the
// instance as it is shown: what a caller sees is what a filter finds.

import type { Instance, InstanceBlockDeviceMapping, NetworkInterface } from '@aws-sdk/client-ec2'
import type { InstanceRecord } from '../store/records.ts'
import { absent, type Field, type Filterable } from './filters.ts'
import { INTERFACE_FILTERS } from './interface-filters.ts'

export interface ShownInstance {
  readonly record: InstanceRecord
  readonly instance: Instance
  /** Its network interfaces, with more than DescribeInstances shows of them. */
  readonly cards: readonly NetworkInterface[]
}

/** What this cloud's instances have none of. */
const ABSENT = absent(
  'affinity',
  'capacity-reservation-id',
  'host-id',
  'outpost-arn',
  'platform',
  'product-code',
  'product-code.type',
  'requester-id',
  'tpm-support',
)

/** Fields of every network interface that DescribeNetworkInterfaces has no filter for. */
const INTERFACE_FIELDS: Readonly<Record<string, Field<NetworkInterface>>> = {
  'ipv6-address': (one) => one.Ipv6Addresses?.map((address) => address.Ipv6Address),
  'ipv6-addresses.is-primary-ipv6': (one) =>
    one.Ipv6Addresses?.map((address) => address.IsPrimaryIpv6),
  'tag-key': (one) => one.TagSet?.map((tag) => tag.Key),
  'tag-value': (one) => one.TagSet?.map((tag) => tag.Value),
}

/** Fields of each of its volumes. */
const DEVICE_FIELDS: Readonly<Record<string, Field<InstanceBlockDeviceMapping>>> = {
  'attach-time': (one) => timeOf(one.Ebs?.AttachTime),
  'delete-on-termination': (one) => one.Ebs?.DeleteOnTermination,
  'device-name': (one) => one.DeviceName,
  status: (one) => one.Ebs?.Status,
  'volume-id': (one) => one.Ebs?.VolumeId,
}

/** Fields of the instance itself. */
const INSTANCE_FIELDS: Readonly<Record<string, Field<Instance>>> = {
  architecture: (one) => one.Architecture,
  'availability-zone': (one) => one.Placement?.AvailabilityZone,
  'availability-zone-id': (one) => one.Placement?.AvailabilityZoneId,
  'boot-mode': (one) => one.BootMode,
  'client-token': (one) => one.ClientToken,
  'current-instance-boot-mode': (one) => one.CurrentInstanceBootMode,
  'dns-name': (one) => one.PublicDnsName,
  'ebs-optimized': (one) => one.EbsOptimized,
  'ena-support': (one) => one.EnaSupport,
  'enclave-options.enabled': (one) => one.EnclaveOptions?.Enabled,
  'group-id': (one) => one.SecurityGroups?.map((group) => group.GroupId),
  'group-name': (one) => one.SecurityGroups?.map((group) => group.GroupName),
  'hibernation-options.configured': (one) => one.HibernationOptions?.Configured,
  hypervisor: (one) => one.Hypervisor,
  'iam-instance-profile.arn': (one) => one.IamInstanceProfile?.Arn,
  'iam-instance-profile.id': (one) => one.IamInstanceProfile?.Id,
  'iam-instance-profile.name': (one) => one.IamInstanceProfile?.Arn?.split('/').at(-1),
  'image-id': (one) => one.ImageId,
  'kernel-id': (one) => one.KernelId,
  'ramdisk-id': (one) => one.RamdiskId,
  'instance-id': (one) => one.InstanceId,
  'instance-state-code': (one) => one.State?.Code,
  'instance-state-name': (one) => one.State?.Name,
  'instance-type': (one) => one.InstanceType,
  'instance.group-id': (one) => one.SecurityGroups?.map((group) => group.GroupId),
  'instance.group-name': (one) => one.SecurityGroups?.map((group) => group.GroupName),
  'ip-address': (one) => one.PublicIpAddress,
  'ipv6-address': (one) => one.Ipv6Address,
  'key-name': (one) => one.KeyName,
  'launch-index': (one) => one.AmiLaunchIndex,
  'launch-time': (one) => timeOf(one.LaunchTime),
  'maintenance-options.auto-recovery': (one) => one.MaintenanceOptions?.AutoRecovery,
  'metadata-options.http-endpoint': (one) => one.MetadataOptions?.HttpEndpoint,
  'metadata-options.http-protocol-ipv4': (one) => one.MetadataOptions?.HttpEndpoint,
  'metadata-options.http-protocol-ipv6': (one) => one.MetadataOptions?.HttpProtocolIpv6,
  'metadata-options.http-put-response-hop-limit': (one) =>
    one.MetadataOptions?.HttpPutResponseHopLimit,
  'metadata-options.http-tokens': (one) => one.MetadataOptions?.HttpTokens,
  'metadata-options.instance-metadata-tags': (one) => one.MetadataOptions?.InstanceMetadataTags,
  'metadata-options.state': (one) => one.MetadataOptions?.State,
  'monitoring-state': (one) => one.Monitoring?.State,
  'platform-details': (one) => one.PlatformDetails,
  'private-dns-name': (one) => one.PrivateDnsName,
  'private-dns-name-options.hostname-type': (one) => one.PrivateDnsNameOptions?.HostnameType,
  'private-dns-name-options.enable-resource-name-dns-a-record': (one) =>
    one.PrivateDnsNameOptions?.EnableResourceNameDnsARecord,
  'private-dns-name-options.enable-resource-name-dns-aaaa-record': (one) =>
    one.PrivateDnsNameOptions?.EnableResourceNameDnsAAAARecord,
  'instance-lifecycle': (one) => one.InstanceLifecycle,
  'spot-instance-request-id': (one) => one.SpotInstanceRequestId,
  'placement-group-name': (one) =>
    one.Placement?.GroupName === '' ? null : one.Placement?.GroupName,
  'placement-partition-number': (one) => one.Placement?.PartitionNumber,
  'private-ip-address': (one) => one.PrivateIpAddress,
  reason: (one) => one.StateTransitionReason,
  'root-device-name': (one) => one.RootDeviceName,
  'root-device-type': (one) => one.RootDeviceType,
  'source-dest-check': (one) => one.SourceDestCheck,
  'state-reason-code': (one) => one.StateReason?.Code,
  'state-reason-message': (one) => one.StateReason?.Message,
  'subnet-id': (one) => one.SubnetId,
  tenancy: (one) => one.Placement?.Tenancy,
  'usage-operation': (one) => one.UsageOperation,
  'usage-operation-update-time': (one) => timeOf(one.UsageOperationUpdateTime),
  'virtualization-type': (one) => one.VirtualizationType,
  'vpc-id': (one) => one.VpcId,
}

export const INSTANCE_FILTERS: Filterable<ShownInstance> = {
  fields: {
    ...ABSENT,
    ...lifted('', INSTANCE_FIELDS, ({ instance }) => [instance]),
    ...lifted(
      'block-device-mapping.',
      DEVICE_FIELDS,
      ({ instance }) => instance.BlockDeviceMappings ?? [],
    ),
    ...lifted(
      'network-interface.',
      { ...INTERFACE_FILTERS.fields, ...INTERFACE_FIELDS },
      ({ cards }) => cards,
    ),
    'owner-id': ({ record }) => record.account,
    'reservation-id': ({ record }) => record.reservation,
  },
  tags: ({ instance }) => instance.Tags,
}

/** Fields of parts as fields of the whole, under longer names. */
function lifted<Part>(
  prefix: string,
  fields: Readonly<Record<string, Field<Part>>>,
  partsOf: (shown: ShownInstance) => readonly Part[],
): Record<string, Field<ShownInstance>> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, field]) => [
      `${prefix}${name}`,
      (shown: ShownInstance) => partsOf(shown).flatMap((part) => field(part)),
    ]),
  )
}

function timeOf(date: Date | undefined): string | undefined {
  return date?.toISOString()
}
