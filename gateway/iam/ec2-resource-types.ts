// Which resources a call to EC2 is about, action by action, as AWS documents it (Service
// Authorization Reference, "Actions, resources, and condition keys for Amazon EC2").

export interface ResourceUse {
  /** As ARNs call it: `network-interface`. */
  readonly type: string
  /** Without it in the request, policies must allow all of its type: what is made has no id yet. */
  readonly required: boolean
}

/**
 * Types of resources and the actions that are about these; a star is for a type that is always
 * checked. Types that this cloud has not got are left out. `-`: no resources, policies see `*`.
 */
const TABLE = `
  customer-gateway*:
    CreateCustomerGateway DeleteCustomerGateway
  customer-gateway vpn-connection* vpn-gateway:
    ModifyVpnConnection
  customer-gateway* vpn-connection* vpn-gateway:
    CreateVpnConnection
  dhcp-options*:
    CreateDhcpOptions DeleteDhcpOptions
  dhcp-options* vpc*:
    AssociateDhcpOptions
  egress-only-internet-gateway*:
    DeleteEgressOnlyInternetGateway
  egress-only-internet-gateway* vpc*:
    CreateEgressOnlyInternetGateway
  elastic-ip:
    ReleaseAddress
  elastic-ip instance network-interface:
    AssociateAddress
  elastic-ip natgateway* subnet vpc:
    CreateNatGateway
  elastic-ip network-interface:
    DisassociateAddress
  elastic-ip*:
    AcceptAddressTransfer AllocateAddress DisableAddressTransfer EnableAddressTransfer
    ModifyAddressAttribute ResetAddressAttribute
  elastic-ip* natgateway*:
    AssociateNatGatewayAddress
  elastic-ip* natgateway* network-interface:
    DisassociateNatGatewayAddress
  fleet*:
    DeleteFleets DescribeFleetHistory DescribeFleetInstances
  fleet* image instance* launch-template placement-group subnet volume:
    CreateFleet
  fleet* image launch-template subnet:
    ModifyFleet
  image key-pair network-interface placement-group security-group spot-instances-request* subnet:
    RequestSpotInstances
  image*:
    AttachImageWatermark CancelImageLaunchPermission CreateRestoreImageTask
    CreateStoreImageTask DeregisterImage DescribeImageAttribute DetachImageWatermark
    DisableFastLaunch DisableImage DisableImageDeprecation
    DisableImageDeregistrationProtection EnableImage EnableImageDeprecation
    EnableImageDeregistrationProtection GetImageAncestry ModifyImageAttribute
    ResetImageAttribute RestoreImageFromRecycleBin
  image* instance* snapshot*:
    CreateImage
  image* launch-template:
    EnableFastLaunch
  image* snapshot:
    RegisterImage
  image* import-image-task* snapshot:
    ImportImage
  image* snapshot*:
    CopyImage
  import-image-task:
    CancelImportTask
  import-snapshot-task* snapshot*:
    ImportSnapshot
  instance:
    DisableApplicationStatusCheckSuppression EnableApplicationStatusCheckSuppression
  instance internet-gateway network-insights-path* network-interface vpc-peering-connection:
    CreateNetworkInsightsPath
  instance network-interface* security-group subnet:
    ModifyNetworkInterfaceAttribute
  instance volume*:
    DetachVolume PauseVolumeIO
  instance*:
    AssociateIamInstanceProfile DescribeInstanceAttribute
    DisableInstanceSqlHaStandbyDetections DisassociateIamInstanceProfile
    EnableInstanceSqlHaStandbyDetections GetConsoleOutput GetConsoleScreenshot
    GetInstanceTpmEkPub GetInstanceUefiData GetLaunchTemplateData GetPasswordData
    ModifyInstanceCapacityReservationAttributes ModifyInstanceCpuOptions
    ModifyInstanceCreditSpecification ModifyInstanceEventStartTime
    ModifyInstanceMaintenanceOptions ModifyInstanceMetadataOptions
    ModifyInstanceNetworkPerformanceOptions ModifyPrivateDnsNameOptions MonitorInstances
    RebootInstances ReplaceIamInstanceProfileAssociation ReportInstanceStatus
    ResetInstanceAttribute SendDiagnosticInterrupt SendSpotInstanceInterruptions
    StartInstances StopInstances TerminateInstances UnmonitorInstances
  instance* network-interface*:
    AttachNetworkInterface DetachNetworkInterface
  instance* placement-group:
    ModifyInstancePlacement
  instance* security-group subnet volume*:
    ImportInstance
  instance* security-group volume:
    ModifyInstanceAttribute
  instance* security-group* vpc*:
    AttachClassicLinkVpc
  instance* snapshot* volume*:
    CreateSnapshots
  instance* volume*:
    AttachVolume
  instance* vpc*:
    DetachClassicLinkVpc
  internet-gateway route-table subnet:
    DisassociateRouteTable
  internet-gateway route-table* subnet:
    AssociateRouteTable ReplaceRouteTableAssociation
  internet-gateway*:
    CreateInternetGateway DeleteInternetGateway
  internet-gateway* vpc*:
    AttachInternetGateway DetachInternetGateway
  ipam-pool*:
    GetIpamPoolAllocations GetIpamPoolCidrs
  key-pair:
    DeleteKeyPair
  key-pair*:
    CreateKeyPair ImportKeyPair
  launch-template*:
    CreateLaunchTemplate CreateLaunchTemplateVersion DeleteLaunchTemplate
    DeleteLaunchTemplateVersions ModifyLaunchTemplate
  natgateway*:
    AssignPrivateNatGatewayAddress AttachApplianceToNatGateway DeleteNatGateway
    DetachApplianceFromNatGateway UnassignPrivateNatGatewayAddress
  network-acl*:
    CreateNetworkAclEntry DeleteNetworkAcl DeleteNetworkAclEntry ReplaceNetworkAclEntry
  network-acl* subnet*:
    ReplaceNetworkAclAssociation
  network-acl* vpc*:
    CreateNetworkAcl
  network-insights-analysis*:
    DeleteNetworkInsightsAnalysis
  network-insights-analysis* network-insights-path*:
    StartNetworkInsightsAnalysis
  network-insights-path*:
    DeleteNetworkInsightsPath
  network-interface:
    DeleteNetworkInterfacePermission
  network-interface*:
    AssignIpv6Addresses AssignPrivateIpAddresses CreateNetworkInterfacePermission
    DeleteNetworkInterface ModifyPublicIpDnsNameOptions ResetNetworkInterfaceAttribute
    UnassignIpv6Addresses UnassignPrivateIpAddresses
  network-interface* security-group subnet*:
    CreateNetworkInterface
  placement-group:
    DeleteResourcePolicy GetResourcePolicy PutResourcePolicy
  placement-group*:
    AttachResourcesToPlacementGroup CreatePlacementGroup DeletePlacementGroup
    DetachResourcesFromPlacementGroup
  prefix-list security-group* security-group-rule*:
    ModifySecurityGroupRules
  prefix-list*:
    CreateManagedPrefixList DeleteManagedPrefixList GetManagedPrefixListAssociations
    GetManagedPrefixListEntries ModifyManagedPrefixList RestoreManagedPrefixListVersion
  route-table security-group subnet vpc* vpc-endpoint*:
    CreateVpcEndpoint
  route-table security-group subnet vpc-endpoint*:
    ModifyVpcEndpoint
  route-table*:
    CreateRoute DeleteRoute DeleteRouteTable ReplaceRoute
  route-table* vpc*:
    CreateRouteTable
  route-table* vpn-gateway*:
    DisableVgwRoutePropagation EnableVgwRoutePropagation
  security-group*:
    DeleteSecurityGroup DescribeSecurityGroupReferences RevokeSecurityGroupEgress
    RevokeSecurityGroupIngress UpdateSecurityGroupRuleDescriptionsEgress
    UpdateSecurityGroupRuleDescriptionsIngress
  security-group* security-group-rule:
    AuthorizeSecurityGroupEgress AuthorizeSecurityGroupIngress
  security-group* vpc:
    CreateSecurityGroup DisassociateSecurityGroupVpc
  security-group* vpc*:
    AssociateSecurityGroupVpc
  snapshot volume*:
    CreateVolume
  snapshot*:
    CopySnapshot DeleteSnapshot DescribeSnapshotAttribute DisableFastSnapshotRestores
    EnableFastSnapshotRestores LockSnapshot ModifySnapshotAttribute ModifySnapshotTier
    ResetSnapshotAttribute RestoreSnapshotFromRecycleBin RestoreSnapshotTier UnlockSnapshot
  snapshot* volume*:
    CreateSnapshot
  spot-instances-request*:
    CancelSpotInstanceRequests
  subnet*:
    AssociateSubnetCidrBlock CreateSubnetCidrReservation DeleteSubnet
    DisassociateSubnetCidrBlock ModifySubnetAttribute
  subnet* vpc*:
    CreateSubnet
  volume*:
    CopyVolumes DeleteVolume DescribeVolumeAttribute EnableVolumeIO ImportVolume
    InjectVolumeIOLatency ModifyVolume ModifyVolumeAttribute RestoreVolumeFromRecycleBin
  vpc:
    DisableVpcClassicLinkDnsSupport DisassociateVpcCidrBlock EnableVpcClassicLinkDnsSupport
  vpc*:
    AssociateVpcCidrBlock CreateVpc DeleteVpc DescribeVpcAttribute DisableVpcClassicLink
    EnableVpcClassicLink GetSecurityGroupsForVpc
    GetVpcResourcesBlockingEncryptionEnforcement ModifyVpcAttribute ModifyVpcTenancy
  vpc* vpn-gateway*:
    AttachVpnGateway DetachVpnGateway
  vpc* vpc-peering-connection*:
    AcceptVpcPeeringConnection CreateVpcPeeringConnection
  vpc-endpoint:
    CreateVpcEndpointConnectionNotification DeleteVpcEndpointConnectionNotifications
    ModifyVpcEndpointConnectionNotification
  vpc-endpoint*:
    DeleteVpcEndpoints
  vpn-gateway*:
    CreateVpnGateway DeleteVpnGateway
  vpc-peering-connection*:
    DeleteVpcPeeringConnection ModifyVpcPeeringConnectionOptions RejectVpcPeeringConnection
  vpn-connection*:
    CreateVpnConnectionRoute DeleteVpnConnection DeleteVpnConnectionRoute
    GetActiveVpnTunnelStatus ModifyVpnConnectionOptions ModifyVpnTunnelOptions
  vpn-connection* vpn-connection-device-type*:
    GetVpnConnectionDeviceSampleConfiguration
  -:
    AssociateTrunkInterface BundleInstance CancelBundleTask CancelConversionTask
    CancelReservedInstancesListing ConfirmProductInstance CreateDefaultSubnet
    CreateDefaultVpc CreateReservedInstancesListing CreateSpotDatafeedSubscription
    DeleteSpotDatafeedSubscription DeleteSubnetCidrReservation
    DeregisterInstanceEventNotificationAttributes DisableAllowedImagesSettings
    DisableAwsNetworkPerformanceMetricSubscription DisableEbsEncryptionByDefault
    DisableImageBlockPublicAccess DisableSerialConsoleAccess
    DisableSnapshotBlockPublicAccess DisassociateTrunkInterface EnableAllowedImagesSettings
    EnableAwsNetworkPerformanceMetricSubscription EnableEbsEncryptionByDefault
    EnableImageBlockPublicAccess EnableReachabilityAnalyzerOrganizationSharing
    EnableSerialConsoleAccess EnableSnapshotBlockPublicAccess GetAllowedImagesSettings
    GetAwsNetworkPerformanceData GetDefaultCreditSpecification GetEbsDefaultKmsKeyId
    GetEbsEncryptionByDefault GetHostReservationPurchasePreview
    GetImageBlockPublicAccessState GetInstanceMetadataDefaults
    GetInstanceTypesFromInstanceRequirements GetManagedResourceVisibility
    GetSerialConsoleAccessStatus GetSnapshotBlockPublicAccessState GetSpotPlacementScores
    GetSubnetCidrReservations GetVpnConnectionDeviceTypes ListImagesInRecycleBin
    ListSnapshotsInRecycleBin ListVolumesInRecycleBin ModifyAvailabilityZoneGroup
    ModifyDefaultCreditSpecification ModifyEbsDefaultKmsKeyId ModifyIdFormat
    ModifyIdentityIdFormat ModifyInstanceMetadataDefaults ModifyManagedResourceVisibility
    ModifyVpcBlockPublicAccessOptions MoveAddressToVpc PurchaseReservedInstancesOffering
    PurchaseScheduledInstances RegisterInstanceEventNotificationAttributes
    ReplaceImageCriteriaInAllowedImagesSettings ResetEbsDefaultKmsKeyId RestoreAddressToClassic
    RunScheduledInstances
`

/** More than a line of the table can say. */
const OWN: ReadonlySet<string> = new Set(['CreateTags', 'DeleteTags', 'RunInstances'])

const USES = readTable(TABLE)

/** What the action is about; `own` when code says; null for an action that is not written down. */
export function resourceUses(action: string): readonly ResourceUse[] | 'own' | null {
  if (OWN.has(action)) return 'own'
  const uses = USES.get(action)
  if (uses !== undefined) return uses
  return action.startsWith('Describe') ? [] : null
}

function readTable(table: string): ReadonlyMap<string, readonly ResourceUse[]> {
  const found = new Map<string, readonly ResourceUse[]>()
  for (const [, types = '', actions = ''] of table.matchAll(/^ {2}(\S.*):\n((?: {4}.*\n)+)/gm)) {
    const uses = types === '-' ? [] : types.split(' ').map(useOf)
    for (const action of actions.trim().split(/\s+/)) found.set(action, uses)
  }
  return found
}

function useOf(word: string): ResourceUse {
  return word.endsWith('*')
    ? { type: word.slice(0, -1), required: true }
    : { type: word, required: false }
}
