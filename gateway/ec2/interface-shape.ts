// A network interface as EC2 shows it, made of its record and of the public addresses that are
// associated with it.

import type {
  NetworkInterface,
  NetworkInterfaceAssociation,
  NetworkInterfaceAttachment,
  NetworkInterfacePrivateIpAddress,
} from '@aws-sdk/client-ec2'
import type { InterfaceRecord } from '../store/records.ts'
import type { View } from '../store/state.ts'
import { tagList } from './tagging.ts'
import { zoneIdOf, zoneName } from './zones.ts'

/** As AWS calls them. */
const TYPES = {
  interface: 'interface',
  'nat-gateway': 'natGateway',
  'network-load-balancer': 'network_load_balancer',
} as const
/** Who made a load balancer's interface, and has it attached. */
const BALANCING = 'amazon-elb'

/** `ip-10-0-0-4`. */
export function hostnameOf(ipv4: string): string {
  return `ip-${ipv4.replaceAll('.', '-')}`
}

export function interfaceOf(view: View, region: string, one: InterfaceRecord): NetworkInterface {
  return {
    NetworkInterfaceId: one.id,
    OwnerId: one.account,
    Status: one.attachment === '' ? 'available' : 'in-use',
    VpcId: one.vpc,
    SubnetId: one.subnet,
    Description: one.description,
    MacAddress: one.mac,
    PrivateIpAddress: one.ipv4 === '' ? undefined : one.ipv4,
    PrivateDnsName: privateDnsName(region, one),
    PrivateIpAddresses: privateAddresses(view, region, one),
    Ipv6Addresses: [one.ipv6, ...one.ipv6More]
      .filter((address) => address !== '')
      .map((Ipv6Address) => ({ Ipv6Address, IsPrimaryIpv6: false })),
    Groups: groupList(view, one.securityGroups),
    SourceDestCheck: one.sourceDestCheck,
    Association: associationOf(view, one, one.ipv4),
    Attachment: attachmentOf(view, one),
    AvailabilityZone: zoneName(region, one.rack),
    AvailabilityZoneId: zoneIdOf(view, region, one.rack),
    InterfaceType: TYPES[one.type],
    Ipv6Address: one.ipv6 === '' ? undefined : one.ipv6,
    Ipv6Native: one.ipv4 === '',
    ...(one.type === 'network-load-balancer' && { RequesterId: BALANCING }),
    RequesterManaged: one.type !== 'interface',
    TagSet: tagList(view, one.id),
  }
}

/** Undefined when it is attached to nothing. */
export function attachmentOf(
  view: View,
  one: InterfaceRecord,
): NetworkInterfaceAttachment | undefined {
  if (one.attachment === '') return undefined
  const isPending = view.get('instance', one.instance)?.state === 'pending'
  return {
    AttachmentId: one.attachment,
    AttachTime: new Date(one.attachedAtMs),
    DeleteOnTermination: one.deleteOnTermination,
    DeviceIndex: one.deviceIndex,
    NetworkCardIndex: 0,
    InstanceId: one.instance === '' ? undefined : one.instance,
    InstanceOwnerId: one.type === 'network-load-balancer' ? BALANCING : one.account,
    Status: isPending ? 'attaching' : 'attached',
  }
}

/** The public address of one of the interface's private ones; nobody's names resolve it. */
export function associationOf(
  view: View,
  { id }: InterfaceRecord,
  privateIp: string,
): NetworkInterfaceAssociation | undefined {
  const found = view
    .by('address', 'interface', id)
    .find((one) => one.association !== '' && one.privateIp === privateIp)
  if (found === undefined) return undefined
  // An address that is not the account's own is nobody's to name: AWS says `amazon` is its owner.
  const { account, association, publicIp, auto } = found
  if (auto) return { IpOwnerId: 'amazon', PublicIp: publicIp, PublicDnsName: '' }
  return {
    AllocationId: found.id,
    AssociationId: association,
    IpOwnerId: account,
    PublicIp: publicIp,
    PublicDnsName: '',
  }
}

export function groupList(
  view: View,
  ids: readonly string[],
): { GroupId: string; GroupName: string | undefined }[] {
  return ids.map((id) => ({ GroupId: id, GroupName: view.get('security-group', id)?.name }))
}

export function privateDnsName(region: string, { hostname, rack }: InterfaceRecord): string {
  return hostname === '' ? '' : `${hostname}.${zoneName(region, rack)}.internal`
}

function privateAddresses(
  view: View,
  region: string,
  one: InterfaceRecord,
): NetworkInterfacePrivateIpAddress[] {
  return [one.ipv4, ...one.ipv4More]
    .filter((address) => address !== '')
    .map((address, i) => ({
      Association: associationOf(view, one, address),
      Primary: i === 0,
      PrivateIpAddress: address,
      PrivateDnsName: privateDnsName(
        region,
        i === 0 ? one : { ...one, hostname: hostnameOf(address) },
      ),
    }))
}
