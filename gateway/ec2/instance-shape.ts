// An instance as EC2 shows it, made of its record and its interfaces. What this cloud does not have
// is shown as absent or disabled, never as AWS's usual value.

import type {
  _InstanceType,
  Instance,
  InstanceNetworkInterface,
  InstanceState,
  Reservation,
} from '@aws-sdk/client-ec2'
import type { InstanceRecord, InstanceStateName, InterfaceRecord } from '../store/records.ts'
import type { View } from '../store/state.ts'
import { ROOT_DEVICE_NAME } from './images.ts'
import { instanceType } from './instance-types.ts'
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

/** `ip-10-0-0-4`. */
export function hostnameOf(ipv4: string): string {
  return `ip-${ipv4.replaceAll('.', '-')}`
}

/** Reservations of instances in the order in which they first appear. */
export function reservationsOf(
  shown: readonly { readonly record: InstanceRecord; readonly instance: Instance }[],
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

export function instanceOf(view: View, region: string, record: InstanceRecord): Instance {
  const interfaces = record.interfaces
    .map((id) => view.get('interface', id))
    .filter((one) => one !== null)
  const [first] = interfaces
  return {
    InstanceId: record.id,
    ImageId: record.image,
    InstanceType: record.type as _InstanceType,
    AmiLaunchIndex: record.launchIndex,
    LaunchTime: new Date(record.launchedAtMs),
    ClientToken: record.clientToken,
    KeyName: record.keyName === '' ? undefined : record.keyName,
    State: stateOf(record.state),
    StateReason:
      record.stateReason === null
        ? undefined
        : { Code: record.stateReason.code, Message: record.stateReason.message },
    StateTransitionReason: record.stateTransitionReason,
    Tags: tagList(view, record.id),
    ...networkOf(view, region, record, first),
    NetworkInterfaces: interfaces.map((one) => interfaceOf(view, region, record, one)),
    Placement: {
      AvailabilityZone: zoneName(region, record.rack),
      AvailabilityZoneId: zoneIdOf(view, region, record.rack),
      GroupName: '',
      Tenancy: 'default',
    },
    ...sameForAll(record),
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
    SubnetId: record.subnet,
    PrivateIpAddress: first.ipv4,
    PrivateDnsName: privateDnsName(region, first),
    Ipv6Address: first.ipv6,
    SourceDestCheck: true,
    SecurityGroups: groupsOf(view, record.securityGroups),
  }
}

function interfaceOf(
  view: View,
  region: string,
  record: InstanceRecord,
  one: InterfaceRecord,
): InstanceNetworkInterface {
  const dnsName = privateDnsName(region, one)
  return {
    NetworkInterfaceId: one.id,
    InterfaceType: 'interface',
    OwnerId: one.account,
    Status: 'in-use',
    VpcId: one.vpc,
    SubnetId: one.subnet,
    Description: '',
    MacAddress: one.mac,
    PrivateIpAddress: one.ipv4,
    PrivateDnsName: dnsName,
    PrivateIpAddresses: [{ Primary: true, PrivateIpAddress: one.ipv4, PrivateDnsName: dnsName }],
    Ipv6Addresses: [{ Ipv6Address: one.ipv6, IsPrimaryIpv6: false }],
    Groups: groupsOf(view, one.securityGroups),
    SourceDestCheck: true,
    Attachment: {
      AttachmentId: one.attachment,
      AttachTime: new Date(one.createdAtMs),
      DeleteOnTermination: true,
      DeviceIndex: one.deviceIndex,
      NetworkCardIndex: 0,
      Status: record.state === 'pending' ? 'attaching' : 'attached',
    },
  }
}

function sameForAll(record: InstanceRecord): Instance {
  return {
    Architecture: 'x86_64',
    VirtualizationType: 'hvm',
    // AWS's value for every hypervisor that it uses now; the API knows only xen and ovm.
    Hypervisor: 'xen',
    RootDeviceType: 'instance-store',
    RootDeviceName: ROOT_DEVICE_NAME,
    BlockDeviceMappings: [],
    ProductCodes: [],
    EbsOptimized: false,
    EnaSupport: false,
    Monitoring: { State: 'disabled' },
    PlatformDetails: 'Linux/UNIX',
    UsageOperation: 'RunInstances',
    UsageOperationUpdateTime: new Date(record.launchedAtMs),
    CurrentInstanceBootMode: 'legacy-bios',
    CpuOptions: { CoreCount: instanceType(record.type)?.vcpus, ThreadsPerCore: 1 },
    HibernationOptions: { Configured: false },
    EnclaveOptions: { Enabled: false },
    MaintenanceOptions: { AutoRecovery: 'disabled' },
    CapacityReservationSpecification: { CapacityReservationPreference: 'none' },
    PrivateDnsNameOptions: {
      HostnameType: 'ip-name',
      EnableResourceNameDnsARecord: false,
      EnableResourceNameDnsAAAARecord: false,
    },
    MetadataOptions: {
      State: 'applied',
      HttpEndpoint: 'disabled',
      HttpTokens: 'required',
      HttpPutResponseHopLimit: 1,
      HttpProtocolIpv6: 'disabled',
      InstanceMetadataTags: 'disabled',
    },
  }
}

function groupsOf(
  view: View,
  ids: readonly string[],
): { GroupId: string; GroupName: string | undefined }[] {
  return ids.map((id) => ({ GroupId: id, GroupName: view.get('security-group', id)?.name }))
}

function privateDnsName(region: string, { hostname, rack }: InterfaceRecord): string {
  return `${hostname}.${zoneName(region, rack)}.internal`
}
