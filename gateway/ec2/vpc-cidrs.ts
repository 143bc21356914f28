// The prefixes that a request wants for a VPC: named, or out of a pool. What is asked for is a
// wish; taking it needs a transaction.

import {
  type Cidr,
  covers,
  type Family,
  formatCidr,
  parseAddress,
  parseCidr,
} from '../../topology/cidr.ts'
import { ApiError } from '../aws/api-error.ts'
import type { State, Transaction, View } from '../store/state.ts'
import { freeExample, takeFreeBlock, takeNamedBlock } from './blocks.ts'
import { badValue } from './input.ts'
import { type IpamPoolInfo, VPC_LENGTHS, vpcPool } from './ipam-pools.ts'
import { exampleGround, vpcGround, vpcSpace } from './vpc-ground.ts'

export interface CidrInput {
  readonly CidrBlock?: string | undefined
  readonly Ipv4IpamPoolId?: string | undefined
  readonly Ipv4NetmaskLength?: number | undefined
  readonly AmazonProvidedIpv6CidrBlock?: boolean | undefined
  readonly Ipv6CidrBlock?: string | undefined
  readonly Ipv6IpamPoolId?: string | undefined
  readonly Ipv6NetmaskLength?: number | undefined
}

/** Parameters that CidrInput has. */
export const CIDR_PARAMETERS = [
  'CidrBlock',
  'Ipv4IpamPoolId',
  'Ipv4NetmaskLength',
  'AmazonProvidedIpv6CidrBlock',
  'Ipv6CidrBlock',
  'Ipv6IpamPoolId',
  'Ipv6NetmaskLength',
] as const

export interface CidrWish {
  readonly family: Family
  /** null: any free one. */
  readonly cidr: Cidr | null
  readonly length: number
  /** The id of the IPAM pool that it must come from. */
  readonly pool: string | null
}

/** A prefix as a user writes it. Throws InvalidParameterValue for what is none of that family. */
export function parseUserCidr(parameter: string, text: string, family: Family): Cidr {
  const parsed = parseCidr(text)
  if (parsed.ok && parsed.value.family === family) return parsed.value
  if (!parsed.ok && parsed.why === 'HostBits') {
    const right = `${networkOf(text)} would be right.`
    throw badValue(parameter, text, `It has bits set behind the prefix; ${right}`)
  }
  throw badValue(parameter, text, `This is not a valid IPv${family} CIDR block.`)
}

/** The wishes of a request, at most one of each family. */
export function parseVpcCidrs(input: CidrInput): { ipv4: CidrWish | null; ipv6: CidrWish | null } {
  const ipv4 = parseWish(4, {
    cidr: ['cidrBlock', input.CidrBlock],
    pool: ['ipv4IpamPoolId', input.Ipv4IpamPoolId],
    length: ['ipv4NetmaskLength', input.Ipv4NetmaskLength],
  })
  const ipv6 = parseWish(6, {
    cidr: ['ipv6CidrBlock', input.Ipv6CidrBlock],
    pool: ['ipv6IpamPoolId', input.Ipv6IpamPoolId],
    length: ['ipv6NetmaskLength', input.Ipv6NetmaskLength],
  })
  if (input.AmazonProvidedIpv6CidrBlock !== true) return { ipv4, ipv6 }
  if (ipv6 !== null) {
    throw combination('amazonProvidedIpv6CidrBlock', 'an IPv6 block or pool of your own')
  }
  return { ipv4, ipv6: { family: 6, cidr: null, length: VPC_LENGTHS[6].usual, pool: null } }
}

