// Bad requests to Auto Scaling, about the group `web` with one instance of one that it may have.

import type { Ground } from './ground.ts'
import type { Ask, Row } from './row.ts'

const web = { AutoScalingGroupName: 'web' }
const none = { AutoScalingGroupName: 'none' }
const LaunchTemplate = { LaunchTemplateName: 'web', Version: '1' }
const MIXED = { LaunchTemplate: { LaunchTemplateSpecification: LaunchTemplate } }
const INVALID = 'ValidationError'
const LAUNCHING = 'autoscaling:EC2_INSTANCE_LAUNCHING'
const MORE = { AdjustmentType: 'ChangeInCapacity', ScalingAdjustment: 1 }
const DAILY = { MinSize: 0, Recurrence: '0 8 * * *' }
const ELB = 'arn:aws:elasticloadbalancing:mallee-1:111122223333'
const NO_TARGETS = `${ELB}:targetgroup/none/0123456789abcdef`
const tag = (change: object) => ({
  Tags: [{ ResourceId: 'web', ResourceType: 'auto-scaling-group', Key: 'a', ...change }],
})

/** A good request for a group but for what is changed. */
const create =
  (change: (ground: Ground) => object) =>
  (ground: Ground): Ask => ({
    ...{ AutoScalingGroupName: 'new', MinSize: 0, MaxSize: 1, LaunchTemplate },
    ...{ VPCZoneIdentifier: ground.subnet },
    ...change(ground),
  })

const creation = (what: string, change: object, code = INVALID): Row => {
  return [what, 'CreateAutoScalingGroup', create(() => change), code]
}

/** Actions that name a group, with what else they need. */
const NAMING: readonly [string, object][] = [
  ['UpdateAutoScalingGroup', {}],
  ['DeleteAutoScalingGroup', {}],
  ['SetDesiredCapacity', { DesiredCapacity: 1 }],
  ['SuspendProcesses', {}],
  ['ResumeProcesses', {}],
  ['AttachInstances', { InstanceIds: ['i-01234567'] }],
  ['DetachInstances', { InstanceIds: ['i-01234567'], ShouldDecrementDesiredCapacity: false }],
  ['EnterStandby', { InstanceIds: ['i-01234567'], ShouldDecrementDesiredCapacity: false }],
  ['ExitStandby', { InstanceIds: ['i-01234567'] }],
  ['SetInstanceProtection', { InstanceIds: ['i-01234567'], ProtectedFromScaleIn: true }],
  ['DescribeScalingActivities', {}],
  ['DescribeLoadBalancers', {}],
  ['DescribeWarmPool', {}],
  ['PutLifecycleHook', { LifecycleHookName: 'hook', LifecycleTransition: LAUNCHING }],
  ['DescribeLifecycleHooks', { LifecycleHookNames: ['hook'] }],
  ['DeleteLifecycleHook', { LifecycleHookName: 'hook' }],
  ['PutScalingPolicy', { PolicyName: 'more', ...MORE }],
  ['ExecutePolicy', { PolicyName: 'more' }],
  ['DeletePolicy', { PolicyName: 'more' }],
  ['PutScheduledUpdateGroupAction', { ScheduledActionName: 'day', ...DAILY }],
  ['DeleteScheduledAction', { ScheduledActionName: 'day' }],
  ['StartInstanceRefresh', {}],
  ['CancelInstanceRefresh', {}],
  ['DescribeInstanceRefreshes', {}],
  ['AttachLoadBalancerTargetGroups', { TargetGroupARNs: [NO_TARGETS] }],
  ['DetachLoadBalancerTargetGroups', { TargetGroupARNs: [NO_TARGETS] }],
  ['DescribeLoadBalancerTargetGroups', {}],
]
/** Members that a request names and the group has not got. */
const OF_MEMBERS = NAMING.filter(([, ask]) => 'InstanceIds' in ask)

