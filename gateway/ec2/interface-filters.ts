// The filters of DescribeNetworkInterfaces (EC2 API reference, "Filters"), over the interface as it
// is shown.

import type { NetworkInterface } from '@aws-sdk/client-ec2'
import { absent, type Filterable } from './filters.ts'

export const INTERFACE_FILTERS: Filterable<NetworkInterface> = {
  fields: {
    ...absent(
      'addresses.association.carrier-ip',
      'addresses.association.customer-owned-ip',
      'attachment.nat-gateway-id',
      'operator.managed',
      'operator.principal',
      'outpost-arn',
    ),
    'addresses.association.allocation-id': (one) =>
      one.PrivateIpAddresses?.map((address) => address.Association?.AllocationId),
    'addresses.association.association-id': (one) =>
      one.PrivateIpAddresses?.map((address) => address.Association?.AssociationId),
    'addresses.association.ip-owner-id': (one) =>
      one.PrivateIpAddresses?.map((address) => address.Association?.IpOwnerId),
    'addresses.association.owner-id': (one) =>
      one.PrivateIpAddresses?.map((address) => address.Association?.IpOwnerId),
    'addresses.association.public-dns-name': (one) =>
      one.PrivateIpAddresses?.map((address) => address.Association?.PublicDnsName),
    'addresses.association.public-ip': (one) =>
      one.PrivateIpAddresses?.map((address) => address.Association?.PublicIp),
    'addresses.primary': (one) => one.PrivateIpAddresses?.map((address) => address.Primary),
    'addresses.private-ip-address': (one) =>
      one.PrivateIpAddresses?.map((address) => address.PrivateIpAddress),
    'association.allocation-id': (one) => one.Association?.AllocationId,
    'association.association-id': (one) => one.Association?.AssociationId,
    'association.ip-owner-id': (one) => one.Association?.IpOwnerId,
    'association.public-dns-name': (one) => one.Association?.PublicDnsName,
    'association.public-ip': (one) => one.Association?.PublicIp,
    'attachment.attach-time': (one) => one.Attachment?.AttachTime?.toISOString(),
    'attachment.attachment-id': (one) => one.Attachment?.AttachmentId,
    'attachment.delete-on-termination': (one) => one.Attachment?.DeleteOnTermination,
    'attachment.device-index': (one) => one.Attachment?.DeviceIndex,
    'attachment.instance-id': (one) => one.Attachment?.InstanceId,
    'attachment.instance-owner-id': (one) => one.Attachment?.InstanceOwnerId,
    'attachment.status': (one) => one.Attachment?.Status,
    'availability-zone': (one) => one.AvailabilityZone,
    'availability-zone-id': (one) => one.AvailabilityZoneId,
    description: (one) => one.Description,
    'group-id': (one) => one.Groups?.map((group) => group.GroupId),
    'group-name': (one) => one.Groups?.map((group) => group.GroupName),
    'interface-type': (one) => one.InterfaceType,
    'ipv6-addresses.ipv6-address': (one) =>
      one.Ipv6Addresses?.map((address) => address.Ipv6Address),
    'mac-address': (one) => one.MacAddress,
    'network-interface-id': (one) => one.NetworkInterfaceId,
    'owner-id': (one) => one.OwnerId,
    'private-dns-name': (one) => one.PrivateDnsName,
    'private-ip-address': (one) => one.PrivateIpAddress,
    'requester-id': (one) => one.RequesterId,
    'requester-managed': (one) => one.RequesterManaged,
    'source-dest-check': (one) => one.SourceDestCheck,
    status: (one) => one.Status,
    'subnet-id': (one) => one.SubnetId,
    'vpc-id': (one) => one.VpcId,
  },
  tags: (one) => one.TagSet,
}
