// How actions differ from AWS's, each in a few words, for the page that lists all of them
// (docs/ec2-actions.md). What concerns several actions is in docs/autoscaling.md.

import type { AutoScalingHandlers } from '../aws/handlers.ts'

export const SCALING_DEVIATIONS: { readonly [K in keyof AutoScalingHandlers]: string } = {
  AttachInstances: 'instances of the group’s VPC and zones; 20 at once',
  AttachTrafficSources: 'target groups; at once',
  CreateAutoScalingGroup: 'of launch templates; no rebalancing of capacity',
  DescribeLaunchConfigurations: 'always empty: nobody can make one',
  DescribeLoadBalancers: 'always empty: there are no classic load balancers',
  DescribeNotificationConfigurations: 'always empty: nobody can be notified',
  DescribeScalingActivities: 'the 100 newest that ended, of the last six weeks',
  DescribeWarmPool: 'always empty: nobody can make one',
  DetachInstances: 'done when it is answered',
  DescribePolicies: 'nobody has alarms',
  EnterStandby: 'done when it is answered',
  ExitStandby: 'done when it is answered',
  PutLifecycleHook: 'nobody is notified: who acts asks, or is on the instance',
  PutScalingPolicy: 'simple ones and those of steps, which somebody executes',
  StartInstanceRefresh: 'rolling, to the group’s own template; no checkpoints, no rollback',
}
