// CreateVpnConnectionRoute, DeleteVpnConnectionRoute: the prefixes behind a customer's device.

import { covers, formatCidr, mustCidr, parseLooseCidr } from '../../topology/cidr.ts'
import { NOWHERE } from '../../topology/nowhere.ts'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers } from '../aws/handlers.ts'
import type { State } from '../store/state.ts'
import { badValue, required } from './input.ts'
import { liveInStore } from './vpn-ends.ts'

type RouteHandlers = Required<
  Pick<Ec2Handlers, 'CreateVpnConnectionRoute' | 'DeleteVpnConnectionRoute'>
>

const KIND = 'vpn-connection'
/** Of a connection (AWS, Site-to-Site VPN guide, "Quotas"). */
const MAX_ROUTES = 100
/** With where the services of every network answer. */
const NEAR = [...NOWHERE, mustCidr('fd00:ec2::/32')]

export function vpnConnectionRouteHandlers({ state }: { readonly state: State }): RouteHandlers {
  return {
    CreateVpnConnectionRoute: async ({ caller: { account } }, input) => {
      const id = required('VpnConnectionId', input.VpnConnectionId)
      const route = routeOf(required('DestinationCidrBlock', input.DestinationCidrBlock))
      await state.update(async (tx) => {
        const connection = await liveInStore(tx, KIND, id, account)
        // A route is nothing but its destination: the same again is made already.
        if (connection.routes.includes(route)) return
        if (connection.routes.length >= MAX_ROUTES) {
          const text = `The VPN connection ${id} has ${MAX_ROUTES} routes; no more are allowed.`
          throw new ApiError('VpnConnectionRouteLimitExceeded', text)
        }
        await tx.put(KIND, [id], { ...connection, routes: [...connection.routes, route] })
      })
      return {}
    },

    DeleteVpnConnectionRoute: async ({ caller: { account } }, input) => {
      const id = required('VpnConnectionId', input.VpnConnectionId)
      const route = routeOf(required('DestinationCidrBlock', input.DestinationCidrBlock))
      await state.update(async (tx) => {
        const connection = await liveInStore(tx, KIND, id, account)
        const routes = connection.routes.filter((one) => one !== route)
        if (routes.length === connection.routes.length) {
          const text = `The VPN connection ${id} has no route to ${route}`
          throw new ApiError('InvalidRoute.NotFound', text)
        }
        await tx.put(KIND, [id], { ...connection, routes })
      })
      return {}
    },
  }
}

/** Host bits are cut off, as in the routes of route tables. IPv6 is this cloud's own addition. */
function routeOf(text: string): string {
  const cidr = parseLooseCidr(text)
  if (!cidr.ok) {
    throw badValue('DestinationCidrBlock', text, 'This is not a valid CIDR block.')
  }
  const near = NEAR.find((one) => covers(one, cidr.value))
  if (near === undefined) return formatCidr(cidr.value)
  const why = `Nothing of ${formatCidr(near)} is behind a device.`
  throw badValue('DestinationCidrBlock', text, why)
}
