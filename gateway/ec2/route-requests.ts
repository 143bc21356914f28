// What CreateRoute, ReplaceRoute and DeleteRoute name: a destination in one form, and a target that
// can take what goes there.

import {
  type Cidr,
  covers,
  type Family,
  formatCidr,
  mustCidr,
  nthBlock,
  parseAddress,
  parseCidr,
} from '../../topology/cidr.ts'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Inputs } from '../aws/handlers.ts'
import { hasEnded } from '../peering/negotiation.ts'
import type { RouteRecord, RouteTarget, VpcRecord } from '../store/network-records.ts'
import type { Transaction } from '../store/state.ts'
import { notFound, oneInStore } from './ids.ts'
import { badValue, required, unsupported } from './input.ts'
import { peeringOf } from './peering-records.ts'
import { keepFromRemoval } from './removal.ts'
import { liveInStore } from './vpn-ends.ts'

type DestinationInput = Pick<
  Ec2Inputs['CreateRoute'],
  'DestinationCidrBlock' | 'DestinationIpv6CidrBlock' | 'DestinationPrefixListId'
>
type TargetInput = Pick<
  Ec2Inputs['CreateRoute'],
  | 'GatewayId'
  | 'NatGatewayId'
  | 'EgressOnlyInternetGatewayId'
  | 'NetworkInterfaceId'
  | 'InstanceId'
  | 'VpcPeeringConnectionId'
>

export interface Destination {
  /** As a RouteRecord has it. */
  readonly text: string
  readonly family: Family
  /** The routes that it counts as. */
  readonly weight: number
}

export interface Place {
  readonly account: string
  readonly vpc: VpcRecord
  readonly table: string
}

export interface AskedTarget {
  readonly parameter: keyof TargetInput
  readonly id: string
}

/** The services of every network answer there: a route would lead nowhere. */
const SERVICES = ['169.254.0.0/16', 'fd00:ec2::/32'].map(mustCidr)
const TARGETS = [
  'GatewayId',
  'NatGatewayId',
  'EgressOnlyInternetGatewayId',
  'NetworkInterfaceId',
  'InstanceId',
  'VpcPeeringConnectionId',
] as const

/** The one destination of a request; host bits are cut off, as EC2 does. */
export async function destinationOf(
  tx: Transaction,
  input: DestinationInput,
  account: string,
): Promise<Destination> {
  const { DestinationCidrBlock: v4, DestinationIpv6CidrBlock: v6 } = input
  const { DestinationPrefixListId: list } = input
  const given = [v4, v6, list].filter((one) => one !== undefined)
  if (given.length === 0) required('DestinationCidrBlock', v4)
  if (given.length > 1) {
    const text = `The request has ${given.length} destinations (${given.join(', ')}); it must have one.`
    throw new ApiError('InvalidParameterCombination', text)
  }
  if (list !== undefined) {
    const { family, maxEntries } = await oneInStore(tx, 'prefix-list', list, account)
    await keepFromRemoval(tx, 'prefix-list', [list])
    return { text: list, family, weight: maxEntries }
  }
  if (v4 !== undefined) return cidrDestination('destinationCidrBlock', v4, 4)
  return cidrDestination('destinationIpv6CidrBlock', v6 ?? '', 6)
}

/** The one target that a request names. */
export function askedTarget(input: TargetInput): AskedTarget {
  const named = TARGETS.flatMap((parameter) => {
    const id = input[parameter]
    return id === undefined ? [] : [{ parameter, id }]
  })
  const [first, second] = named
  if (first === undefined) return required<AskedTarget>('GatewayId', undefined)
  if (second === undefined) return first
  const text = `The request has the targets ${named.map(({ id }) => id).join(', ')}; it must have one.`
  throw new ApiError('InvalidParameterCombination', text)
}

/** The route, when its target may be one for this destination in this VPC. */
export async function checkedRoute(
  tx: Transaction,
  destination: Destination,
  asked: AskedTarget,
  place: Place,
): Promise<RouteRecord> {
  const { target, targetId } = await targetIn(tx, asked, place)
  const { text, family } = destination
  if (target === 'nat-gateway' && family === 6) {
    throw badValue(
      asked.parameter,
      asked.id,
      'A NAT gateway takes no IPv6: use an egress-only gateway.',
    )
  }
  if (target === 'egress-only-gateway' && family === 4) {
    throw badValue(asked.parameter, asked.id, 'An egress-only internet gateway takes no IPv4.')
  }
  if (text.includes('/') && target !== 'interface') checkNotInside(text, place.vpc)
  return { destination: text, target, targetId }
}

export function isLocal(destination: string, vpc: VpcRecord): boolean {
  return vpc.ipv4Cidrs.includes(destination) || vpc.ipv6Cidrs.includes(destination)
}

