// How many calls of an action an account may make: AWS's token buckets ("Request throttling for the
// Amazon EC2 API" of the developer guide, "IAM and AWS STS quotas"). Pure. Where AWS says nothing,
// the figures are ours; docs/throttling.md tells which.

import type { AnyService } from '../aws/model.ts'

/** A bucket: how many tokens it holds, how many come back in a second. */
export interface Rate {
  readonly capacity: number
  readonly perSecond: number
}

/** What a call takes from one bucket of its account. */
export interface Charge {
  /** Which bucket: calls that share it name the same one. */
  readonly bucket: string
  readonly rate: Rate
  readonly tokens: number
  /** Of requests, or of what they make or change. */
  readonly of: 'request' | 'resource'
}

interface Asked {
  readonly service: AnyService
  readonly operation: string
  /** Decoded, as the SDK types it. */
  readonly input: object
}

/** The parts of inputs that say how much is asked for. */
interface Sizes {
  readonly MaxResults?: number
  readonly NextToken?: string
  readonly MaxCount?: number
  readonly InstanceIds?: readonly string[]
}

const READS = /^(?:Describe|Get|List|Search)/
const READ = rate(100, 20)
const READ_ALL = rate(50, 10)
const WRITE = rate(50, 5)
/** S3's figures for one prefix of a bucket ("Best practices design patterns" of its user guide). */
const S3_READ = rate(5_500, 5_500)
const S3_WRITE = rate(3_500, 3_500)
const S3_MANAGES = /^(?:Create|Delete|Put)Bucket|PublicAccessBlock$|^(?:Tag|Untag)Resource$/
/** "Amazon EBS endpoints and quotas" of the general reference: an account's, per second. */
const EBS_RATES: ReadonlyMap<string, Rate> = new Map([
  ['GetSnapshotBlock', rate(1_000, 1_000)],
  ['PutSnapshotBlock', rate(1_000, 1_000)],
  ['ListSnapshotBlocks', rate(50, 50)],
  ['ListChangedBlocks', rate(50, 50)],
  ['StartSnapshot', rate(10, 10)],
  ['CompleteSnapshot', rate(10, 10)],
])
/** All actions of STS together. */
const STS = rate(600, 600)

/** Reads that take from a smaller bucket when they ask for everything at once. */
const SMALLER_WHEN_UNFILTERED: ReadonlySet<string> = new Set([
  ...['DescribeInstances', 'DescribeInstanceStatus', 'DescribeNetworkInterfaces'],
  ...['DescribeSecurityGroups', 'DescribeSnapshots', 'DescribeSpotInstanceRequests'],
  'DescribeVolumes',
])

const RESOURCES: ReadonlyMap<string, Rate> = new Map([
  ['RunInstances', rate(1000, 2)],
  ['StartInstances', rate(1000, 2)],
  ['StopInstances', rate(1000, 20)],
  ['TerminateInstances', rate(1000, 20)],
])

