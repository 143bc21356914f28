// How actions differ from AWS's, each in a few words, for the page that lists all of them
// (docs/ec2-actions.md). What concerns several actions is in docs/ec2.md.

import type { Ec2Handlers } from '../aws/handlers.ts'

export const DEVIATIONS: { readonly [K in keyof Ec2Handlers]: string } = {
  AllocateAddress: "of the operator's pools; `Address` and `NetworkBorderGroup` choose no other",
  AttachNetworkInterface: 'while the instance runs; one network card',
  AttachVolume:
    'a guest has 16 places for volumes and for interfaces beside its first; `Device` is no name in the guest',
  CopyImage: 'within the region; the copy shares the file of its source; `Encrypted` is refused',
  CreateImage:
    'the instance is `pending` for a moment as it starts again; one that does not stop within five minutes is not imaged',
  CreateFleet:
    'of the type instant; fleets have no tags; a weight is 1 or more; all strategies are one but prioritized',
  CreateDefaultVpc: 'a /20 of its own and a /56 of IPv6; AWS gives all 172.31.0.0/16',
  CreateLaunchTemplate: '`Warning` also names what no launch here would take',
  CreateNatGateway: 'one address; `pending` until its CC has it, half an hour at most',
  CreatePlacementGroup: '`SpreadLevel` is `host` when nothing is said; no limit of seven a zone',
  CreateSubnet: 'an IPv6 block is a /64; `<region>-any` spans all racks',
  CreateVpc: 'overlaps no other VPC of the cloud; IPv6 from the cloud',
  CreateCustomerGateway:
    'a `DeviceName` of `wireguard:` and a public key is a WireGuard device, which may have no address; `CertificateArn` is refused',
  CreateVpnConnection:
    'static routes, IKEv2 or WireGuard; rekey margin and fuzz, replay window, logs and lifecycle control are refused',
  CreateVpnConnectionRoute: 'of either family; the same again changes nothing',
  GetVpnConnectionDeviceTypes: 'strongSwan and WireGuard',
  GetActiveVpnTunnelStatus: 'what was negotiated is left out',
  ModifyVpnConnection: 'to gateways of the same kind at both ends',
  ModifyVpnConnectionOptions: 'takes what every connection has, `0.0.0.0/0`',
  CreateVpnGateway: 'in all zones; `AvailabilityZone` is checked and not shown',
  CreateVolume: 'in a rack; `KmsKeyId` and `VolumeInitializationRate` are refused',
  DeleteLaunchTemplateVersions: 'the default version is in the list of those that stayed',
  DescribeAvailabilityZones: 'a rack is a zone',
  CopySnapshot: 'within the region; what is not encrypted stays so; complete in the answer',
  CreateSnapshot: 'the answer waits up to 5 s until the moment is taken',
  CreateSnapshots: 'the answer waits up to 5 s until the moment is taken',
  DescribeEgressOnlyInternetGateways: 'pages have 255 at most',
  DescribeHosts: 'always empty: no host is anybody’s alone',
  DescribeIdFormat: 'ids are long and stay so',
  DescribeImages: 'root devices are instance store; no block devices',
  DescribeInstanceStatus: 'events are those of hosts and racks that the operator drains',
  DescribeInstanceTypes: 'features of the real type of that name that are missing here say no',
  DescribeRegions: 'this region, and those of peer clouds',
  DescribeReservedInstances: 'always empty: nothing is sold',
  DescribeSnapshotTierStatus: 'the tier is `standard`',
  DescribeSpotInstanceRequests: 'requests have no tags',
  DescribeSpotPriceHistory: 'nothing, for every type and zone',
  DescribeVolumeStatus: 'as its host says; I/O is measured by nobody',
  EnableSerialConsoleAccess: 'the console is a WebSocket of the gateway, not SSH',
  EnableImageDeprecation: 'a deprecated image is found by its owner unasked',
  EnableVolumeIO: 'I/O is never taken away',
  GetConsoleOutput: 'as of now, always',
  ImportImage: 'of one disk, raw or qcow2, which is not converted; `RoleName` has no effect',
  ImportSnapshot: 'raw and qcow2; not encrypted; `RoleName` has no effect',
  ModifyImageAttribute: 'organizations are refused',
  ModifySnapshotTier: 'refused: there is one tier',
  RestoreSnapshotTier: 'refused: there is one tier',
  ModifyInstanceEventStartTime: 'no event has a deadline, so none can be moved',
  ModifyVolume: 'the wait of six hours is the operator’s to change',
  ModifyVolumeAttribute: '`AutoEnableIO` is kept and changes nothing',
  RegisterImage:
    'of an object, a bundle, or a file that `mallee image import` brought in; kernels are Linux',
  RunInstances: 'without a zone, instances of one request may go to several',
  TerminateInstances: 'a host that left the cloud ends its instances at once',
}
