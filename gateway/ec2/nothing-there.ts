// Describe actions of things that nobody can make in this cloud: there are none, an id is nobody's,
// and the parameters are checked as for anything else. What would make one is UnsupportedOperation.

import type { Filter } from '@aws-sdk/client-ec2'
import { ApiError } from '../aws/api-error.ts'
import type { CallContext, Ec2Handlers } from '../aws/handlers.ts'
import { absent, matching } from './filters.ts'
import { endDryRun } from './input.ts'
import { pageOf } from './paging.ts'

interface Nothing {
  /** Member of the answer that lists them. */
  readonly list: string
  /** Member of the request that names some, and AWS's code for an unknown one. */
  readonly ids?: readonly [member: string, notFound: string]
  /** As the API reference of the action has them, but for `tag:KEY` and `tag-key`. */
  readonly filters: readonly string[]
  readonly tagged?: true
}

type Asked = Readonly<Record<string, unknown>> & {
  readonly DryRun?: boolean
  readonly MaxResults?: number
  readonly NextToken?: string
  readonly Filters?: Filter[]
  readonly Filter?: Filter[]
}

const ATTACHMENT = ['state', 'transit-gateway-attachment-id', 'transit-gateway-id']

export const NOTHING_THERE = {
  DescribeBundleTasks: {
    list: 'BundleTasks',
    ids: ['BundleIds', 'InvalidBundleID.NotFound'],
    filters: ['bundle-id', 'error-code', 'instance-id', 'progress', 's3-bucket', 'state'],
  },
  DescribeCapacityReservations: {
    list: 'CapacityReservations',
    ids: ['CapacityReservationIds', 'InvalidCapacityReservationId.NotFound'],
    filters: [
      ...['availability-zone', 'availability-zone-id', 'capacity-reservation-arn', 'end-date'],
      ...['end-date-type', 'instance-match-criteria', 'instance-platform', 'instance-type'],
      ...['owner-id', 'placement-group-arn', 'start-date', 'state', 'tenancy'],
    ],
    tagged: true,
  },
  DescribeCarrierGateways: {
    list: 'CarrierGateways',
    ids: ['CarrierGatewayIds', 'InvalidCarrierGatewayID.NotFound'],
    filters: ['carrier-gateway-id', 'owner-id', 'state', 'vpc-id'],
    tagged: true,
  },
  DescribeClassicLinkInstances: {
    list: 'Instances',
    ids: ['InstanceIds', 'InvalidInstanceID.NotFound'],
    filters: ['group-id', 'instance-id', 'vpc-id'],
    tagged: true,
  },
  DescribeClientVpnEndpoints: {
    list: 'ClientVpnEndpoints',
    ids: ['ClientVpnEndpointIds', 'InvalidClientVpnEndpointId.NotFound'],
    filters: ['endpoint-id', 'transport-protocol'],
    tagged: true,
  },
  DescribeConversionTasks: {
    list: 'ConversionTasks',
    ids: ['ConversionTaskIds', 'InvalidConversionTaskId'],
    filters: [],
  },
  DescribeExportImageTasks: {
    list: 'ExportImageTasks',
    ids: ['ExportImageTaskIds', 'InvalidExportTaskID.NotFound'],
    filters: ['task-state'],
    tagged: true,
  },
  DescribeExportTasks: {
    list: 'ExportTasks',
    ids: ['ExportTaskIds', 'InvalidExportTaskID.NotFound'],
    filters: [],
    tagged: true,
  },
  DescribeFlowLogs: {
    list: 'FlowLogs',
    ids: ['FlowLogIds', 'InvalidFlowLogId.NotFound'],
    filters: [
      ...['deliver-log-status', 'flow-log-id', 'log-destination-type', 'log-group-name'],
      ...['resource-id', 'traffic-type'],
    ],
    tagged: true,
  },
  DescribeHosts: {
    list: 'Hosts',
    ids: ['HostIds', 'InvalidHostID.NotFound'],
    filters: [
      ...['auto-placement', 'availability-zone', 'availability-zone-id', 'client-token'],
      ...['host-reservation-id', 'instance-type', 'state'],
    ],
    tagged: true,
  },
  DescribeInstanceConnectEndpoints: {
    list: 'InstanceConnectEndpoints',
    ids: ['InstanceConnectEndpointIds', 'InvalidInstanceConnectEndpointId.NotFound'],
    filters: ['instance-connect-endpoint-id', 'state', 'subnet-id', 'vpc-id'],
    tagged: true,
  },
  DescribeInstanceEventWindows: {
    list: 'InstanceEventWindows',
    ids: ['InstanceEventWindowIds', 'InvalidInstanceEventWindowID.NotFound'],
    filters: [
      ...['dedicated-host-id', 'event-window-name', 'instance-id', 'instance-tag'],
      ...['instance-tag-key', 'instance-tag-value'],
    ],
    tagged: true,
  },
  DescribeIpv6Pools: {
    list: 'Ipv6Pools',
    ids: ['PoolIds', 'InvalidIpv6PoolID.NotFound'],
    filters: [],
    tagged: true,
  },
  DescribeLocalGateways: {
    list: 'LocalGateways',
    ids: ['LocalGatewayIds', 'InvalidLocalGatewayID.NotFound'],
    filters: ['local-gateway-id', 'outpost-arn', 'owner-id', 'state'],
    tagged: true,
  },
  DescribeReservedInstances: {
    list: 'ReservedInstances',
    ids: ['ReservedInstancesIds', 'InvalidReservedInstancesId'],
    filters: [
      ...['availability-zone', 'availability-zone-id', 'duration', 'end', 'fixed-price'],
      ...['instance-type', 'product-description', 'reserved-instances-id', 'scope', 'start'],
      ...['state', 'usage-price'],
    ],
    tagged: true,
  },
  DescribeSecurityGroupVpcAssociations: {
    list: 'SecurityGroupVpcAssociations',
    filters: ['group-id', 'group-owner-id', 'state', 'vpc-id', 'vpc-owner-id'],
  },
  DescribeTransitGatewayAttachments: {
    list: 'TransitGatewayAttachments',
    ids: ['TransitGatewayAttachmentIds', 'InvalidTransitGatewayAttachmentID.NotFound'],
    filters: [
      ...[...ATTACHMENT, 'association.state', 'association.transit-gateway-route-table-id'],
      ...['resource-id', 'resource-owner-id', 'resource-type', 'transit-gateway-owner-id'],
    ],
    tagged: true,
  },
  DescribeTransitGatewayPeeringAttachments: {
    list: 'TransitGatewayPeeringAttachments',
    ids: ['TransitGatewayAttachmentIds', 'InvalidTransitGatewayAttachmentID.NotFound'],
    filters: [...ATTACHMENT, 'local-owner-id', 'remote-owner-id'],
    tagged: true,
  },
  DescribeTransitGatewayRouteTables: {
    list: 'TransitGatewayRouteTables',
    ids: ['TransitGatewayRouteTableIds', 'InvalidRouteTableID.NotFound'],
    filters: [
      ...['default-association-route-table', 'default-propagation-route-table', 'state'],
      ...['transit-gateway-id', 'transit-gateway-route-table-id'],
    ],
    tagged: true,
  },
  DescribeTransitGatewayVpcAttachments: {
    list: 'TransitGatewayVpcAttachments',
    ids: ['TransitGatewayAttachmentIds', 'InvalidTransitGatewayAttachmentID.NotFound'],
    filters: [...ATTACHMENT, 'vpc-id'],
    tagged: true,
  },
  DescribeTransitGateways: {
    list: 'TransitGateways',
    ids: ['TransitGatewayIds', 'InvalidTransitGatewayID.NotFound'],
    filters: [
      ...['options.amazon-side-asn', 'options.association-default-route-table-id'],
      ...['options.auto-accept-shared-attachments', 'options.default-route-table-association'],
      ...['options.default-route-table-propagation', 'options.dns-support'],
      ...['options.propagation-default-route-table-id', 'options.vpn-ecmp-support'],
      ...['owner-id', 'state', 'transit-gateway-id'],
    ],
    tagged: true,
  },
  DescribeVpcEndpointServices: {
    list: 'ServiceDetails',
    ids: ['ServiceNames', 'InvalidServiceName'],
    filters: [
      'owner',
      'service-name',
      'service-region',
      'service-type',
      'supported-ip-address-types',
    ],
    tagged: true,
  },
  DescribeVpcEndpoints: {
    list: 'VpcEndpoints',
    ids: ['VpcEndpointIds', 'InvalidVpcEndpointId.NotFound'],
    filters: [
      ...['ip-address-type', 'service-name', 'service-region', 'vpc-endpoint-id'],
      ...['vpc-endpoint-state', 'vpc-endpoint-type', 'vpc-id'],
    ],
    tagged: true,
  },
} as const satisfies { readonly [K in keyof Ec2Handlers]: Nothing }

type NothingHandlers = Required<Pick<Ec2Handlers, keyof typeof NOTHING_THERE>>

export function nothingThereHandlers(): NothingHandlers {
  const handlers = Object.entries(NOTHING_THERE).map(([action, nothing]) => [
    action,
    (context: CallContext, input: Asked) => noneOf(context, action, nothing, input),
  ])
  // The table pairs each action with members of its own input and output.
  return Object.fromEntries(handlers) as NothingHandlers
}

function noneOf(
  context: CallContext,
  action: string,
  { list, ids, filters, tagged }: Nothing,
  input: Asked,
): object {
  const named = ids === undefined ? [] : ((input[ids[0]] ?? []) as string[])
  if (ids !== undefined && named.length > 0) {
    const words = `${ids[0]} '${named.join(', ').slice(0, 1_000)}'`
    throw new ApiError(ids[1], `The ${words} does not exist`)
  }
  endDryRun(input)
  const tags = tagged === true ? { tags: () => [] } : {}
  const asked = input.Filters ?? input.Filter
  const found = matching<object>([], asked, { fields: absent(...filters), ...tags })
  pageOf(context, action, input, found, () => '', 1_000, 1)
  return { [list]: found }
}
