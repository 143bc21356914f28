// An instance as EC2 shows it, made of its record and its interfaces. What this cloud does not have
// is shown as absent or disabled, never as AWS's usual value.

import type {
  _InstanceType,
  Instance,
  InstanceNetworkInterface,
  InstanceNetworkInterfaceAssociation,
  InstanceState,
  NetworkInterface,
  NetworkInterfaceAssociation,
  Placement,
  Reservation,
} from '@aws-sdk/client-ec2'
import { instanceMappings, rootDeviceName, rootDeviceType } from '../ebs/mapping-shapes.ts'
import type { InstanceRecord, InstanceStateName, InterfaceRecord } from '../store/records.ts'
import type { View } from '../store/state.ts'
import type { ShownInstance } from './instance-filters.ts'
import { settingsOf } from './instance-settings.ts'
import { instanceType } from './instance-types.ts'
import { associationOf, groupList, interfaceOf, privateDnsName } from './interface-shape.ts'
import { metadataOptionsOf } from './metadata-options.ts'
import { instanceProfileOf } from './profile-associations.ts'
import { tagList } from './tagging.ts'
import { zoneIdOf, zoneName } from './zones.ts'

/** EC2 API reference, InstanceState. */
const STATE_CODES: Readonly<Record<InstanceStateName, number>> = {
  pending: 0,
  running: 16,
  'shutting-down': 32,
  terminated: 48,
  stopping: 64,
  stopped: 80,
}

export function stateOf(name: InstanceStateName): InstanceState {
  return { Code: STATE_CODES[name], Name: name }
}

/** As in `User initiated (2026-11-22 12:00:00 GMT)`. */
export function transitionTime(ms: number): string {
  return `${new Date(ms).toISOString().replace('T', ' ').slice(0, 19)} GMT`
}

/** Reservations of instances in the order in which they first appear. */
export function reservationsOf(
  shown: readonly Pick<ShownInstance, 'record' | 'instance'>[],
): Reservation[] {
  const found = new Map<string, Reservation & { Instances: Instance[] }>()
  for (const { record, instance } of shown) {
    const known = found.get(record.reservation)
    if (known !== undefined) known.Instances.push(instance)
    else {
      found.set(record.reservation, {
        ReservationId: record.reservation,
        OwnerId: record.account,
        Groups: [],
        Instances: [instance],
      })
    }
  }
  return [...found.values()]
}

export function shownOf(view: View, region: string, record: InstanceRecord): ShownInstance {
  const interfaces = record.interfaces
    .map((id) => view.get('interface', id))
    .filter((one) => one !== null)
  const cards = interfaces.map((one) => interfaceOf(view, region, one))
  return { record, cards, instance: instanceOf(view, region, record, interfaces[0], cards) }
}

function instanceOf(
  view: View,
  region: string,
  record: InstanceRecord,
  first: InterfaceRecord | undefined,
  cards: readonly NetworkInterface[],
): Instance {
  return {
    InstanceId: record.id,
    ImageId: record.image,
    KernelId: record.kernel,
    RamdiskId: record.ramdisk,
    InstanceType: record.type as _InstanceType,
    AmiLaunchIndex: record.launchIndex,
    LaunchTime: new Date(record.startedAtMs ?? record.launchedAtMs),
    ClientToken: record.clientToken,
    ...(record.spot !== undefined && {
      InstanceLifecycle: 'spot',
      SpotInstanceRequestId: record.spot.request,
    }),
    KeyName: record.keyName === '' ? undefined : record.keyName,
    State: stateOf(record.state),
    StateReason:
      record.stateReason === null
        ? undefined
        : { Code: record.stateReason.code, Message: record.stateReason.message },
    StateTransitionReason: record.stateTransitionReason,
    Tags: tagList(view, record.id),
    ...networkOf(view, region, record, first),
    NetworkInterfaces: cards.map(cardOf),
    PrivateDnsNameOptions: nameOptionsOf(view, record),
    IamInstanceProfile: instanceProfileOf(view, record.id),
    Placement: {
      AvailabilityZone: zoneName(region, record.rack),
      AvailabilityZoneId: zoneIdOf(view, region, record.rack),
      ...groupOf(view, record),
      Tenancy: 'default',
    },
    ...optionsOf(view, record),
  }
}

function groupOf(view: View, { group }: InstanceRecord): Placement {
  if (group === undefined) return { GroupName: '' }
  return {
    GroupName: view.get('placement-group', group.id)?.name ?? '',
    GroupId: group.id,
    PartitionNumber: group.partition ?? undefined,
  }
}

