// CreateRouteTable, DeleteRouteTable, DescribeRouteTables.

import type { Route, RouteTable } from '@aws-sdk/client-ec2'
import { never } from '../../topology/result.ts'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers } from '../aws/handlers.ts'
import { hopOf } from '../control/desired-routes.ts'
import type { RouteRecord, RouteTableRecord } from '../store/network-records.ts'
import type { View } from '../store/state.ts'
import { isAttached, propagatedRoutes } from '../vpn/propagation.ts'
import { answeredBefore, keepAnswer } from './client-tokens.ts'
import type { NetworkParts } from './create-vpc.ts'
import { absent, type Filterable, matching } from './filters.ts'
import { newId, oneInStore } from './ids.ts'
import { endDryRun, required } from './input.ts'
import { pageOf } from './paging.ts'
import { checkQuotaOf } from './quotas.ts'
import { addTags, parseTagSpecifications, tagList } from './tagging.ts'
import { holdVpc } from './vpc-records.ts'
import { ownedOrNamed } from './vpcs.ts'

type TableHandlers = Required<
  Pick<Ec2Handlers, 'CreateRouteTable' | 'DeleteRouteTable' | 'DescribeRouteTables'>
>

/** EC2's own limit for this action's pages. */
const MAX_TABLE_RESULTS = 100

const FILTERABLE: Filterable<RouteTable> = {
  fields: {
    ...absent('association.gateway-id', 'route.transit-gateway-id'),
    'association.main': (one) => one.Associations?.map(({ Main }) => Main),
    'association.route-table-association-id': (one) =>
      one.Associations?.map((each) => each.RouteTableAssociationId),
    'association.route-table-id': (one) => one.Associations?.map((each) => each.RouteTableId),
    'association.subnet-id': (one) => one.Associations?.map((each) => each.SubnetId),
    'owner-id': (one) => one.OwnerId,
    'route-table-id': (one) => one.RouteTableId,
    'route.destination-cidr-block': (one) => one.Routes?.map((each) => each.DestinationCidrBlock),
    'route.destination-ipv6-cidr-block': (one) =>
      one.Routes?.map((each) => each.DestinationIpv6CidrBlock),
    'route.destination-prefix-list-id': (one) =>
      one.Routes?.map((each) => each.DestinationPrefixListId),
    'route.egress-only-internet-gateway-id': (one) =>
      one.Routes?.map((each) => each.EgressOnlyInternetGatewayId),
    'route.gateway-id': (one) => one.Routes?.map((each) => each.GatewayId),
    'route.instance-id': (one) => one.Routes?.map((each) => each.InstanceId),
    'route.nat-gateway-id': (one) => one.Routes?.map((each) => each.NatGatewayId),
    'route.network-interface-id': (one) => one.Routes?.map((each) => each.NetworkInterfaceId),
    'route.origin': (one) => one.Routes?.map((each) => each.Origin),
    'route.state': (one) => one.Routes?.map((each) => each.State),
    'route.vpc-peering-connection-id': (one) =>
      one.Routes?.map((each) => each.VpcPeeringConnectionId),
    'vpc-id': (one) => one.VpcId,
  },
  tags: (one) => one.Tags,
}

