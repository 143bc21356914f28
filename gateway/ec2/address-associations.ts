// AssociateAddress and DisassociateAddress. Moving an address is one transaction: at no time has it
// two places, or none.

import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers, Ec2Inputs } from '../aws/handlers.ts'
import type { AddressRecord, InterfaceRecord } from '../store/network-records.ts'
import type { Transaction, View } from '../store/state.ts'
import { addressNamed } from './addresses.ts'
import type { NetworkParts } from './create-vpc.ts'
import { oneInStore } from './ids.ts'
import { badValue, endDryRun, required } from './input.ts'
import {
  associateAddress,
  disassociateAddress,
  isAnnouncedIn,
  publicAddressOf,
  releasePublicAddressOf,
} from './public-addresses.ts'
import { holdVpc } from './vpc-records.ts'
import { zoneName } from './zones.ts'

type AssociationHandlers = Required<Pick<Ec2Handlers, 'AssociateAddress' | 'DisassociateAddress'>>

interface Place {
  readonly interface: InterfaceRecord
  readonly privateIp: string
}

/** What an interface belongs to that is not its user's to change. */
const OWNERS = { 'nat-gateway': 'NAT gateway', 'network-load-balancer': 'load balancer' } as const

export function associationHandlers(parts: NetworkParts): AssociationHandlers {
  const { state, randomHex } = parts
  return {
    AssociateAddress: async ({ caller }, input) => {
      const { AllocationId: id, PublicIp: publicIp } = input
      if (id === undefined) required('AllocationId', publicIp)
      const association = await state.update(async (tx) => {
        const address = await addressNamed(tx, { id, publicIp }, caller.account)
        const place = await placeOf(tx, input, caller.account)
        const before = await publicAddressOf(tx, place.privateIp)
        if (before?.id === address.id) {
          endDryRun(input)
          return address.association
        }
        await checkPlace(tx, parts, address, place)
        await checkMove(tx, address, input.AllowReassociation === true)
        if (before !== null) await releasePublicAddressOf(tx, place.privateIp)
        const free = await disassociateAddress(tx, address)
        const to = { interface: place.interface.id, privateIp: place.privateIp }
        const next = await associateAddress(tx, { randomHex }, free, to)
        endDryRun(input)
        return next.association
      })
      return { AssociationId: association }
    },

    DisassociateAddress: async ({ caller }, input) => {
      const { AssociationId: association, PublicIp: publicIp } = input
      if (association === undefined) required('AssociationId', publicIp)
      await state.update(async (tx) => {
        const view = await state.fresh()
        const id =
          association === undefined ? undefined : holderOf(view, association, caller.account)
        const address = await addressNamed(tx, { id, publicIp }, caller.account)
        if (association !== undefined && address.association !== association) {
          throw unknownAssociation(association)
        }
        if (address.association !== '') await refuseManaged(tx, address)
        endDryRun(input)
        await disassociateAddress(tx, address)
      })
      return {}
    },
  }
}

/** The private address that the request means. */
async function placeOf(
  tx: Transaction,
  input: Ec2Inputs['AssociateAddress'],
  account: string,
): Promise<Place> {
  const one = await oneInStore(tx, 'interface', await interfaceId(tx, input, account), account)
  if (one.type !== 'interface') {
    const owner = OWNERS[one.type]
    const text = `The interface ${one.id} belongs to a ${owner}; it has the address that the ${owner} was made with`
    throw new ApiError('OperationNotPermitted', text)
  }
  const { PrivateIpAddress: asked } = input
  const all = [one.ipv4, ...one.ipv4More].filter((address) => address !== '')
  const privateIp = asked ?? all[0]
  if (privateIp === undefined) {
    const text = `The interface ${one.id} has no private IPv4 address`
    throw new ApiError('InvalidParameterCombination', text)
  }
  if (!all.includes(privateIp)) {
    const why = `The interface ${one.id} has ${all.join(', ')}.`
    throw badValue('PrivateIpAddress', privateIp, why)
  }
  return { interface: one, privateIp }
}

async function interfaceId(
  tx: Transaction,
  { InstanceId: instanceId, NetworkInterfaceId: id }: Ec2Inputs['AssociateAddress'],
  account: string,
): Promise<string> {
  if (instanceId === undefined) return required('NetworkInterfaceId', id)
  const instance = await oneInStore(tx, 'instance', instanceId, account)
  if (instance.desired === 'terminated' || instance.state === 'terminated') {
    const text = `The instance '${instanceId}' is ${instance.state}`
    throw new ApiError('IncorrectInstanceState', text)
  }
  if (id !== undefined) {
    if (instance.interfaces.includes(id)) return id
    const text = `The interface ${id} is not attached to the instance ${instanceId}`
    throw new ApiError('InvalidParameterCombination', text)
  }
  const [first, second] = instance.interfaces
  if (first !== undefined && second === undefined) return first
  const text = `There are multiple interfaces attached to instance '${instanceId}'. Please specify an interface ID for the operation instead.`
  throw new ApiError('InvalidInstanceID', text)
}

/** The VPC must have an internet gateway, and the rack must be able to announce the address. */
async function checkPlace(
  tx: Transaction,
  { state, region }: NetworkParts,
  address: AddressRecord,
  { interface: one }: Place,
): Promise<void> {
  const vpc = await tx.get('vpc', one.vpc)
  const pool = await tx.get('public-pool', address.pool)
  if (vpc === null || pool === null) throw new RangeError(`${one.vpc} or ${address.pool} is gone`)
  // Who detaches the gateway meanwhile finds the VPC changed, and this address in it.
  await holdVpc(tx, vpc)
  const gateways = (await state.fresh()).by('internet-gateway', 'vpc', vpc.id)
  if (gateways.length === 0) {
    const text = `Network ${vpc.id} is not attached to any internet gateway`
    throw new ApiError('Gateway.NotAttached', text)
  }
  if (isAnnouncedIn(pool, one.rack)) return
  const zones = pool.racks.map((rack) => zoneName(region, rack)).join(', ')
  const text = `${address.publicIp} is of pool ${pool.id}, which is announced in ${zones}; the interface ${one.id} is in ${zoneName(region, one.rack)}`
  throw new ApiError('InvalidParameterCombination', text)
}

async function checkMove(tx: Transaction, address: AddressRecord, allowed: boolean): Promise<void> {
  if (address.association === '') return
  await refuseManaged(tx, address)
  if (allowed) return
  const text = `resource ${address.id} is already associated with associate-id ${address.association}`
  throw new ApiError('Resource.AlreadyAssociated', text)
}

async function refuseManaged(tx: Transaction, address: AddressRecord): Promise<void> {
  const one = await tx.get('interface', address.interface)
  if (one === null || one.type === 'interface') return
  const text = `${address.publicIp} is the address of a ${OWNERS[one.type]} (${one.id}) until that is deleted`
  throw new ApiError('OperationNotPermitted', text)
}

function holderOf(view: View, association: string, account: string): string {
  const all = view.by('address', 'account', account)
  const found = all.find((one) => one.association === association && !one.auto)
  if (found === undefined) throw unknownAssociation(association)
  return found.id
}

function unknownAssociation(id: string): ApiError {
  const text = `The association ID '${id}' does not exist`
  return new ApiError('InvalidAssociationID.NotFound', text)
}