/** Throws InvalidVpc.Range, InsufficientCidrBlocks or what is wrong with the pool. */
export async function takeVpcCidr(
  tx: Transaction,
  state: State,
  vpc: { readonly id: string; readonly account: string },
  wish: CidrWish,
): Promise<string> {
  const { family, cidr, length } = wish
  const taker = { space: vpcSpace(family), holder: vpc.id, account: vpc.account }
  const pool = wish.pool === null ? null : vpcPool(state.view(), wish.pool, family)
  if (cidr === null) {
    const free = await takeFreeBlock(tx, state, taker, (view) => vpcGround(view, family), length)
    if (free !== null) return formatCidr(free)
    const text = `The pools of the cloud have no free IPv${family} block of /${length}`
    throw new ApiError('InsufficientCidrBlocks', text)
  }
  checkPool(cidr, pool)
  const reserved = (view: View): readonly Cidr[] => vpcGround(view, family).reserved
  if (await takeNamedBlock(tx, state, taker, reserved, cidr)) return formatCidr(cidr)
  const view = state.view()
  const free = freeExample(view, taker.space, exampleGround(view, family), length)
  const hint = free === null ? `no block of /${length} is free` : `${free} is free`
  const text = `The CIDR '${formatCidr(cidr)}' overlaps a block that is not free in this cloud; ${hint}.`
  throw new ApiError('InvalidVpc.Range', text)
}

interface WishInput {
  readonly cidr: readonly [string, string | undefined]
  readonly pool: readonly [string, string | undefined]
  readonly length: readonly [string, number | undefined]
}

function parseWish(family: 4 | 6, { cidr, pool, length }: WishInput): CidrWish | null {
  const [cidrName, text] = cidr
  const [poolName, poolId = null] = pool
  const [lengthName, asked] = length
  if (text !== undefined) {
    if (asked !== undefined) throw combination(cidrName, lengthName)
    if (family === 6 && poolId === null) {
      throw new ApiError('MissingParameter', `${cidrName} needs ${poolName}: it is in that pool`)
    }
    const parsed = parseUserCidr(cidrName, text, family)
    if (!isLength(family, parsed.length)) {
      const why = lengthsOf(family)
      throw new ApiError('InvalidVpc.Range', `The CIDR '${text}' is invalid. ${why}`)
    }
    return { family, cidr: parsed, length: parsed.length, pool: poolId }
  }
  if (poolId === null) {
    if (asked === undefined) return null
    throw new ApiError('MissingParameter', `${lengthName} needs ${poolName}`)
  }
  const wanted = asked ?? VPC_LENGTHS[family].usual
  if (!isLength(family, wanted)) throw badValue(lengthName, wanted, lengthsOf(family))
  return { family, cidr: null, length: wanted, pool: poolId }
}

function isLength(family: 4 | 6, length: number): boolean {
  const { shortest, longest } = VPC_LENGTHS[family]
  const isStep = family === 4 || length % 4 === 0
  return Number.isInteger(length) && length >= shortest && length <= longest && isStep
}

function lengthsOf(family: 4 | 6): string {
  const { shortest, longest } = VPC_LENGTHS[family]
  const steps = family === 4 ? '' : ' in steps of 4'
  return `A VPC has IPv${family} blocks of /${shortest} to /${longest}${steps}.`
}

function checkPool(cidr: Cidr, pool: IpamPoolInfo | null): void {
  if (pool === null || pool.cidrs.some((one) => covers(one, cidr))) return
  const why = `The IPAM pool ${pool.id} has ${pool.cidrs.map(formatCidr).join(', ')}.`
  throw badValue(cidr.family === 4 ? 'cidrBlock' : 'ipv6CidrBlock', formatCidr(cidr), why)
}

function combination(one: string, other: string): ApiError {
  const text = `The parameters ${one} and ${other} cannot be used together`
  return new ApiError('InvalidParameterCombination', text)
}

/** The prefix that a text with host bits is in. */
function networkOf(text: string): string {
  const [address = '', length = ''] = text.split('/')
  const parsed = parseAddress(address)
  if (!parsed.ok) return text
  const { family, value } = parsed.value
  const shift = BigInt((family === 4 ? 32 : 128) - Number(length))
  return formatCidr({ family, base: (value >> shift) << shift, length: Number(length) })
}