export function routeTableHandlers({ state, randomHex }: NetworkParts): TableHandlers {
  return {
    CreateRouteTable: async (context, input) => {
      const { caller, nowMs } = context
      const { account } = caller
      const vpcId = required('VpcId', input.VpcId)
      const specified = parseTagSpecifications(input.TagSpecifications, ['route-table'])
      const token = input.ClientToken ?? ''
      const use = { context, action: 'CreateRouteTable', token }
      const id = await state.update(async (tx) => {
        const before = await answeredBefore(tx, use)
        if (before !== null && (await tx.get('route-table', before)) !== null) return before
        const vpc = await oneInStore(tx, 'vpc', vpcId, account)
        await holdVpc(tx, vpc)
        const count = (await state.fresh()).by('route-table', 'vpc', vpcId).length
        await checkQuotaOf(tx, vpc, 'route-tables-per-vpc', count)
        const made = await newId(tx, randomHex, 'route-table')
        const record = { id: made, account, vpc: vpcId, routes: [], createdAtMs: nowMs }
        await tx.put('route-table', [made], record)
        const tags = specified.get('route-table') ?? new Map()
        await addTags(tx, { kind: 'route-table', id: made, account }, tags)
        await keepAnswer(tx, use, made)
        endDryRun(input)
        return made
      })
      const view = await state.fresh()
      const record = view.get('route-table', id)
      return {
        RouteTable: record === null ? undefined : tableOf(view, record),
        ClientToken: token === '' ? undefined : token,
      }
    },

    DeleteRouteTable: async ({ caller: { account } }, input) => {
      const id = required('RouteTableId', input.RouteTableId)
      await state.update(async (tx) => {
        const table = await oneInStore(tx, 'route-table', id, account)
        const vpc = await oneInStore(tx, 'vpc', table.vpc, account)
        // Who associates a table writes it: what the mirror shows after that is all there is.
        const subnets = (await state.fresh()).by('subnet', 'routeTable', id).map((one) => one.id)
        const users = vpc.mainRouteTable === id ? [`${vpc.id} (main)`, ...subnets] : subnets
        if (users.length > 0) {
          const text = `The routeTable '${id}' has dependencies and cannot be deleted: ${users.join(', ')}.`
          throw new ApiError('DependencyViolation', text)
        }
        endDryRun(input)
        await tx.delete('route-table', id)
        await tx.delete('tags', id)
      })
      return {}
    },

    DescribeRouteTables: async (context, input) => {
      const view = await state.fresh()
      const { account } = context.caller
      const named = ownedOrNamed(view, 'route-table', input.RouteTableIds, account)
      endDryRun(input)
      const shown = named.map((one) => tableOf(view, one))
      const found = matching(shown, input.Filters, FILTERABLE)
      const cursor = (one: RouteTable): string => one.RouteTableId ?? ''
      const action = 'DescribeRouteTables'
      const { items, nextToken } = pageOf(context, action, input, found, cursor, MAX_TABLE_RESULTS)
      return { RouteTables: [...items], NextToken: nextToken }
    },
  }
}

function tableOf(view: View, table: RouteTableRecord): RouteTable {
  const { id, account, vpc: vpcId, routes } = table
  const vpc = view.get('vpc', vpcId)
  const association = (associationId: string, subnet: string | null) => ({
    Main: subnet === null,
    RouteTableAssociationId: associationId,
    RouteTableId: id,
    SubnetId: subnet ?? undefined,
    AssociationState: { State: 'associated' as const },
  })
  const main = vpc?.mainRouteTable === id ? [association(vpc.mainAssociation, null)] : []
  const subnets = view
    .by('subnet', 'routeTable', id)
    .map((one) => association(one.routeTableAssociation, one.id))
  const local = [...(vpc?.ipv4Cidrs ?? []), ...(vpc?.ipv6Cidrs ?? [])].map(localRoute)
  return {
    RouteTableId: id,
    VpcId: vpcId,
    OwnerId: account,
    Associations: [...main, ...subnets],
    PropagatingVgws: (table.propagating ?? []).map((GatewayId) => ({ GatewayId })),
    Routes: [
      ...local,
      ...routes.map((route) => routeOf(view, vpcId, route, 'CreateRoute')),
      ...propagatedRoutes(view, table).map((route) =>
        routeOf(view, vpcId, route, 'EnableVgwRoutePropagation'),
      ),
    ],
    Tags: tagList(view, id),
  }
}

function localRoute(cidr: string): Route {
  return {
    ...destinationOf(cidr),
    GatewayId: 'local',
    Origin: 'CreateRouteTable',
    State: 'active',
  }
}

function routeOf(
  view: View,
  vpc: string,
  route: RouteRecord,
  Origin: NonNullable<Route['Origin']>,
): Route {
  return {
    ...destinationOf(route.destination),
    ...targetOf(view, route),
    Origin,
    State: leadsSomewhere(view, vpc, route) ? 'active' : 'blackhole',
  }
}

/** To an attached VPN gateway a route is active whatever its tunnels do, as in EC2. */
function leadsSomewhere(view: View, vpc: string, route: RouteRecord): boolean {
  if (route.target === 'vpn-gateway') return isAttached(view, route.targetId, vpc)
  return hopOf(view, vpc, route).kind !== 'blackhole'
}

function destinationOf(text: string): Route {
  if (!text.includes('/')) return { DestinationPrefixListId: text }
  return text.includes(':') ? { DestinationIpv6CidrBlock: text } : { DestinationCidrBlock: text }
}

function targetOf(view: View, { target, targetId: id }: RouteRecord): Route {
  switch (target) {
    case 'internet-gateway':
    case 'vpn-gateway':
      return { GatewayId: id }
    case 'egress-only-gateway':
      return { EgressOnlyInternetGatewayId: id }
    case 'nat-gateway':
      return { NatGatewayId: id }
    case 'peering':
      return { VpcPeeringConnectionId: id }
    case 'interface': {
      const one = view.get('interface', id)
      if (one === null || one.instance === '') return { NetworkInterfaceId: id }
      return { NetworkInterfaceId: id, InstanceId: one.instance, InstanceOwnerId: one.account }
    }
    default:
      return never(target)
  }
}
