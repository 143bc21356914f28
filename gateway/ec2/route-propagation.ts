// EnableVgwRoutePropagation, DisableVgwRoutePropagation: the routes of a VPN gateway's connections
// in a route table of its VPC.

import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers } from '../aws/handlers.ts'
import type { NetworkParts } from './create-vpc.ts'
import { oneInStore } from './ids.ts'
import { endDryRun, required } from './input.ts'
import { holdEnd, liveInStore } from './vpn-ends.ts'

type PropagationHandlers = Required<
  Pick<Ec2Handlers, 'EnableVgwRoutePropagation' | 'DisableVgwRoutePropagation'>
>

export function routePropagationHandlers({
  state,
}: Pick<NetworkParts, 'state'>): PropagationHandlers {
  return {
    EnableVgwRoutePropagation: async ({ caller: { account } }, input) => {
      const gatewayId = required('GatewayId', input.GatewayId)
      const tableId = required('RouteTableId', input.RouteTableId)
      await state.update(async (tx) => {
        const table = await oneInStore(tx, 'route-table', tableId, account)
        const gateway = await liveInStore(tx, 'vpn-gateway', gatewayId, account)
        if (gateway.vpc !== table.vpc) {
          const text = `resource ${gatewayId} is not attached to network ${table.vpc} of ${tableId}`
          throw new ApiError('Gateway.NotAttached', text)
        }
        endDryRun(input)
        const { propagating = [] } = table
        if (propagating.includes(gatewayId)) return
        await holdEnd(tx, 'vpn-gateway', gateway)
        await tx.put('route-table', [tableId], {
          ...table,
          propagating: [...propagating, gatewayId],
        })
      })
      return {}
    },

    DisableVgwRoutePropagation: async ({ caller: { account } }, input) => {
      const gatewayId = required('GatewayId', input.GatewayId)
      const tableId = required('RouteTableId', input.RouteTableId)
      await state.update(async (tx) => {
        const table = await oneInStore(tx, 'route-table', tableId, account)
        await oneInStore(tx, 'vpn-gateway', gatewayId, account)
        endDryRun(input)
        const { propagating = [] } = table
        if (!propagating.includes(gatewayId)) return
        await tx.put('route-table', [tableId], {
          ...table,
          propagating: propagating.filter((id) => id !== gatewayId),
        })
      })
      return {}
    },
  }
}
