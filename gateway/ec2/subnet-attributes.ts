// ModifySubnetAttribute, AssociateSubnetCidrBlock, DisassociateSubnetCidrBlock.

import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers, Ec2Inputs } from '../aws/handlers.ts'
import type { InterfaceRecord, SubnetRecord } from '../store/records.ts'
import type { State, Transaction, View } from '../store/state.ts'
import { giveBlock, subnetSpace } from './blocks.ts'
import { subnetAssociationId, subnetAssociationOf } from './describe-subnets.ts'
import { namedInStore } from './ids.ts'
import { badValue, refuseUnknown, required, unsupported } from './input.ts'
import { MAC_POOL } from './pools.ts'
import { parseSubnetIpv6, takeSubnetCidr } from './subnet-cidrs.ts'
import { oneAttribute } from './vpc-attributes.ts'
import { holdVpc } from './vpc-records.ts'

type AttributeHandlers = Required<
  Pick<
    Ec2Handlers,
    'ModifySubnetAttribute' | 'AssociateSubnetCidrBlock' | 'DisassociateSubnetCidrBlock'
  >
>

const ASSOCIATE_KNOWN = new Set(['SubnetId', 'Ipv6CidrBlock'])

export function subnetAttributeHandlers({ state }: { state: State }): AttributeHandlers {
  return {
    ModifySubnetAttribute: async ({ caller }, input) => {
      const id = required('SubnetId', input.SubnetId)
      const change = parseChange(input)
      await state.update(async (tx) => {
        const subnet = await subnetOf(tx, id, caller.account)
        checkChange(subnet, change)
        await tx.put('subnet', [id], { ...subnet, ...change })
      })
      return {}
    },

    AssociateSubnetCidrBlock: async ({ caller }, input) => {
      const id = required('SubnetId', input.SubnetId)
      refuseUnknown(input, ASSOCIATE_KNOWN, new Map())
      const cidr = parseSubnetIpv6(required('Ipv6CidrBlock', input.Ipv6CidrBlock))
      const subnet = await state.update(async (tx) => {
        const before = await subnetOf(tx, id, caller.account)
        const vpc = await tx.get('vpc', before.vpc)
        if (vpc === null) throw new RangeError(`${id} is in no VPC`)
        if (before.ipv6Cidr !== '') {
          const text = `The subnet ${id} has the IPv6 block ${before.ipv6Cidr}; at most 1 is allowed.`
          throw new ApiError('CidrLimitExceeded', text)
        }
        const after = { ...before, ipv6Cidr: await takeSubnetCidr(tx, state, vpc, id, cidr) }
        await tx.put('subnet', [id], after)
        await holdVpc(tx, vpc)
        return after
      })
      const Ipv6CidrBlockAssociation = subnetAssociationOf(subnet, 'associated')
      return { SubnetId: id, Ipv6CidrBlockAssociation }
    },

    DisassociateSubnetCidrBlock: async ({ caller }, input) => {
      const association = required('AssociationId', input.AssociationId)
      const before = await state.update(async (tx) => {
        const subnet = await associated(tx, await state.fresh(), association, caller.account)
        if (subnet.ipv4Cidr === '') {
          const text = `${subnet.id} is IPv6-native: its IPv6 block cannot be disassociated`
          throw new ApiError('OperationNotPermitted', text)
        }
        await checkNoIpv6(tx, state, subnet)
        await giveBlock(tx, subnetSpace(subnet.vpc), subnet.ipv6Cidr)
        const without = { ...subnet, ipv6Cidr: '', assignIpv6OnCreation: false }
        await tx.put('subnet', [subnet.id], without)
        return subnet
      })
      const Ipv6CidrBlockAssociation = subnetAssociationOf(before, 'disassociated')
      return { SubnetId: before.id, Ipv6CidrBlockAssociation }
    },
  }
}

type Change = Partial<
  Pick<
    SubnetRecord,
    | 'mapPublicIpOnLaunch'
    | 'assignIpv6OnCreation'
    | 'hostnameType'
    | 'resourceNameDnsA'
    | 'resourceNameDnsAaaa'
    | 'enableDns64'
  >
>

