// What the metadata service tells an instance: its record, its interfaces and its signed identity.

import { create, type MessageInitShape } from '@bufbuild/protobuf'
import {
  type InstanceMetadata,
  InstanceMetadataSchema,
  type InstanceProfileSchema,
  type MetadataInterfaceSchema,
} from '../../proto/gen/mallee/v1/tenants_pb.js'
import { zoneIdOf, zoneName } from '../ec2/zones.ts'
import { arnOf } from '../iam/entities.ts'
import type { InstanceCredentialsRecord } from '../store/iam-records.ts'
import type { InterfaceRecord, SubnetRecord } from '../store/network-records.ts'
import type { InstanceRecord } from '../store/records.ts'
import type { View } from '../store/state.ts'
import { hasPort } from './desired-routes.ts'
import { profileOf, type RoleSecrets, trustsEc2 } from './role-credentials.ts'

/** What proves an identity document, as it is served. */
export interface IdentityProof {
  /** Base64 of the RSA signature (PKCS #1, SHA-256) of the document. */
  readonly signature: string
  /** Base64 of a CMS SignedData with document and certificate. */
  readonly signedData: string
}

/** Secrets of a role's credentials. */
export type OpenRole = (record: InstanceCredentialsRecord) => RoleSecrets

export interface MetadataSecrets {
  readonly sign: SignIdentity
  readonly openRole: OpenRole
}

export type SignIdentity = (document: string) => IdentityProof

/** The set's value of one DHCP option; empty without one. */
export function dhcpOption(view: View, vpc: string, key: string): readonly string[] {
  const set = view.get('dhcp-options', view.get('vpc', vpc)?.dhcpOptions ?? '')
  return set?.options.find((one) => one.key === key)?.values ?? []
}

/** The domain that DHCP tells in a subnet; with spaces several, and the first is the hosts'. */
export function domainOf(view: View, region: string, subnet: SubnetRecord): string {
  const [chosen] = dhcpOption(view, subnet.vpc, 'domain-name')
  return chosen ?? `${zoneName(region, subnet.rack)}.internal`
}

export function metadataOf(
  view: View,
  one: InstanceRecord,
  { sign, openRole }: MetadataSecrets,
): InstanceMetadata {
  const region = view.get('cloud', 'self')?.region ?? ''
  const cards = view
    .by('interface', 'instance', one.id)
    .filter(hasPort)
    .toSorted((a, b) => a.deviceIndex - b.deviceIndex)
  const [first] = cards
  const document = identityDocument(one, region, first?.ipv4 ?? '')
  const { signature, signedData } = sign(document)
  const { metadataOptions: options } = one
  const tags = options.instanceTags ? (view.get('tags', one.id)?.tags ?? {}) : {}
  return create(InstanceMetadataSchema, {
    enabled: options.httpEndpoint,
    ipv6: options.httpProtocolIpv6,
    tokensOptional: options.httpTokens === 'optional',
    hopLimit: options.hopLimit,
    amiId: one.image,
    launchIndex: one.launchIndex,
    reservationId: one.reservation,
    instanceType: one.type,
    availabilityZone: zoneName(region, one.rack),
    availabilityZoneId: zoneIdOf(view, region, one.rack) ?? '',
    region,
    keyName: one.keyName,
    publicKey: one.publicKey,
    userData: Buffer.from(one.userData, 'base64'),
    hasUserData: one.userData !== '',
    securityGroups: first === undefined ? [] : groupNames(view, first),
    tagsVisible: options.instanceTags,
    tags: { ...tags },
    identityDocument: document,
    identitySignature: signature,
    identityPkcs7: signedData,
    identityRsa2048: signedData,
    interfaces: cards.map((card) => cardOf(view, region, card)),
    ...profileIn(view, one, openRole),
    placementGroup: view.get('placement-group', one.group?.id ?? '')?.name ?? '',
    partitionNumber: one.group?.partition ?? 0,
    lifeCycle: one.spot === undefined ? 'on-demand' : 'spot',
  })
}

