// All Auto Scaling actions that this cloud answers. What is not here answers UnsupportedOperation.

import type { AutoScalingHandlers } from '../aws/handlers.ts'
import { activityHandlers } from './activities.ts'
import { describeHandlers } from './describe-groups.ts'
import { tagHandlers } from './group-tags.ts'
import { groupHandlers } from './groups.ts'
import type { ScalingParts } from './groups-kept.ts'
import { refreshHandlers } from './instance-refreshes.ts'
import { hookHandlers } from './lifecycle-hooks.ts'
import { memberHandlers } from './member-actions.ts'
import { membershipHandlers } from './membership.ts'
import { policyHandlers } from './policies.ts'
import { processHandlers } from './processes.ts'
import { scheduleHandlers } from './scheduled-actions.ts'
import { targetHandlers } from './target-actions.ts'

export function autoScalingHandlers(parts: ScalingParts): AutoScalingHandlers {
  return {
    ...groupHandlers(parts),
    ...describeHandlers(parts),
    ...activityHandlers(parts),
    ...hookHandlers(parts),
    ...memberHandlers(parts),
    ...membershipHandlers(parts),
    ...policyHandlers(parts),
    ...processHandlers(parts),
    ...refreshHandlers(parts),
    ...scheduleHandlers(parts),
    ...tagHandlers(parts),
    ...targetHandlers(parts),
  }
}
