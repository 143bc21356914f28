// All EC2 actions that this cloud answers. What is not here answers UnsupportedOperation.

import type { RandomHex } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import type { Ec2Handlers } from '../aws/handlers.ts'
import { volumeAttachmentHandlers } from '../ebs/attachments.ts'
import type { SnapshotHolds } from '../ebs/chunks/snapshot-bytes.ts'
import { createImageHandler } from '../ebs/create-image.ts'
import { encryptionDefaultHandlers } from '../ebs/encryption-default.ts'
import { importSnapshotHandlers } from '../ebs/import-snapshot.ts'
import { modifyVolumeHandlers } from '../ebs/modify-volume.ts'
import { snapshotHandlers } from '../ebs/snapshot-handlers.ts'
import { volumeStatusHandlers } from '../ebs/volume-status.ts'
import { volumeHandlers } from '../ebs/volumes.ts'
import type { Sealer } from '../secrets.ts'
import type { State } from '../store/state.ts'
import { accountAnswerHandlers } from './account-answers.ts'
import { accountHandlers } from './account-attributes.ts'
import { associationHandlers } from './address-associations.ts'
import { addressHandlers } from './addresses.ts'
import { copyImageHandler } from './copy-image.ts'
import { createVpcHandlers } from './create-vpc.ts'
import { customerGatewayHandlers } from './customer-gateways.ts'
import { describeAddressHandlers } from './describe-addresses.ts'
import { instanceTypeHandlers } from './describe-instance-types.ts'
import { describeInstanceHandlers } from './describe-instances.ts'
import { describeNatGatewayHandlers } from './describe-nat-gateways.ts'
import { describePeeringHandlers } from './describe-peerings.ts'
import { describeSubnetHandlers } from './describe-subnets.ts'
import { dhcpOptionsHandlers } from './dhcp-options.ts'
import { egressOnlyGatewayHandlers } from './egress-only-gateways.ts'
import { fleetHandlers } from './fleets.ts'
import { groupRuleHandlers } from './group-rule-actions.ts'
import { groupRuleQueryHandlers } from './group-rule-queries.ts'
import { type AskGuest, guestHandlers, noGuest } from './guest-actions.ts'
import { imageAttributeHandlers } from './image-attributes.ts'
import { imageHandlers } from './images.ts'
import { type FindObject, importImageHandler } from './import-image.ts'
import { importTaskHandlers } from './import-tasks.ts'
import { insightsAnalysisHandlers } from './insights-analyses.ts'
import { insightsPathHandlers } from './insights-paths.ts'
import { type ConsoleOutput, instanceActionHandlers } from './instance-actions.ts'
import { instanceAttributeHandlers } from './instance-attributes.ts'
import { instanceCreditHandlers } from './instance-credits.ts'
import { instanceOptionHandlers } from './instance-options.ts'
import { instancePowerHandlers } from './instance-power.ts'
import { instanceStatusHandlers } from './instance-status.ts'
import { interfaceAddressHandlers } from './interface-addresses.ts'
import { attachmentHandlers } from './interface-attachments.ts'
import { interfaceAttributeHandlers } from './interface-attributes.ts'
import { interfaceHandlers } from './interfaces.ts'
import { internetGatewayHandlers } from './internet-gateways.ts'
import { ipamHandlers } from './ipam.ts'
import { keyPairHandlers } from './key-pairs.ts'
import { launchTemplateDataHandler } from './launch-template-launch.ts'
import { launchTemplateVersionHandlers } from './launch-template-versions.ts'
import { launchTemplateHandlers } from './launch-templates.ts'
import { metadataHandlers } from './metadata-options.ts'
import { modifyInstanceHandlers } from './modify-instance-attribute.ts'
import { modifyVpnHandlers } from './modify-vpn-connections.ts'
import { natGatewayHandlers } from './nat-gateways.ts'
import { networkAclHandlers } from './network-acls.ts'
import { nothingThereHandlers } from './nothing-there.ts'
import { peeringHandlers } from './peerings.ts'
import { placementGroupHandlers } from './placement-groups.ts'
import { prefixListQueryHandlers } from './prefix-list-queries.ts'
import { prefixListHandlers } from './prefix-lists.ts'
import { profileAssociationHandlers } from './profile-associations.ts'
import { publicPoolHandlers } from './public-pools.ts'
import { registerImageHandler, type TakeObject } from './register-image.ts'
import { routePropagationHandlers } from './route-propagation.ts'
import { routeAssociationHandlers } from './route-table-associations.ts'
import { routeTableHandlers } from './route-tables.ts'
import { routeHandlers } from './routes.ts'
import { runInstancesHandler } from './run-instances.ts'
import { securityGroupHandlers } from './security-groups.ts'
import { serialAccessHandlers } from './serial-access.ts'
import { spotHandlers } from './spot.ts'
import { subnetAttributeHandlers } from './subnet-attributes.ts'
import { subnetHandlers } from './subnets.ts'
import { tagHandlers } from './tags.ts'
import { vpcAssociationHandlers } from './vpc-associations.ts'
import { vpcAttributeHandlers } from './vpc-attributes.ts'
import { vpcHandlers } from './vpcs.ts'
import { vpnConnectionRouteHandlers } from './vpn-connection-routes.ts'
import { vpnConnectionHandlers } from './vpn-connections.ts'
import { vpnDeviceHandlers } from './vpn-devices.ts'
import { vpnGatewayHandlers } from './vpn-gateways.ts'
import { zoneHandlers } from './zones.ts'

