// An instance with everything that the metadata service can tell, for its tests.

import { create } from '@bufbuild/protobuf'
import {
  type Instance,
  InstanceSchema,
  type Interface,
  InterfaceSchema,
} from '../../../../proto/gen/mallee/v1/desired_pb.js'
import {
  type InstanceMetadata,
  InstanceMetadataSchema,
  MetadataInterfaceSchema,
} from '../../../../proto/gen/mallee/v1/tenants_pb.js'

const MAC = '02:00:00:00:00:01'
export const DOCUMENT = '{\n  "instanceId" : "i-1"\n}'

export function instanceOf(id: string, change: Partial<InstanceMetadata> = {}): Instance {
  const card = create(MetadataInterfaceSchema, {
    interfaceId: 'eni-1',
    mac: MAC,
    localHostname: 'ip-10-0-1-10.mallee-1-a.internal',
    localIpv4s: ['10.0.1.10', '10.0.1.11'],
    ipv6s: ['fd01::10'],
    publicIpv4s: ['192.0.2.7'],
    publicIpv4Locals: ['10.0.1.10'],
    subnetId: 'subnet-1',
    subnetIpv4Cidr: '10.0.1.0/24',
    subnetIpv6Cidr: 'fd01::/64',
    vpcId: 'vpc-1',
    vpcIpv4Cidrs: ['10.0.0.0/20'],
    securityGroupNames: ['default', 'web'],
    securityGroupIds: ['sg-1', 'sg-2'],
    ownerId: '000000000001',
  })
  const metadata = create(InstanceMetadataSchema, {
    enabled: true,
    tokensOptional: true,
    hopLimit: 1,
    amiId: 'ami-1',
    reservationId: 'r-1',
    instanceType: 't3.micro',
    availabilityZone: 'mallee-1-a',
    availabilityZoneId: 'mal1-az1',
    placementGroup: 'db',
    partitionNumber: 2,
    region: 'mallee-1',
    keyName: 'my key',
    publicKey: 'ssh-ed25519 AAAA me',
    userData: Buffer.from([0x1f, 0x8b, 0x00, 0xff]),
    hasUserData: true,
    securityGroups: ['default', 'web'],
    identityDocument: DOCUMENT,
    identitySignature: 'c2ln\nbg==',
    identityPkcs7: 'cGtjczc=',
    identityRsa2048: 'cnNh',
    interfaces: [card],
  })
  return create(InstanceSchema, {
    id,
    metadata: create(InstanceMetadataSchema, { ...metadata, ...change }),
  })
}

export function interfaceOf(instanceId: string, ipv4: string, ipv6 = ''): Interface {
  return create(InterfaceSchema, { id: `eni-${ipv4}`, instanceId, ipv4, ipv6 })
}