/** AWS EC2 user guide, "Instance identity documents": the fields in their order. */
export function identityDocument(one: InstanceRecord, region: string, privateIp: string): string {
  const document = {
    accountId: one.account,
    architecture: 'x86_64',
    availabilityZone: zoneName(region, one.rack),
    billingProducts: null,
    devpayProductCodes: null,
    marketplaceProductCodes: null,
    imageId: one.image,
    instanceId: one.id,
    instanceType: one.type,
    kernelId: one.kernel ?? null,
    pendingTime: new Date(one.launchedAtMs).toISOString().replace(/\.\d+Z$/, 'Z'),
    privateIp: privateIp === '' ? null : privateIp,
    ramdiskId: one.ramdisk ?? null,
    region,
    version: '2017-09-30',
  }
  return JSON.stringify(document, null, 2)
}

/** What the instance acts as; of credentials, those that were made for this very role. */
function profileIn(
  view: View,
  { id, state }: InstanceRecord,
  openRole: OpenRole,
): { profile?: MessageInitShape<typeof InstanceProfileSchema> } {
  const found = profileOf(view, id)
  if (found === null) return {}
  const { association, profile, role } = found
  const kept = view.get('instance-credentials', id)
  const own = kept !== null && kept.role === role?.id && state !== 'terminated' ? kept : null
  return {
    profile: {
      arn: arnOf('iam-profile', profile),
      id: profile.id,
      role: role?.name ?? '',
      associatedAtMs: BigInt(association.atMs),
      untrusted: role !== null && !trustsEc2(role),
      ...(own !== null && {
        credentials: {
          accessKeyId: own.accessKeyId,
          ...openRole(own),
          issuedAtMs: BigInt(own.issuedAtMs),
          expiresAtMs: BigInt(own.expiresAtMs),
        },
      }),
    },
  }
}

function cardOf(
  view: View,
  region: string,
  card: InterfaceRecord,
): MessageInitShape<typeof MetadataInterfaceSchema> {
  const subnet = view.get('subnet', card.subnet)
  const vpc = view.get('vpc', card.vpc)
  const publicOnes = view
    .by('address', 'interface', card.id)
    .toSorted((a, b) => rankOf(card, a.privateIp) - rankOf(card, b.privateIp))
  const domain = subnet === null ? '' : `.${domainOf(view, region, subnet).split(' ')[0]}`
  return {
    interfaceId: card.id,
    mac: card.mac,
    deviceNumber: card.deviceIndex,
    localHostname: `${card.hostname}${domain}`,
    localIpv4s: [card.ipv4, ...card.ipv4More].filter((address) => address !== ''),
    ipv6s: [card.ipv6, ...card.ipv6More].filter((address) => address !== ''),
    publicIpv4s: publicOnes.map((address) => address.publicIp),
    publicIpv4Locals: publicOnes.map((address) => address.privateIp),
    subnetId: card.subnet,
    subnetIpv4Cidr: subnet?.ipv4Cidr ?? '',
    subnetIpv6Cidr: subnet?.ipv6Cidr ?? '',
    vpcId: card.vpc,
    vpcIpv4Cidrs: [...(vpc?.ipv4Cidrs ?? [])],
    vpcIpv6Cidrs: [...(vpc?.ipv6Cidrs ?? [])],
    securityGroupNames: groupNames(view, card),
    securityGroupIds: [...card.securityGroups],
    ownerId: card.account,
  }
}

/** The public address of the primary private one comes first. */
function rankOf(card: InterfaceRecord, privateIp: string): number {
  return privateIp === card.ipv4 ? -1 : card.ipv4More.indexOf(privateIp)
}

function groupNames(view: View, card: InterfaceRecord): string[] {
  return card.securityGroups.map((id) => view.get('security-group', id)?.name ?? id)
}
