// All actions of Elastic Load Balancing that this cloud answers: those of network load balancers.

import type { LoadBalancingHandlers } from '../aws/handlers.ts'
import { accountLimitHandlers } from './account-limits.ts'
import { attributeHandlers } from './attribute-actions.ts'
import { listenerHandlers } from './listeners.ts'
import { settingHandlers } from './load-balancer-settings.ts'
import { loadBalancerHandlers } from './load-balancers.ts'
import type { BalancingParts } from './parts.ts'
import { tagHandlers } from './tags.ts'
import { targetGroupHandlers } from './target-groups.ts'
import { targetHandlers } from './targets.ts'

export function loadBalancingHandlers({
  state,
  randomHex,
  region,
}: BalancingParts): LoadBalancingHandlers {
  const parts = { state, randomHex, region }
  return {
    ...loadBalancerHandlers(parts),
    ...settingHandlers(parts),
    ...listenerHandlers(parts),
    ...accountLimitHandlers(parts),
    ...targetGroupHandlers(parts),
    ...targetHandlers(parts),
    ...attributeHandlers(parts),
    ...tagHandlers(parts),
  }
}
