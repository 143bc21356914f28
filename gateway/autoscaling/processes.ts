// Processes of a group that its user stops and lets go on, and what there is of policies and types.

import type { AutoScalingHandlers } from '../aws/handlers.ts'
import { quotaOf } from '../ec2/quotas.ts'
import { invalid } from './errors.ts'
import { TERMINATION_POLICIES } from './group-request.ts'
import {
  groupInView,
  holdGroup,
  putGroup,
  refuseDeleted,
  type ScalingParts,
} from './groups-kept.ts'

type ProcessHandlers = Required<
  Pick<
    AutoScalingHandlers,
    | 'DescribeAccountLimits'
    | 'DescribeAdjustmentTypes'
    | 'DescribeAutoScalingNotificationTypes'
    | 'DescribeLaunchConfigurations'
    | 'DescribeLifecycleHookTypes'
    | 'DescribeLoadBalancers'
    | 'DescribeNotificationConfigurations'
    | 'DescribeScalingProcessTypes'
    | 'DescribeTerminationPolicyTypes'
    | 'DescribeWarmPool'
    | 'ResumeProcesses'
    | 'SuspendProcesses'
  >
>

/** Auto Scaling user guide, "Types of processes". */
const PROCESSES = [
  ...['AddToLoadBalancer', 'AlarmNotification', 'AZRebalance', 'HealthCheck', 'InstanceRefresh'],
  ...['Launch', 'ReplaceUnhealthy', 'ScheduledActions', 'Terminate'],
]
/** Auto Scaling API reference, DescribeAutoScalingNotificationTypes. */
const NOTIFICATIONS = [
  'autoscaling:EC2_INSTANCE_LAUNCH',
  'autoscaling:EC2_INSTANCE_LAUNCH_ERROR',
  'autoscaling:EC2_INSTANCE_TERMINATE',
  'autoscaling:EC2_INSTANCE_TERMINATE_ERROR',
  'autoscaling:TEST_NOTIFICATION',
]
const ADJUSTMENTS = ['ChangeInCapacity', 'ExactCapacity', 'PercentChangeInCapacity']
const TRANSITIONS = ['autoscaling:EC2_INSTANCE_LAUNCHING', 'autoscaling:EC2_INSTANCE_TERMINATING']

interface Asked {
  readonly AutoScalingGroupName: string | undefined
  readonly ScalingProcesses?: readonly string[] | undefined
}

export function processHandlers({ state }: ScalingParts): ProcessHandlers {
  const change = async (
    account: string,
    { AutoScalingGroupName: name = '', ScalingProcesses: asked = [] }: Asked,
    changed: (suspended: readonly string[], named: ReadonlySet<string>) => readonly string[],
  ): Promise<object> => {
    const unknown = asked.find((one) => !PROCESSES.includes(one))
    if (unknown !== undefined) throw invalid(`The process ${unknown.slice(0, 100)} is not valid.`)
    const named = new Set(asked.length === 0 ? PROCESSES : asked)
    await state.update(async (tx) => {
      const { group } = await holdGroup(tx, state, account, name)
      refuseDeleted(group)
      const suspended = [...new Set(changed(group.suspended, named))].sort()
      await putGroup(tx, group, { suspended })
    })
    return {}
  }
  return {
    SuspendProcesses: ({ caller: { account } }, input) =>
      change(account, input, (suspended, named) => [...suspended, ...named]),

    ResumeProcesses: ({ caller: { account } }, input) =>
      change(account, input, (suspended, named) => suspended.filter((one) => !named.has(one))),

    DescribeScalingProcessTypes: () => ({
      Processes: PROCESSES.map((ProcessName) => ({ ProcessName })),
    }),
    DescribeTerminationPolicyTypes: () => ({ TerminationPolicyTypes: [...TERMINATION_POLICIES] }),
    DescribeAutoScalingNotificationTypes: () => ({ AutoScalingNotificationTypes: NOTIFICATIONS }),
    DescribeAdjustmentTypes: () => ({
      AdjustmentTypes: ADJUSTMENTS.map((AdjustmentType) => ({ AdjustmentType })),
    }),
    DescribeLifecycleHookTypes: () => ({ LifecycleHookTypes: TRANSITIONS }),

    DescribeAccountLimits: async ({ caller: { account } }) => {
      const view = await state.fresh()
      return {
        MaxNumberOfAutoScalingGroups: quotaOf(view, account, 'auto-scaling-groups'),
        MaxNumberOfLaunchConfigurations: 0,
        NumberOfAutoScalingGroups: view.by('scaling-group', 'account', account).length,
        NumberOfLaunchConfigurations: 0,
      }
    },

    // Nobody can make any of these here: there are none of any group.
    DescribeLaunchConfigurations: () => ({ LaunchConfigurations: [] }),
    DescribeNotificationConfigurations: () => ({ NotificationConfigurations: [] }),
    DescribeLoadBalancers: async ({ caller }, input) => {
      groupInView(await state.fresh(), caller.account, input.AutoScalingGroupName ?? '')
      return { LoadBalancers: [] }
    },
    DescribeWarmPool: async ({ caller }, input) => {
      groupInView(await state.fresh(), caller.account, input.AutoScalingGroupName ?? '')
      return { Instances: [] }
    },
  }
}
