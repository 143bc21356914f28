// The handlers of every service of the endpoint, made of what they need.

import { autoScalingHandlers } from './autoscaling/index.ts'
import type { ServiceHandlers } from './aws/handlers.ts'
import { type Ec2Parts, ec2Handlers } from './ec2/index.ts'
import { loadBalancingHandlers } from './elb/index.ts'
import { iamHandlers } from './iam/index.ts'
import { stsHandlers } from './sts/index.ts'

export type ServiceParts = Ec2Parts

export function serviceHandlers(parts: ServiceParts): ServiceHandlers {
  return {
    ec2: ec2Handlers(parts),
    sts: stsHandlers(parts),
    iam: iamHandlers(parts),
    autoscaling: autoScalingHandlers(parts),
    elasticloadbalancing: loadBalancingHandlers(parts),
  }
}
