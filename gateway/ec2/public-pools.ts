// DescribePublicIpv4Pools: the blocks that the operator gave the cloud.

import type { PublicIpv4Pool } from '@aws-sdk/client-ec2'
import { formatAddress, mustAddress, mustCidr, nthAddress } from '../../topology/cidr.ts'
import { publicHosts } from '../../topology/plan.ts'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers } from '../aws/handlers.ts'
import type { PublicPoolRecord } from '../store/network-records.ts'
import type { State, View } from '../store/state.ts'
import { matching } from './filters.ts'
import { isAsked } from './input.ts'
import { pageOf } from './paging.ts'

type PoolHandlers = Required<Pick<Ec2Handlers, 'DescribePublicIpv4Pools'>>

const MAX_POOL_RESULTS = 10

export function publicPoolHandlers({
  state,
  region,
}: {
  state: State
  region: string
}): PoolHandlers {
  return {
    DescribePublicIpv4Pools: async (context, input) => {
      const view = await state.fresh()
      const pools = view.all('public-pool')
      const missing = input.PoolIds?.find((id) => !pools.some((pool) => pool.id === id))
      if (missing !== undefined) throw unknownPool(missing)
      const shown = pools
        .filter(({ id }) => isAsked(input.PoolIds, id))
        .map((pool) => poolOf(view, region, pool))
      const found = matching<PublicIpv4Pool>(shown, input.Filters, {
        fields: {},
        tags: (pool) => pool.Tags,
      })
      const cursor = (pool: PublicIpv4Pool): string => pool.PoolId ?? ''
      const action = 'DescribePublicIpv4Pools'
      const { items, nextToken } = pageOf(context, action, input, found, cursor, MAX_POOL_RESULTS)
      return { PublicIpv4Pools: [...items], NextToken: nextToken }
    },
  }
}

export function unknownPool(id: string): ApiError {
  const text = `The public IPv4 pool ID '${id}' does not exist`
  return new ApiError('InvalidPublicIpv4PoolID.NotFound', text)
}

/** Addresses of a pool that somebody may get now. One that rests has its record still. */
export function availableOf(view: View, pool: PublicPoolRecord): number {
  if (pool.closing) return 0
  return Math.max(0, usable(pool) - view.by('public-address', 'pool', pool.id).length)
}

function usable({ cidr, excluded }: PublicPoolRecord): number {
  const block = mustCidr(cidr)
  const { first, last } = publicHosts(block)
  const kept = excluded
    .map((text) => Number(mustAddress(text).value - block.base))
    .filter((offset) => offset >= first && offset <= last)
  return last - first + 1 - kept.length
}

function poolOf(view: View, region: string, pool: PublicPoolRecord): PublicIpv4Pool {
  const block = mustCidr(pool.cidr)
  const { first, last } = publicHosts(block)
  const count = usable(pool)
  const available = availableOf(view, pool)
  return {
    PoolId: pool.id,
    Description: `${pool.cidr}, ${pool.racks.length === 0 ? 'all zones' : pool.racks.join(', ')}`,
    PoolAddressRanges: [
      {
        FirstAddress: formatAddress(nthAddress(block, first)),
        LastAddress: formatAddress(nthAddress(block, last)),
        AddressCount: count,
        AvailableAddressCount: available,
      },
    ],
    TotalAddressCount: count,
    TotalAvailableAddressCount: available,
    NetworkBorderGroup: region,
    Tags: [],
  }
}