function parseChange(input: Ec2Inputs['ModifySubnetAttribute']): Change {
  if (input.EnableDns64?.Value === true) throw unsupported('The attribute enableDns64')
  const hostnameType = input.PrivateDnsHostnameTypeOnLaunch
  if (hostnameType !== undefined && !['ip-name', 'resource-name'].includes(hostnameType)) {
    const why = 'Expecting ip-name or resource-name.'
    throw badValue('privateDnsHostnameTypeOnLaunch', hostnameType, why)
  }
  const change = {
    mapPublicIpOnLaunch: input.MapPublicIpOnLaunch?.Value,
    assignIpv6OnCreation: input.AssignIpv6AddressOnCreation?.Value,
    hostnameType,
    resourceNameDnsA: input.EnableResourceNameDnsARecordOnLaunch?.Value,
    resourceNameDnsAaaa: input.EnableResourceNameDnsAAAARecordOnLaunch?.Value,
    enableDns64: input.EnableDns64?.Value,
  }
  const given = Object.entries(change).filter(([, value]) => value !== undefined)
  refuseUnknown(
    input,
    new Set([
      'SubnetId',
      'MapPublicIpOnLaunch',
      'AssignIpv6AddressOnCreation',
      'PrivateDnsHostnameTypeOnLaunch',
      'EnableResourceNameDnsARecordOnLaunch',
      'EnableResourceNameDnsAAAARecordOnLaunch',
      'EnableDns64',
    ]),
    new Map(),
  )
  if (given.length !== 1) throw oneAttribute(given.length)
  return Object.fromEntries(given) as Change
}

function checkChange(subnet: SubnetRecord, change: Change): void {
  if (change.assignIpv6OnCreation === true && subnet.ipv6Cidr === '') {
    const why = `The subnet ${subnet.id} has no IPv6 CIDR block.`
    throw badValue('assignIpv6AddressOnCreation', true, why)
  }
  if (subnet.ipv4Cidr !== '') return
  const why = `The subnet ${subnet.id} is IPv6-native.`
  if (change.assignIpv6OnCreation === false) {
    throw badValue('assignIpv6AddressOnCreation', false, why)
  }
  if (change.mapPublicIpOnLaunch === true) throw badValue('mapPublicIpOnLaunch', true, why)
  if (change.resourceNameDnsA === true) {
    throw badValue('enableResourceNameDnsARecordOnLaunch', true, why)
  }
  if (change.hostnameType === 'ip-name') {
    throw badValue('privateDnsHostnameTypeOnLaunch', 'ip-name', why)
  }
}

async function subnetOf(tx: Transaction, id: string, account: string): Promise<SubnetRecord> {
  const [subnet] = await namedInStore(tx, 'subnet', [id], account)
  if (subnet === undefined) throw new RangeError(`${id} was found and is not there`)
  return subnet
}

async function associated(
  tx: Transaction,
  view: View,
  association: string,
  account: string,
): Promise<SubnetRecord> {
  const isIt = (one: SubnetRecord): boolean =>
    one.ipv6Cidr !== '' && subnetAssociationId(one) === association
  const seen = view.subnetsOf('account', account).find(isIt)
  const subnet = seen === undefined ? null : await tx.get('subnet', seen.id)
  if (subnet !== null && isIt(subnet)) return subnet
  const text = `The subnet CIDR block with association ID '${association}' does not exist`
  throw new ApiError('InvalidSubnetCidrBlockAssociationID.NotFound', text)
}

/** New interfaces take a MAC, and those that are there stay as they are read here. */
async function checkNoIpv6(tx: Transaction, state: State, subnet: SubnetRecord): Promise<void> {
  await tx.pool(MAC_POOL).watch()
  const all = (await state.fresh()).interfacesOf('subnet', subnet.id)
  const first = all.find(hasIpv6)
  if (first !== undefined) throw ipv6Used(subnet, first.id)
  for (const { id } of all) {
    const one = await tx.get('interface', id)
    if (one !== null && hasIpv6(one)) throw ipv6Used(subnet, id)
  }
}

function hasIpv6({ ipv6, ipv6More }: InterfaceRecord): boolean {
  return ipv6 !== '' || ipv6More.length > 0
}

function ipv6Used({ ipv6Cidr }: SubnetRecord, interfaceId: string): ApiError {
  const text = `The IPv6 block ${ipv6Cidr} has addresses that are in use, for one by ${interfaceId}.`
  return new ApiError('DependencyViolation', text)
}
