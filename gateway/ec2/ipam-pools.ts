// The cloud's pools as EC2's IPAM shows them. Their ids follow from what they are, so that every
// gateway has the same ones.

import { type Cidr, formatCidr, mustCidr } from '../../topology/cidr.ts'
import { DEFAULT_VPC_LENGTH, VPC_IPV6_LENGTH } from '../../topology/ranges.ts'
import { ApiError } from '../aws/api-error.ts'
import type { CloudRecord } from '../store/records.ts'
import type { View } from '../store/state.ts'
import { derivedId } from './ids.ts'
import { poolsOf } from './vpc-ground.ts'

export interface IpamPoolInfo {
  readonly id: string
  readonly family: 4 | 6
  readonly isPublic: boolean
  readonly description: string
  readonly cidrs: readonly Cidr[]
  /** Lengths of the prefixes that a VPC may have from it. */
  readonly shortest: number
  readonly usual: number
  readonly longest: number
}

/** AWS, "VPC CIDR blocks". */
export const VPC_LENGTHS = {
  4: { shortest: 16, usual: DEFAULT_VPC_LENGTH, longest: 28 },
  6: { shortest: 44, usual: VPC_IPV6_LENGTH, longest: 60 },
} as const

export function ipamPools(view: View): IpamPoolInfo[] {
  const cloud = view.get('cloud', 'self')
  if (cloud === null) return []
  const tenants = ([4, 6] as const).map((family) => ({
    id: derivedId('ipam-pool', cloud.fabricPrefix, String(family)),
    family,
    isPublic: false,
    description: `IPv${family} of VPCs`,
    cidrs: poolsOf(cloud, family),
    ...VPC_LENGTHS[family],
  }))
  const publics = view.all('public-pool').map((pool) => {
    const cidr = mustCidr(pool.cidr)
    const one = cidr.family === 4 ? 32 : 128
    return {
      id: derivedId('ipam-pool', cloud.fabricPrefix, pool.id),
      family: cidr.family,
      isPublic: true,
      description: `Public addresses ${formatCidr(cidr)}`,
      cidrs: [cidr],
      ...{ shortest: one, usual: one, longest: one },
    }
  })
  return [...tenants, ...publics]
}

export function ipamId(cloud: CloudRecord): string {
  return derivedId('ipam', cloud.fabricPrefix)
}

export function ipamScopeId(cloud: CloudRecord, isPublic: boolean): string {
  return derivedId('ipam-scope', cloud.fabricPrefix, isPublic ? 'public' : 'private')
}

/** The pool for VPCs that a request names. */
export function vpcPool(view: View, id: string, family: 4 | 6): IpamPoolInfo {
  const pool = ipamPools(view).find((one) => one.id === id)
  if (pool === undefined) {
    throw new ApiError('InvalidIpamPoolId.NotFound', `The IPAM pool '${id}' does not exist`)
  }
  if (!pool.isPublic && pool.family === family) return pool
  const text = `The IPAM pool '${id}' (${pool.description}) has no IPv${family} prefixes for VPCs`
  throw new ApiError('InvalidParameterValue', text)
}
