// Which table a subnet's routes are in: AssociateRouteTable, DisassociateRouteTable,
// ReplaceRouteTableAssociation. Every association writes its table, so that it cannot be deleted
// at the same time.

import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers } from '../aws/handlers.ts'
import type { RouteTableRecord } from '../store/network-records.ts'
import type { SubnetRecord, VpcRecord } from '../store/records.ts'
import type { Transaction, View } from '../store/state.ts'
import type { NetworkParts } from './create-vpc.ts'
import { oneInStore, randomId } from './ids.ts'
import { endDryRun, required, unsupported } from './input.ts'

type AssociationHandlers = Required<
  Pick<
    Ec2Handlers,
    'AssociateRouteTable' | 'DisassociateRouteTable' | 'ReplaceRouteTableAssociation'
  >
>

const ASSOCIATED = { State: 'associated' } as const

type Associated =
  | { readonly kind: 'vpc'; readonly vpc: VpcRecord }
  | { readonly kind: 'subnet'; readonly subnet: SubnetRecord }

export function routeAssociationHandlers({ state, randomHex }: NetworkParts): AssociationHandlers {
  return {
    AssociateRouteTable: async ({ caller: { account } }, input) => {
      const tableId = required('RouteTableId', input.RouteTableId)
      if (input.GatewayId !== undefined) {
        throw unsupported(`A route table of a gateway (${input.GatewayId})`)
      }
      const subnetId = required('SubnetId', input.SubnetId)
      const AssociationId = await state.update(async (tx) => {
        const table = await oneInStore(tx, 'route-table', tableId, account)
        const subnet = await oneInStore(tx, 'subnet', subnetId, account)
        checkNetwork(table, 'subnet', subnet.id, subnet.vpc)
        if (subnet.routeTable !== '') {
          const text = `the specified association for route table ${tableId} conflicts with an existing association: ${subnetId} has ${subnet.routeTable} by ${subnet.routeTableAssociation}`
          throw new ApiError('Resource.AlreadyAssociated', text)
        }
        endDryRun(input)
        return await associate(tx, table, subnet)
      })
      return { AssociationId, AssociationState: ASSOCIATED }
    },

    DisassociateRouteTable: async ({ caller: { account } }, input) => {
      const id = required('AssociationId', input.AssociationId)
      await state.update(async (tx) => {
        const found = await associated(tx, await state.fresh(), id, account)
        if (found.kind === 'vpc') {
          const text = `cannot disassociate the main route table association ${id}`
          throw new ApiError('InvalidParameterValue', text)
        }
        endDryRun(input)
        const next = { ...found.subnet, routeTable: '', routeTableAssociation: '' }
        await tx.put('subnet', [next.id], next)
      })
      return {}
    },

    ReplaceRouteTableAssociation: async ({ caller: { account } }, input) => {
      const id = required('AssociationId', input.AssociationId)
      const tableId = required('RouteTableId', input.RouteTableId)
      const NewAssociationId = await state.update(async (tx) => {
        const found = await associated(tx, await state.fresh(), id, account)
        const table = await oneInStore(tx, 'route-table', tableId, account)
        if (found.kind === 'subnet') {
          checkNetwork(table, 'subnet', found.subnet.id, found.subnet.vpc)
          endDryRun(input)
          return await associate(tx, table, found.subnet)
        }
        checkNetwork(table, 'vpc', found.vpc.id, found.vpc.id)
        endDryRun(input)
        const mainAssociation = randomId(randomHex, 'rtbassoc')
        await tx.put('vpc', [found.vpc.id], {
          ...found.vpc,
          mainRouteTable: tableId,
          mainAssociation,
        })
        await tx.put('route-table', [tableId], table)
        return mainAssociation
      })
      return { NewAssociationId, AssociationState: ASSOCIATED }
    },
  }

  async function associate(
    tx: Transaction,
    table: RouteTableRecord,
    subnet: SubnetRecord,
  ): Promise<string> {
    const routeTableAssociation = randomId(randomHex, 'rtbassoc')
    const next = { ...subnet, routeTable: table.id, routeTableAssociation }
    await tx.put('subnet', [subnet.id], next)
    await tx.put('route-table', [table.id], table)
    return routeTableAssociation
  }
}

/** What an association is of, as the store has it now. Throws InvalidAssociationID.NotFound. */
async function associated(
  tx: Transaction,
  view: View,
  id: string,
  account: string,
): Promise<Associated> {
  const inView = view
    .by('subnet', 'account', account)
    .find((one) => one.routeTableAssociation === id)
  const subnet = inView === undefined ? null : await tx.get('subnet', inView.id)
  if (id !== '' && subnet?.routeTableAssociation === id) return { kind: 'subnet', subnet }
  const vpcInView = view.by('vpc', 'account', account).find((one) => one.mainAssociation === id)
  const vpc = vpcInView === undefined ? null : await tx.get('vpc', vpcInView.id)
  if (id !== '' && vpc?.mainAssociation === id) return { kind: 'vpc', vpc }
  const text = `The association ID '${id}' does not exist`
  throw new ApiError('InvalidAssociationID.NotFound', text)
}

function checkNetwork(table: RouteTableRecord, what: string, id: string, vpc: string): void {
  if (table.vpc === vpc) return
  const text = `Route table ${table.id} and ${what} ${id} belong to different networks`
  throw new ApiError('InvalidParameterValue', text)
}