export const SCALING: readonly Row[] = [
  ['an unknown action', 'ScaleNothing', '', 'InvalidAction'],
  ['nothing', 'CreateAutoScalingGroup', {}, INVALID],
  creation('a taken name', web, 'AlreadyExists'),
  creation('a colon in the name', { AutoScalingGroupName: 'a:b' }),
  creation('a name of 256 characters', { AutoScalingGroupName: 'x'.repeat(256) }),
  creation('a minimum above the maximum', { MinSize: 2 }),
  creation('a negative minimum', { MinSize: -1 }),
  creation('a maximum of a million', { MaxSize: 1_000_000 }),
  creation('more than the maximum', { DesiredCapacity: 2 }),
  creation('no template', { LaunchTemplate: undefined }),
  creation('a launch configuration', { LaunchConfigurationName: 'old' }, 'UnsupportedOperation'),
  creation('an unknown template', { LaunchTemplate: { LaunchTemplateName: 'none' } }),
  creation('an unknown version', { LaunchTemplate: { ...LaunchTemplate, Version: '9' } }),
  creation('a version that is none', { LaunchTemplate: { ...LaunchTemplate, Version: 'first' } }),
  creation('no place', { VPCZoneIdentifier: undefined }),
  creation('an unknown subnet', { VPCZoneIdentifier: 'subnet-01234567' }),
  creation('an unknown zone', { VPCZoneIdentifier: undefined, AvailabilityZones: ['moon-1a'] }),
  creation('another zone than the subnet’s', { AvailabilityZones: ['mallee-1-b'] }),
  [
    'subnets of two VPCs',
    'CreateAutoScalingGroup',
    create(({ subnet, otherSubnet }) => ({ VPCZoneIdentifier: `${subnet},${otherSubnet}` })),
    INVALID,
  ],
  creation('an unknown health check', { HealthCheckType: 'PULSE' }),
  creation('a health check of volumes', { HealthCheckType: 'EBS' }, 'UnsupportedOperation'),
  creation('an unknown termination policy', { TerminationPolicies: ['Nicest'] }),
  creation('a lifetime of an hour', { MaxInstanceLifetime: 3_600 }),
  creation('a negative grace period', { HealthCheckGracePeriod: -1 }),
  creation('an unknown target group', { TargetGroupARNs: ['arn:aws:x'] }),
  creation('a classic load balancer', { LoadBalancerNames: ['old'] }),
  creation('capacity rebalancing', { CapacityRebalance: true }, 'UnsupportedOperation'),
  creation(
    'a foreign role',
    { ServiceLinkedRoleARN: 'arn:aws:iam::1:role/x' },
    'UnsupportedOperation',
  ),
  creation('a placement group that is not there', { PlacementGroup: 'none' }),
  creation('a reserved tag', { Tags: [{ Key: 'aws:x', Value: 'y' }] }),
  creation(
    '51 tags',
    { Tags: Array.from({ length: 51 }, (_, i) => ({ Key: `${i}`, Value: '' })) },
    'LimitExceeded',
  ),
  ...NAMING.map(([action, ask]): Row => ['an unknown group', action, { ...none, ...ask }, INVALID]),
  ...OF_MEMBERS.map(
    ([action, ask]): Row => ['an unknown instance', action, { ...web, ...ask }, INVALID],
  ),
  ['instances in it', 'DeleteAutoScalingGroup', web, 'ResourceInUse'],
  ['more than the maximum', 'SetDesiredCapacity', { ...web, DesiredCapacity: 2 }, INVALID],
  ['a minimum above the maximum', 'UpdateAutoScalingGroup', { ...web, MinSize: 2 }, INVALID],
  [
    'a template and a policy',
    'UpdateAutoScalingGroup',
    { ...web, LaunchTemplate, MixedInstancesPolicy: MIXED },
    INVALID,
  ],
  [
    'one more than it may have',
    'AttachInstances',
    ({ running }) => ({ ...web, InstanceIds: [running] }),
    INVALID,
  ],
  [
    'an instance that is not in standby',
    'ExitStandby',
    ({ guarded }) => ({ ...web, InstanceIds: [guarded] }),
    INVALID,
  ],
  [
    'an unknown instance',
    'TerminateInstanceInAutoScalingGroup',
    { InstanceId: 'i-01234567', ShouldDecrementDesiredCapacity: false },
    INVALID,
  ],
  [
    'an instance of no group',
    'TerminateInstanceInAutoScalingGroup',
    ({ running }) => ({ InstanceId: running, ShouldDecrementDesiredCapacity: false }),
    INVALID,
  ],
  [
    'an unknown instance',
    'SetInstanceHealth',
    { InstanceId: 'i-01234567', HealthStatus: 'Healthy' },
    INVALID,
  ],
  [
    'an unknown health',
    'SetInstanceHealth',
    ({ guarded }) => ({ InstanceId: guarded, HealthStatus: 'Poorly' }),
    INVALID,
  ],
  ['an unknown process', 'SuspendProcesses', { ...web, ScalingProcesses: ['Sleep'] }, INVALID],
  [
    'an unknown target group',
    'AttachLoadBalancerTargetGroups',
    { ...web, TargetGroupARNs: [NO_TARGETS] },
    INVALID,
  ],
  [
    'a target group that it has not got',
    'DetachLoadBalancerTargetGroups',
    { ...web, TargetGroupARNs: [NO_TARGETS] },
    INVALID,
  ],
  ['a hook of no transition', 'PutLifecycleHook', { ...web, LifecycleHookName: 'hook' }, INVALID],
  [
    'a heartbeat of a second',
    'PutLifecycleHook',
    {
      ...{ ...web, LifecycleHookName: 'hook', LifecycleTransition: LAUNCHING },
      HeartbeatTimeout: 1,
    },
    INVALID,
  ],
  ['an unknown hook', 'DeleteLifecycleHook', { ...web, LifecycleHookName: 'none' }, INVALID],
  [
    'an instance that does not wait',
    'CompleteLifecycleAction',
    ({ guarded }) => ({
      ...{ ...web, LifecycleHookName: 'hook', InstanceId: guarded },
      LifecycleActionResult: 'CONTINUE',
    }),
    INVALID,
  ],
  [
    'a target to track',
    'PutScalingPolicy',
    { ...web, PolicyName: 'more', PolicyType: 'TargetTrackingScaling' },
    'UnsupportedOperation',
  ],
  ['no adjustment', 'PutScalingPolicy', { ...web, PolicyName: 'more' }, INVALID],
  ['an unknown policy', 'ExecutePolicy', { ...web, PolicyName: 'none' }, INVALID],
  [
    'a recurrence that is none',
    'PutScheduledUpdateGroupAction',
    { ...web, ScheduledActionName: 'day', MinSize: 0, Recurrence: 'daily' },
    INVALID,
  ],
  [
    'no size',
    'PutScheduledUpdateGroupAction',
    { ...web, ScheduledActionName: 'day', Recurrence: '0 8 * * *' },
    INVALID,
  ],
  ['an unknown name', 'DeleteScheduledAction', { ...web, ScheduledActionName: 'none' }, INVALID],
  ['none of them', 'CancelInstanceRefresh', web, 'ActiveInstanceRefreshNotFound'],
  [
    '101 percent',
    'StartInstanceRefresh',
    { ...web, Preferences: { MinHealthyPercentage: 101 } },
    INVALID,
  ],
  ['a reserved key', 'CreateOrUpdateTags', tag({ Key: 'aws:a' }), INVALID],
  ['another type', 'CreateOrUpdateTags', tag({ ResourceType: 'instance' }), INVALID],
  ['an unknown group', 'CreateOrUpdateTags', tag({ ResourceId: 'none' }), INVALID],
  ['an unknown group', 'DeleteTags', tag({ ResourceId: 'none' }), INVALID],
  ['a false token', 'DescribeAutoScalingGroups', { NextToken: 'nonsense' }, 'InvalidNextToken'],
  ['pages of 101', 'DescribeAutoScalingGroups', { MaxRecords: 101 }, INVALID],
  [
    'an unknown filter',
    'DescribeAutoScalingGroups',
    { Filters: [{ Name: 'size', Values: ['1'] }] },
    INVALID,
  ],
  ['an unknown filter', 'DescribeTags', { Filters: [{ Name: 'size', Values: ['1'] }] }, INVALID],
  ['a false token', 'DescribeTags', { NextToken: 'nonsense' }, 'InvalidNextToken'],
]
