// The prefixes that a request names for a subnet.

import { type Cidr, covers, type Family, formatCidr, mustCidr } from '../../topology/cidr.ts'
import { LONGEST_SUBNET_LENGTH, SUBNET_IPV6_LENGTH } from '../../topology/ranges.ts'
import { ApiError } from '../aws/api-error.ts'
import type { VpcRecord } from '../store/records.ts'
import type { State, Transaction } from '../store/state.ts'
import { freeExample, subnetSpace, takeNamedBlock } from './blocks.ts'
import { VPC_LENGTHS } from './ipam-pools.ts'
import { parseUserCidr } from './vpc-cidrs.ts'

export interface SubnetCidrInput {
  readonly CidrBlock?: string | undefined
  readonly Ipv6CidrBlock?: string | undefined
  readonly Ipv6Native?: boolean | undefined
}

/** Throws what EC2 answers for prefixes that are none, or of a length that no subnet has. */
export function parseSubnetCidrs(input: SubnetCidrInput): { ipv4: Cidr | null; ipv6: Cidr | null } {
  const { CidrBlock: text, Ipv6CidrBlock: text6, Ipv6Native: isNative = false } = input
  if (isNative && text !== undefined) {
    const why = 'A subnet with ipv6Native has no IPv4: cidrBlock cannot be used with it'
    throw new ApiError('InvalidParameterCombination', why)
  }
  if (!isNative && text === undefined) {
    throw new ApiError('MissingParameter', 'The request must contain the parameter CidrBlock')
  }
  if (isNative && text6 === undefined) {
    throw new ApiError('MissingParameter', 'The request must contain the parameter Ipv6CidrBlock')
  }
  const ipv4 = text === undefined ? null : parseUserCidr('cidrBlock', text, 4)
  const { shortest } = VPC_LENGTHS[4]
  if (ipv4 !== null && (ipv4.length < shortest || ipv4.length > LONGEST_SUBNET_LENGTH)) {
    const why = `A subnet has an IPv4 block of /${shortest} to /${LONGEST_SUBNET_LENGTH}.`
    throw new ApiError('InvalidSubnet.Range', `The CIDR '${text}' is invalid. ${why}`)
  }
  return { ipv4, ipv6: text6 === undefined ? null : parseSubnetIpv6(text6) }
}

export function parseSubnetIpv6(text: string): Cidr {
  const cidr = parseUserCidr('ipv6CidrBlock', text, 6)
  if (cidr.length === SUBNET_IPV6_LENGTH) return cidr
  const why = `A subnet has an IPv6 block of /${SUBNET_IPV6_LENGTH}.`
  throw new ApiError('InvalidSubnet.Range', `The CIDR '${text}' is invalid. ${why}`)
}

/** Throws InvalidSubnet.Range outside of the VPC, InvalidSubnet.Conflict over another subnet. */
export async function takeSubnetCidr(
  tx: Transaction,
  state: State,
  vpc: VpcRecord,
  holder: string,
  cidr: Cidr | null,
): Promise<string> {
  if (cidr === null) return ''
  const text = formatCidr(cidr)
  const pools = blocksOfFamily(vpc, cidr.family)
  if (!pools.some((pool) => covers(pool, cidr))) {
    const has = pools.map(formatCidr).join(', ')
    const why = has === '' ? `it has no IPv${cidr.family} block` : `it has ${has}`
    const sentence = `The CIDR '${text}' is outside of the VPC ${vpc.id}: ${why}.`
    throw new ApiError('InvalidSubnet.Range', sentence)
  }
  const taker = { space: subnetSpace(vpc.id), holder, account: vpc.account }
  if (await takeNamedBlock(tx, state, taker, () => [], cidr)) return text
  const ground = { pools, reserved: [] }
  const free = freeExample(state.view(), taker.space, ground, cidr.length)
  const hint = free === null ? `no block of /${cidr.length} is free` : `${free} is free`
  const sentence = `The CIDR '${text}' conflicts with another subnet of ${vpc.id}; ${hint}.`
  throw new ApiError('InvalidSubnet.Conflict', sentence)
}

function blocksOfFamily(vpc: VpcRecord, family: Family): Cidr[] {
  return (family === 4 ? vpc.ipv4Cidrs : vpc.ipv6Cidrs).map(mustCidr)
}
