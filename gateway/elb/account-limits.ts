// What is the same for all load balancers here: DescribeAccountLimits, DescribeSSLPolicies,
// DescribeCapacityReservation.

import type { Limit } from '@aws-sdk/client-elastic-load-balancing-v2'
import { ApiError } from '../aws/api-error.ts'
import type { LoadBalancingHandlers } from '../aws/handlers.ts'
import { type QuotaId, quotaOf } from '../ec2/quotas.ts'
import { named } from './arns.ts'
import { pageOf } from './paging.ts'
import type { BalancingParts } from './parts.ts'

type Handlers = Required<
  Pick<
    LoadBalancingHandlers,
    'DescribeAccountLimits' | 'DescribeSSLPolicies' | 'DescribeCapacityReservation'
  >
>

/** Names of the API's limits → quotas of the account. */
const LIMITS: readonly (readonly [string, QuotaId])[] = [
  ['listeners-per-network-load-balancer', 'listeners-per-network-load-balancer'],
  ['network-load-balancers', 'network-load-balancers'],
  ['target-groups', 'target-groups'],
  [
    'targets-per-availability-zone-per-network-load-balancer',
    'targets-per-zone-per-network-load-balancer',
  ],
]
/** A listener forwards to one group. */
const FIXED: readonly Limit[] = [
  { Name: 'target-groups-per-action-on-network-load-balancer', Max: '1' },
]

export function accountLimitHandlers({ state, region }: BalancingParts): Handlers {
  return {
    DescribeAccountLimits: async (context, input) => {
      const view = await state.fresh()
      const { account } = context.caller
      const limits = LIMITS.map(([Name, id]) => ({ Name, Max: String(quotaOf(view, account, id)) }))
      const all = [...FIXED, ...limits]
      const page = pageOf(context, 'DescribeAccountLimits', input, all, ({ Name = '' }) => Name)
      return { Limits: page.items, NextMarker: page.marker }
    },

    // No listener here speaks TLS: there is no policy that one could have.
    DescribeSSLPolicies: (_context, { Names: names = [] }) => {
      if (names.length === 0) return { SslPolicies: [] }
      throw new ApiError('SSLPolicyNotFound', `SSL policies '[${names.join(', ')}]' not found`)
    },

    // Nobody reserves capacity: what AWS says of a load balancer for which nobody did.
    DescribeCapacityReservation: async ({ caller }, { LoadBalancerArn: arn = '' }) => {
      named(await state.fresh(), region, caller.account, 'load-balancer', [arn])
      return { CapacityReservationState: [] }
    },
  }
}
