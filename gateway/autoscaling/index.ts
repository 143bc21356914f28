// All Auto Scaling actions that this cloud answers. What is not here answers UnsupportedOperation.

import type { AutoScalingHandlers } from '../aws/handlers.ts'
import { activityHandlers } from './activities.ts'
import { describeHandlers } from './describe-groups.ts'
import { tagHandlers } from './group-tags.ts'
import { groupHandlers } from './groups.ts'
import type { ScalingParts } from './groups-kept.ts'
import { memberHandlers } from './member-actions.ts'
import { membershipHandlers } from './membership.ts'
import { processHandlers } from './processes.ts'
import { targetHandlers } from './target-actions.ts'

export function autoScalingHandlers(parts: ScalingParts): AutoScalingHandlers {
  return {
    ...groupHandlers(parts),
    ...describeHandlers(parts),
    ...activityHandlers(parts),
    ...memberHandlers(parts),
    ...membershipHandlers(parts),
    ...processHandlers(parts),
    ...tagHandlers(parts),
    ...targetHandlers(parts),
  }
}