function cidrDestination(parameter: string, text: string, family: Family): Destination {
  const cidr = looseCidr(text)
  if (cidr === null || cidr.family !== family) {
    throw badValue(parameter, text, `This is not a valid IPv${family} CIDR block.`)
  }
  if (!SERVICES.some((one) => covers(one, cidr))) {
    return { text: formatCidr(cidr), family, weight: 1 }
  }
  throw badValue(parameter, text, 'The addresses of the network services cannot be routed.')
}

/** The prefix in which the address is, of the length that the text says. */
function looseCidr(text: string): Cidr | null {
  const parsed = parseCidr(text)
  if (parsed.ok) return parsed.value
  const [start = '', end = ''] = text.split('/')
  const address = parseAddress(start)
  if (parsed.why !== 'HostBits' || !address.ok) return null
  const { family, value } = address.value
  const length = Number(end)
  const hostBits = BigInt((family === 4 ? 32 : 128) - length)
  return nthBlock({ family, base: 0n, length: 0 }, length, value >> hostBits)
}

function checkNotInside(text: string, vpc: VpcRecord): void {
  const cidr = mustCidr(text)
  const own = [...vpc.ipv4Cidrs, ...vpc.ipv6Cidrs].map(mustCidr)
  if (!own.some((one) => covers(one, cidr))) return
  const why = `The destination CIDR block ${text} is equal to or more specific than one of this VPC's CIDR blocks. This route can target only an interface or an instance.`
  throw new ApiError('InvalidParameterValue', why)
}

async function targetIn(
  tx: Transaction,
  { parameter, id }: AskedTarget,
  place: Place,
): Promise<{ target: RouteTarget; targetId: string }> {
  switch (parameter) {
    case 'GatewayId': {
      if (id.startsWith('vgw-')) {
        const { vpc } = await liveInStore(tx, 'vpn-gateway', id, place.account)
        mustMatch(place, 'network gateway', id, vpc)
        return { target: 'vpn-gateway', targetId: id }
      }
      if (!id.startsWith('igw-')) throw badGateway(id)
      const { vpc } = await oneInStore(tx, 'internet-gateway', id, place.account)
      mustMatch(place, 'network gateway', id, vpc)
      return { target: 'internet-gateway', targetId: id }
    }
    case 'EgressOnlyInternetGatewayId': {
      const { vpc } = await oneInStore(tx, 'egress-only-gateway', id, place.account)
      mustMatch(place, 'egress only internet gateway', id, vpc)
      return { target: 'egress-only-gateway', targetId: id }
    }
    case 'NatGatewayId': {
      const nat = await oneInStore(tx, 'nat-gateway', id, place.account)
      if (nat.state !== 'pending' && nat.state !== 'available') throw notFound('nat-gateway', [id])
      mustMatch(place, 'NAT gateway', id, nat.vpc)
      return { target: 'nat-gateway', targetId: id }
    }
    case 'NetworkInterfaceId':
      return await interfaceTarget(tx, id, place)
    case 'InstanceId': {
      const { interfaces, state } = await oneInStore(tx, 'instance', id, place.account)
      const [first, second] = interfaces
      if (first !== undefined && second === undefined)
        return await interfaceTarget(tx, first, place)
      const text =
        second === undefined
          ? `The instance '${id}' is ${state} and has no interface`
          : `There are multiple interfaces attached to instance '${id}'. Please specify an interface ID for the operation instead.`
      throw new ApiError('InvalidInstanceID', text)
    }
    case 'VpcPeeringConnectionId': {
      const peering = await peeringOf(tx, id, place.account)
      if (hasEnded(peering)) throw badValue('VpcPeeringConnectionId', id, `It is ${peering.state}.`)
      const { requester, accepter } = peering
      const isOurs = [requester.vpc, accepter.vpc].includes(place.vpc.id)
      mustMatch(place, 'vpc peering connection', id, isOurs ? place.vpc.id : '')
      return { target: 'peering', targetId: id }
    }
    default:
      throw new RangeError(`${String(parameter)} is no target`)
  }
}

async function interfaceTarget(
  tx: Transaction,
  id: string,
  place: Place,
): Promise<{ target: RouteTarget; targetId: string }> {
  const one = await oneInStore(tx, 'interface', id, place.account)
  mustMatch(place, 'interface', id, one.vpc)
  if (one.type === 'nat-gateway') {
    throw badValue('NetworkInterfaceId', id, 'It belongs to a NAT gateway: name that one.')
  }
  if (one.type === 'network-load-balancer') {
    throw badValue('NetworkInterfaceId', id, 'It belongs to a load balancer, which routes nothing.')
  }
  return { target: 'interface', targetId: id }
}

function mustMatch({ vpc, table }: Place, what: string, id: string, of: string): void {
  if (of === vpc.id) return
  const text = `route table ${table} and ${what} ${id} belong to different networks`
  throw new ApiError('InvalidParameterValue', text)
}

function badGateway(id: string): ApiError {
  if (id.startsWith('vpce-')) return unsupported(`The gateway ${id} as a target of a route`)
  const why = 'Expecting an internet or a VPN gateway; the local routes stay as they are.'
  return badValue('gatewayId', id, why)
}
