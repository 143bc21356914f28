// CreateRoute, ReplaceRoute, DeleteRoute.

import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers } from '../aws/handlers.ts'
import type { RouteTableRecord } from '../store/network-records.ts'
import type { VpcRecord } from '../store/records.ts'
import type { Transaction } from '../store/state.ts'
import type { NetworkParts } from './create-vpc.ts'
import { oneInStore } from './ids.ts'
import { badValue, endDryRun, refuseUnknown, required } from './input.ts'
import { askedTarget, checkedRoute, destinationOf, isLocal } from './route-requests.ts'

type RouteHandlers = Required<Pick<Ec2Handlers, 'CreateRoute' | 'ReplaceRoute' | 'DeleteRoute'>>

/** Of a table; a route to a prefix list counts as its most entries (VPC quotas). */
const MAX_ROUTES = 50
const KNOWN = new Set([
  'RouteTableId',
  'DestinationCidrBlock',
  'DestinationIpv6CidrBlock',
  'DestinationPrefixListId',
  'GatewayId',
  'NatGatewayId',
  'EgressOnlyInternetGatewayId',
  'NetworkInterfaceId',
  'InstanceId',
  'VpcPeeringConnectionId',
  'DryRun',
])
const HARMLESS = new Map<string, readonly unknown[]>([['LocalTarget', [false]]])

export function routeHandlers({ state }: NetworkParts): RouteHandlers {
  return {
    CreateRoute: async ({ caller: { account } }, input) => {
      const id = required('RouteTableId', input.RouteTableId)
      refuseUnknown(input, KNOWN, HARMLESS)
      const asked = askedTarget(input)
      await state.update(async (tx) => {
        const { table: at, vpc: of } = await tableOf(tx, id, account)
        const to = await destinationOf(tx, input, account)
        const known = at.routes.some((route) => route.destination === to.text)
        const place = { account, vpc: of, table: at.id }
        const route = await checkedRoute(tx, to, asked, place)
        if (known || isLocal(to.text, of)) {
          const text = `The route identified by ${to.text} already exists.`
          throw new ApiError('RouteAlreadyExists', text)
        }
        await checkLimit(tx, at, to.weight)
        endDryRun(input)
        await tx.put('route-table', [id], { ...at, routes: [...at.routes, route] })
      })
      return { Return: true }
    },

    ReplaceRoute: async ({ caller: { account } }, input) => {
      const id = required('RouteTableId', input.RouteTableId)
      refuseUnknown(input, KNOWN, HARMLESS)
      const asked = askedTarget(input)
      await state.update(async (tx) => {
        const { table: at, vpc: of } = await tableOf(tx, id, account)
        const to = await destinationOf(tx, input, account)
        if (isLocal(to.text, of)) {
          throw badValue('destinationCidrBlock', to.text, 'The local route stays as it is.')
        }
        if (!at.routes.some((route) => route.destination === to.text)) {
          const text = `There is no route defined for '${to.text}' in the route table. Use CreateRoute instead.`
          throw new ApiError('InvalidRoute.NotFound', text)
        }
        const place = { account, vpc: of, table: at.id }
        const route = await checkedRoute(tx, to, asked, place)
        endDryRun(input)
        const routes = at.routes.map((one) => (one.destination === to.text ? route : one))
        await tx.put('route-table', [id], { ...at, routes })
      })
      return {}
    },

    DeleteRoute: async ({ caller: { account } }, input) => {
      const id = required('RouteTableId', input.RouteTableId)
      await state.update(async (tx) => {
        const { table: at, vpc } = await tableOf(tx, id, account)
        const to = await destinationOf(tx, input, account)
        if (isLocal(to.text, vpc)) {
          const text = `cannot remove local route ${to.text} in route table ${id}`
          throw new ApiError('InvalidParameterValue', text)
        }
        const routes = at.routes.filter((route) => route.destination !== to.text)
        if (routes.length === at.routes.length) {
          const text = `no route with destination ${to.text} in route table ${id}`
          throw new ApiError('InvalidRoute.NotFound', text)
        }
        endDryRun(input)
        await tx.put('route-table', [id], { ...at, routes })
      })
      return {}
    },
  }
}

async function tableOf(
  tx: Transaction,
  id: string,
  account: string,
): Promise<{ table: RouteTableRecord; vpc: VpcRecord }> {
  const table = await oneInStore(tx, 'route-table', id, account)
  return { table, vpc: await oneInStore(tx, 'vpc', table.vpc, account) }
}

async function checkLimit(tx: Transaction, table: RouteTableRecord, more: number): Promise<void> {
  let count = more
  for (const { destination } of table.routes) {
    const list = destination.includes('/') ? null : await tx.get('prefix-list', destination)
    count += list?.maxEntries ?? 1
  }
  if (count <= MAX_ROUTES) return
  const text = `The route table ${table.id} would have ${count} routes; at most ${MAX_ROUTES} are allowed.`
  throw new ApiError('RouteLimitExceeded', text)
}