/** EC2's "uncategorized" actions: buckets of their own size. Others are as READ or WRITE says. */
export const EC2_RATES: ReadonlyMap<string, Rate> = new Map(
  Object.entries({
    '1 0.1': `AdvertiseByoipCidr DeprovisionByoipCidr DisableImageBlockPublicAccess
      DisableSnapshotBlockPublicAccess EnableImageBlockPublicAccess
      EnableSnapshotBlockPublicAccess ProvisionByoipCidr WithdrawByoipCidr`,
    '1 0.5': `AssociateCapacityReservationBillingOwner DescribeByoipCidrs
      DisassociateCapacityReservationBillingOwner`,
    '1 1': `CancelDeclarativePoliciesReport CreateDefaultSubnet CreateDefaultVpc
      DescribeInstanceTopology DescribeMovingAddresses MoveAddressToVpc RestoreAddressToClassic
      StartDeclarativePoliciesReport`,
    '2 2': 'ModifyInstanceMetadataDefaults',
    '4 0.3': 'CreateVpcEndpoint DeleteVpcEndpoints ModifyVpcEndpoint',
    '5 1': `CreateCoipCidr CreateCoipPool CreateSubnetCidrReservation DeleteCoipCidr DeleteCoipPool
      DeleteSubnetCidrReservation`,
    '5 2': `AuthorizeClientVpnIngress CreateClientVpnRoute DeleteClientVpnRoute
      DescribeHostReservationOfferings DescribeHostReservations DisableFastLaunch EnableFastLaunch
      GetHostReservationPurchasePreview PurchaseHostReservation RevokeClientVpnIngress RunInstances
      StartInstances`,
    '5 5': `DeleteQueuedReservedInstances DescribeDeclarativePoliciesReports
      GetDeclarativePoliciesReportSummary PurchaseReservedInstancesOffering`,
    '10 0.15': `DescribeCapacityBlockExtensionOfferings DescribeCapacityBlockOfferings
      PurchaseCapacityBlock PurchaseCapacityBlockExtension`,
    '10 1': `AcceptVpcEndpointConnections AssignPrivateNatGatewayAddress
      AssociateEnclaveCertificateIamRole AssociateNatGatewayAddress CreateNatGateway
      CreateVpcEndpointServiceConfiguration DeleteNatGateway DeleteVpcEndpointServiceConfigurations
      DisassociateEnclaveCertificateIamRole DisassociateNatGatewayAddress
      GetAssociatedEnclaveCertificateIamRoles ModifyVpcEndpointServiceConfiguration
      RejectVpcEndpointConnections UnassignPrivateNatGatewayAddress`,
    '10 2': `AttachVerifiedAccessTrustProvider CreateVerifiedAccessGroup
      CreateVerifiedAccessInstance CreateVerifiedAccessTrustProvider DeleteVerifiedAccessGroup
      DeleteVerifiedAccessInstance DeleteVerifiedAccessTrustProvider
      DescribeVerifiedAccessInstanceLoggingConfigurations DetachVerifiedAccessTrustProvider
      ModifyVerifiedAccessGroup ModifyVerifiedAccessInstance
      ModifyVerifiedAccessInstanceLoggingConfiguration ModifyVerifiedAccessTrustProvider`,
    '10 10': `DescribeAggregateIdFormat DescribeIdFormat DescribeIdentityIdFormat
      DescribePrincipalIdFormat DescribeReservedInstancesOfferings`,
    '20 4': `CreateVerifiedAccessEndpoint DeleteVerifiedAccessEndpoint ModifyVerifiedAccessEndpoint
      ModifyVerifiedAccessEndpointPolicy ModifyVerifiedAccessGroupPolicy`,
    '20 5': 'DescribeSecurityGroupReferences DescribeStaleSecurityGroups',
    '50 0.1': 'CreateRestoreImageTask CreateStoreImageTask',
    '50 0.5': 'DescribeStoreImageTasks',
    '50 3': `CreateSpotDatafeedSubscription DeleteSpotDatafeedSubscription
      DescribeSpotFleetRequests`,
    '100 1': 'CopyImage',
    '100 5': `AssignIpv6Addresses AssignPrivateIpAddresses AssociateIamInstanceProfile
      CreateLaunchTemplateVersion CreateNetworkInterface CreateSnapshot CreateSnapshots CreateVolume
      DeleteNetworkInterface DeleteSnapshot DeleteVolume DeregisterImage
      DescribeSpotFleetInstances DescribeSpotFleetRequestHistory DisassociateIamInstanceProfile
      ModifyImageAttribute ModifyInstanceMetadataOptions ModifyLaunchTemplate
      ModifyNetworkInterfaceAttribute ModifySnapshotAttribute TerminateInstances
      UnassignPrivateIpAddresses`,
    '100 10': 'CreateTags DeleteTags',
    '100 13': 'DescribeSpotDatafeedSubscription',
  }).flatMap(([size, names]) => {
    const [capacity = 0, perSecond = 0] = size.split(' ').map(Number)
    return names.split(/\s+/).map((name) => [name, rate(capacity, perSecond)] as const)
  }),
)

/** What the call takes: one request, and for those that start or end instances, each of these. */
export function chargesOf({ service, operation, input }: Asked): readonly Charge[] {
  if (service === 'sts') return [request(service, STS)]
  if (service === 's3') return [s3Charge(operation)]
  const bucket = `${service}:${operation}`
  const own = service === 'ebs' ? EBS_RATES.get(operation) : undefined
  if (own !== undefined) return [request(bucket, own)]
  const usual = READS.test(operation) ? READ : WRITE
  if (service !== 'ec2') return [request(bucket, usual)]
  if (SMALLER_WHEN_UNFILTERED.has(operation) && asksForAll(input)) {
    return [request(`${bucket}:all`, READ_ALL)]
  }
  const one = request(bucket, EC2_RATES.get(operation) ?? usual)
  const each = RESOURCES.get(operation)
  if (each === undefined) return [one]
  const tokens = instancesIn(input)
  return [one, { bucket: `${bucket}:resources`, rate: each, tokens, of: 'resource' }]
}

function s3Charge(operation: string): Charge {
  if (/^(?:Get|Head|List)/.test(operation)) return request('s3:read', S3_READ)
  return S3_MANAGES.test(operation) ? request('s3:manage', WRITE) : request('s3:write', S3_WRITE)
}

// AWS names filters and pages; that ids and owners narrow it as well is our reading.
function asksForAll(input: object): boolean {
  const { MaxResults, NextToken } = input as Sizes
  const lists = Object.values(input).filter((value) => Array.isArray(value) && value.length > 0)
  return MaxResults === undefined && NextToken === undefined && lists.length === 0
}

function instancesIn(input: object): number {
  const { MaxCount, InstanceIds } = input as Sizes
  return Math.max(1, MaxCount ?? InstanceIds?.length ?? 1)
}

function request(bucket: string, rate: Rate): Charge {
  return { bucket, rate, tokens: 1, of: 'request' }
}

function rate(capacity: number, perSecond: number): Rate {
  return { capacity, perSecond }
}