/** EC2 API reference, ModifyVolume. */
const MODIFICATION_MS = 6 * 3_600_000

export interface Ec2Parts {
  readonly state: State
  readonly randomHex: RandomHex
  readonly sealer: Sealer
  readonly region: string
  /** `host[:port]` at which users reach the API, for DescribeRegions; left out when not known. */
  readonly endpoint?: string | undefined
  readonly consoleOutput: ConsoleOutput
  /** Absent: there are no objects. */
  readonly takeObject?: TakeObject
  readonly findObject?: FindObject
  /** Between two modifications of a volume; absent: as long as on AWS. */
  readonly volumeModificationMs?: number
  /** As chooseVolumePlace has it. */
  readonly overcommit?: number | undefined
  /** Absent: no bytes of snapshots are kept. */
  readonly snapshotHolds?: SnapshotHolds
  /** How long the answer waits for a snapshot's moment, in milliseconds; absent: not at all. */
  readonly takenWithinMs?: number
  /** Absent: no guest can be asked. */
  readonly askGuest?: AskGuest
}

const NO_HOLDS: SnapshotHolds = {
  holdManifest: async () => {
    throw new MalleeError('Unavailable', 'no bytes of snapshots are kept here')
  },
  dropManifest: async () => undefined,
}

export function ec2Handlers({
  state,
  randomHex,
  sealer,
  region,
  endpoint,
  consoleOutput,
  askGuest = noGuest,
  snapshotHolds = NO_HOLDS,
  takenWithinMs = 0,
  takeObject = async () => null,
  findObject = async () => null,
  volumeModificationMs = MODIFICATION_MS,
  overcommit,
}: Ec2Parts): Ec2Handlers {
  return {
    ...zoneHandlers({ state, region, endpoint }),
    ...nothingThereHandlers(),
    ...accountAnswerHandlers({ state }),
    ...accountHandlers({ state }),
    ...instanceTypeHandlers({ state, region }),
    ...imageAttributeHandlers({ state }),
    ...copyImageHandler({ state, randomHex, sealer, region, holds: snapshotHolds }),
    ...createImageHandler({ state, randomHex, sealer, takenWithinMs }),
    ...imageHandlers({ state, randomHex }),
    ...registerImageHandler({ state, randomHex, takeObject }),
    ...importImageHandler({ state, randomHex, findObject }),
    ...importTaskHandlers({ state }),
    ...importSnapshotHandlers({ state, randomHex, findObject }),
    ...insightsAnalysisHandlers({ state, randomHex, region }),
    ...insightsPathHandlers({ state, randomHex, region }),
    ...ipamHandlers({ state, region }),
    ...vpcHandlers({ state, region }),
    ...createVpcHandlers({ state, randomHex, region }),
    ...describeSubnetHandlers({ state, region }),
    ...vpcAttributeHandlers({ state }),
    ...vpcAssociationHandlers({ state, randomHex, region }),
    ...dhcpOptionsHandlers({ state, randomHex }),
    ...subnetAttributeHandlers({ state }),
    ...subnetHandlers({ state, randomHex, region }),
    ...securityGroupHandlers({ state, randomHex, region }),
    ...groupRuleHandlers({ state, randomHex, region }),
    ...groupRuleQueryHandlers({ state, region }),
    ...prefixListHandlers({ state, randomHex, region }),
    ...prefixListQueryHandlers({ state, region }),
    ...networkAclHandlers({ state, randomHex, region }),
    RunInstances: runInstancesHandler({ state, randomHex, sealer, region, overcommit }),
    ...fleetHandlers({ state, randomHex, sealer, region, overcommit }),
    ...spotHandlers({ state, region }),
    ...placementGroupHandlers({ state, randomHex, region }),
    ...launchTemplateHandlers({ state, randomHex }),
    ...launchTemplateVersionHandlers({ state }),
    ...launchTemplateDataHandler({ state, region }),
    ...describeInstanceHandlers({ state, region }),
    ...instanceStatusHandlers({ state, region }),
    ...instanceActionHandlers({ state, region, consoleOutput }),
    ...instancePowerHandlers({ state, randomHex, sealer }),
    ...serialAccessHandlers({ state }),
    ...guestHandlers({ state, region, askGuest }),
    ...instanceAttributeHandlers({ state }),
    ...modifyInstanceHandlers({ state }),
    ...instanceOptionHandlers({ state }),
    ...instanceCreditHandlers({ state }),
    ...interfaceHandlers({ state, randomHex, region }),
    ...interfaceAddressHandlers({ state, randomHex, region }),
    ...interfaceAttributeHandlers({ state, randomHex, region }),
    ...attachmentHandlers({ state, randomHex, region }),
    ...metadataHandlers({ state }),
    ...profileAssociationHandlers({ state, randomHex }),
    ...keyPairHandlers({ state, randomHex }),
    ...internetGatewayHandlers({ state, randomHex, region }),
    ...egressOnlyGatewayHandlers({ state, randomHex, region }),
    ...routeTableHandlers({ state, randomHex, region }),
    ...routeAssociationHandlers({ state, randomHex, region }),
    ...routeHandlers({ state, randomHex, region }),
    ...routePropagationHandlers({ state }),
    ...customerGatewayHandlers({ state, randomHex, region }),
    ...vpnGatewayHandlers({ state, randomHex, region }),
    ...natGatewayHandlers({ state, randomHex, region }),
    ...describeNatGatewayHandlers({ state }),
    ...peeringHandlers({ state, randomHex, region }),
    ...describePeeringHandlers({ state, region }),
    ...vpnConnectionHandlers({ state, randomHex, sealer, region }),
    ...modifyVpnHandlers({ state, randomHex, sealer, region }),
    ...vpnConnectionRouteHandlers({ state }),
    ...vpnDeviceHandlers({ state, sealer }),
    ...publicPoolHandlers({ state, region }),
    ...addressHandlers({ state, randomHex, region }),
    ...associationHandlers({ state, randomHex, region }),
    ...describeAddressHandlers({ state, region }),
    ...volumeAttachmentHandlers({ state, randomHex, sealer }),
    ...volumeHandlers({ state, randomHex, sealer, region, overcommit }),
    ...volumeStatusHandlers({ state, region }),
    ...modifyVolumeHandlers({ state, overcommit, waitMs: volumeModificationMs }),
    ...encryptionDefaultHandlers({ state }),
    ...snapshotHandlers({
      ...{ state, randomHex, sealer, region, takenWithinMs },
      holds: snapshotHolds,
    }),
    ...tagHandlers({ state }),
  }
}