/** A terminated instance has no interface and is in no network any more. */
function networkOf(
  view: View,
  region: string,
  record: InstanceRecord,
  first: InterfaceRecord | undefined,
): Instance {
  const names = { PublicDnsName: '', PrivateDnsName: '', SecurityGroups: [] }
  if (first === undefined) return names
  return {
    ...names,
    VpcId: record.vpc,
    SubnetId: first.subnet,
    PrivateIpAddress: first.ipv4 === '' ? undefined : first.ipv4,
    PrivateDnsName: privateDnsName(region, first),
    PublicIpAddress: associationOf(view, first, first.ipv4)?.PublicIp,
    Ipv6Address: first.ipv6 === '' ? undefined : first.ipv6,
    SourceDestCheck: first.sourceDestCheck,
    SecurityGroups: groupList(view, first.securityGroups),
  }
}

/** An instance's interface says less of itself than one that is asked for by name. */
function cardOf(card: NetworkInterface): InstanceNetworkInterface {
  return {
    NetworkInterfaceId: card.NetworkInterfaceId,
    InterfaceType: 'interface',
    OwnerId: card.OwnerId,
    Status: card.Status,
    VpcId: card.VpcId,
    SubnetId: card.SubnetId,
    Description: card.Description,
    MacAddress: card.MacAddress,
    PrivateIpAddress: card.PrivateIpAddress,
    PrivateDnsName: card.PrivateDnsName,
    PrivateIpAddresses: card.PrivateIpAddresses?.map((one) => ({
      ...one,
      Association: publicOf(one.Association),
    })),
    Ipv6Addresses: card.Ipv6Addresses?.map(({ Ipv6Address, IsPrimaryIpv6 }) => ({
      Ipv6Address,
      IsPrimaryIpv6,
    })),
    Groups: card.Groups,
    SourceDestCheck: card.SourceDestCheck,
    Association: publicOf(card.Association),
    Attachment: {
      AttachmentId: card.Attachment?.AttachmentId,
      AttachTime: card.Attachment?.AttachTime,
      DeleteOnTermination: card.Attachment?.DeleteOnTermination,
      DeviceIndex: card.Attachment?.DeviceIndex,
      NetworkCardIndex: card.Attachment?.NetworkCardIndex,
      Status: card.Attachment?.Status,
    },
  }
}

function publicOf(
  association: NetworkInterfaceAssociation | undefined,
): InstanceNetworkInterfaceAssociation | undefined {
  if (association === undefined) return undefined
  const { IpOwnerId, PublicIp, PublicDnsName } = association
  return { IpOwnerId, PublicIp, PublicDnsName }
}

function nameOptionsOf(view: View, record: InstanceRecord): Instance['PrivateDnsNameOptions'] {
  const subnet = view.get('subnet', record.subnet)
  return {
    HostnameType: settingsOf(record).hostnameType || (subnet?.hostnameType ?? 'ip-name'),
    EnableResourceNameDnsARecord: subnet?.resourceNameDnsA ?? false,
    EnableResourceNameDnsAAAARecord: subnet?.resourceNameDnsAaaa ?? false,
  }
}

/** What is the same for all, and what was said at the launch or later. */
function optionsOf(view: View, record: InstanceRecord): Instance {
  const settings = settingsOf(record)
  return {
    Architecture: 'x86_64',
    VirtualizationType: 'hvm',
    // AWS's value for every hypervisor that it uses now; the API knows only xen and ovm.
    Hypervisor: 'xen',
    RootDeviceType: rootDeviceType(record),
    RootDeviceName: rootDeviceName(record),
    BlockDeviceMappings: instanceMappings(view, record),
    ProductCodes: [],
    EbsOptimized: false,
    EnaSupport: false,
    Monitoring: { State: settings.monitoring ? 'enabled' : 'disabled' },
    PlatformDetails: 'Linux/UNIX',
    UsageOperation: 'RunInstances',
    UsageOperationUpdateTime: new Date(record.launchedAtMs),
    CurrentInstanceBootMode: 'legacy-bios',
    CpuOptions: { CoreCount: instanceType(view, record.type)?.vcpus, ThreadsPerCore: 1 },
    HibernationOptions: { Configured: false },
    EnclaveOptions: { Enabled: false },
    MaintenanceOptions: { AutoRecovery: settings.autoRecovery },
    CapacityReservationSpecification: {
      CapacityReservationPreference: settings.capacityReservations,
    },
    MetadataOptions: metadataOptionsOf(record),
  }
}
