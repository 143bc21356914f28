// The walk through Auto Scaling: a group over two racks, its instances, and what it says of both.

import { type Row, steps } from './row.ts'

const GROUP = { AutoScalingGroupName: 'walk' }
const MEMBERS = { ...GROUP, InstanceIds: ['<member>'] }
const NAMES = { AutoScalingGroupNames: ['walk'] }
const STATE = 'AutoScalingInstances.0.LifecycleState'
const ASK = { InstanceIds: ['<member>'] }
const TAG = { ResourceId: 'walk', ResourceType: 'auto-scaling-group', Key: 'part' }

const SOURCES = { TrafficSources: [{ Identifier: '<scaled>' }] }

const TARGETS: readonly Row[] = [
  [
    'CreateTargetGroup',
    { Name: 'scaled', Protocol: 'TCP', Port: 80, VpcId: '<vpc>' },
    { keep: { scaled: 'TargetGroups.0.TargetGroupArn' } },
  ],
]
const HOOK = { ...GROUP, LifecycleHookName: 'walk' }
const LAUNCHING = 'autoscaling:EC2_INSTANCE_LAUNCHING'
const POLICY = { ...GROUP, PolicyName: 'walk' }
const SCHEDULED = { ...GROUP, ScheduledActionName: 'once' }

const ROWS: readonly Row[] = [
  ['DescribeAccountLimits', {}, { want: { NumberOfAutoScalingGroups: 0 } }],
  [
    'DescribeAdjustmentTypes',
    {},
    { want: { 'AdjustmentTypes.*.AdjustmentType': 'ExactCapacity' } },
  ],
  [
    'DescribeAutoScalingNotificationTypes',
    {},
    { want: { 'AutoScalingNotificationTypes.*': 'autoscaling:EC2_INSTANCE_LAUNCH' } },
  ],
  [
    'DescribeLifecycleHookTypes',
    {},
    { want: { 'LifecycleHookTypes.*': 'autoscaling:EC2_INSTANCE_LAUNCHING' } },
  ],
  ['DescribeScalingProcessTypes', {}, { want: { 'Processes.*.ProcessName': 'Launch' } }],
  [
    'DescribeTerminationPolicyTypes',
    {},
    { want: { 'TerminationPolicyTypes.*': 'OldestInstance' } },
  ],
  ['DescribeLaunchConfigurations', {}, { want: { 'LaunchConfigurations.0': null } }],
  ['DescribeNotificationConfigurations', {}, { want: { 'NotificationConfigurations.0': null } }],
  [
    'CreateAutoScalingGroup',
    {
      ...GROUP,
      LaunchTemplate: { LaunchTemplateId: '<template>', Version: '$Default' },
      ...{ MinSize: 0, MaxSize: 3, DesiredCapacity: 1, HealthCheckGracePeriod: 30 },
      VPCZoneIdentifier: '<subnet>,<farSubnet>',
    },
  ],
  ['DescribeAutoScalingGroups', NAMES, { wait: 'group_exists' }],
  [
    'DescribeAutoScalingGroups',
    NAMES,
    {
      until: true,
      want: { 'AutoScalingGroups.0.Instances.0.LifecycleState': 'InService' },
      keep: { member: 'AutoScalingGroups.0.Instances.0.InstanceId' },
    },
  ],
  ['DescribeAutoScalingGroups', NAMES, { wait: 'group_in_service' }],
  ['UpdateAutoScalingGroup', { ...GROUP, MaxSize: 4 }],
  ['DescribeAutoScalingGroups', {}, { want: { 'AutoScalingGroups.0.MaxSize': 4 } }],
  ['SetInstanceProtection', { ...MEMBERS, ProtectedFromScaleIn: true }],
  ['SetInstanceHealth', { InstanceId: '<member>', HealthStatus: 'Healthy' }],
  [
    'DescribeAutoScalingInstances',
    {},
    {
      want: {
        'AutoScalingInstances.*.InstanceId': '<member>',
        'AutoScalingInstances.*.ProtectedFromScaleIn': true,
      },
    },
  ],
  ['SetInstanceProtection', { ...MEMBERS, ProtectedFromScaleIn: false }],
  [
    'EnterStandby',
    { ...MEMBERS, ShouldDecrementDesiredCapacity: true },
    { want: { 'Activities.0.AutoScalingGroupName': 'walk' } },
  ],
  ['DescribeAutoScalingInstances', ASK, { until: true, want: { [STATE]: 'Standby' } }],
  ['ExitStandby', MEMBERS, { want: { 'Activities.0.AutoScalingGroupName': 'walk' } }],
  ['DescribeAutoScalingInstances', ASK, { until: true, want: { [STATE]: 'InService' } }],
  [
    'DetachInstances',
    { ...MEMBERS, ShouldDecrementDesiredCapacity: true },
    { want: { 'Activities.0.ActivityId': '*' } },
  ],
  ['DescribeAutoScalingInstances', ASK, { until: true, want: { 'AutoScalingInstances.0': null } }],
  ['AttachInstances', MEMBERS],
  ['DescribeAutoScalingInstances', ASK, { until: true, want: { [STATE]: 'InService' } }],
  ['CreateOrUpdateTags', { Tags: [{ ...TAG, Value: 'é', PropagateAtLaunch: true }] }],
  [
    'DescribeTags',
    { Filters: [{ Name: 'auto-scaling-group', Values: ['walk'] }] },
    { want: { 'Tags.0.Value': 'é' } },
  ],
  [
    'DeleteTags',
    { Tags: [TAG] },
    { argv: ['--tags', 'ResourceId=walk,ResourceType=auto-scaling-group,Key=part'] },
  ],
  ['PutLifecycleHook', { ...HOOK, LifecycleTransition: LAUNCHING, HeartbeatTimeout: 60 }],
  ['DescribeLifecycleHooks', GROUP, { want: { 'LifecycleHooks.0.HeartbeatTimeout': 60 } }],
  // Nobody waits for it.
  [
    'RecordLifecycleActionHeartbeat',
    { ...HOOK, InstanceId: '<member>' },
    { refused: 'ValidationError' },
  ],
  [
    'CompleteLifecycleAction',
    { ...HOOK, InstanceId: '<member>', LifecycleActionResult: 'CONTINUE' },
    { refused: 'ValidationError' },
  ],
  ['DeleteLifecycleHook', HOOK],
  [
    'PutScalingPolicy',
    { ...POLICY, AdjustmentType: 'ChangeInCapacity', ScalingAdjustment: 1 },
    { want: { PolicyARN: '~:policyName/walk$' } },
  ],
  ['DescribePolicies', GROUP, { want: { 'ScalingPolicies.0.ScalingAdjustment': 1 } }],
  ['ExecutePolicy', POLICY],
  ['DescribeAutoScalingGroups', NAMES, { want: { 'AutoScalingGroups.0.DesiredCapacity': 2 } }],
  ['DeletePolicy', POLICY],
  ['PutScheduledUpdateGroupAction', { ...SCHEDULED, MinSize: 1, StartTime: '<later>' }],
  [
    'BatchPutScheduledUpdateGroupAction',
    {
      ...GROUP,
      ScheduledUpdateGroupActions: [
        { ScheduledActionName: 'daily', DesiredCapacity: 1, Recurrence: '0 8 * * *' },
      ],
    },
  ],
  [
    'DescribeScheduledActions',
    GROUP,
    { want: { 'ScheduledUpdateGroupActions.*.Recurrence': '0 8 * * *' } },
  ],
  ['DeleteScheduledAction', SCHEDULED],
  ['BatchDeleteScheduledAction', { ...GROUP, ScheduledActionNames: ['daily'] }],
  ['DescribeScheduledActions', GROUP, { want: { 'ScheduledUpdateGroupActions.0': null } }],
  ['DescribeLoadBalancers', GROUP, { want: { 'LoadBalancers.0': null } }],
  ['DescribeWarmPool', GROUP, { want: { 'Instances.0': null } }],
  ['AttachLoadBalancerTargetGroups', { ...GROUP, TargetGroupARNs: ['<scaled>'] }],
  [
    'DescribeLoadBalancerTargetGroups',
    GROUP,
    { want: { 'LoadBalancerTargetGroups.0.LoadBalancerTargetGroupARN': '<scaled>' } },
  ],
  ['DetachLoadBalancerTargetGroups', { ...GROUP, TargetGroupARNs: ['<scaled>'] }],
  ['AttachTrafficSources', { ...GROUP, ...SOURCES }],
  [
    'DescribeTrafficSources',
    { ...GROUP, TrafficSourceType: 'elbv2' },
    { want: { 'TrafficSources.0.TrafficSource': '<scaled>' } },
  ],
  ['DetachTrafficSources', { ...GROUP, ...SOURCES }],
  ['SetDesiredCapacity', { ...GROUP, DesiredCapacity: 2 }],
  [
    'DescribeAutoScalingGroups',
    NAMES,
    {
      until: true,
      want: {
        'AutoScalingGroups.0.Instances.1.LifecycleState': 'InService',
        'AutoScalingGroups.0.Instances.0.LifecycleState': 'InService',
      },
    },
  ],
  ['SuspendProcesses', { ...GROUP, ScalingProcesses: ['AZRebalance'] }],
  ['ResumeProcesses', { ...GROUP, ScalingProcesses: ['AZRebalance'] }],
  [
    'TerminateInstanceInAutoScalingGroup',
    { InstanceId: '<member>', ShouldDecrementDesiredCapacity: true },
    { want: { 'Activity.AutoScalingGroupName': 'walk' } },
  ],
  [
    'StartInstanceRefresh',
    { ...GROUP, Strategy: 'Rolling' },
    { keep: { refresh: 'InstanceRefreshId' } },
  ],
  ['DescribeInstanceRefreshes', GROUP, { want: { 'InstanceRefreshes.0.Status': 'InProgress' } }],
  ['CancelInstanceRefresh', GROUP, { want: { InstanceRefreshId: '<refresh>' } }],
  ['DescribeInstanceRefreshes', GROUP, { want: { 'InstanceRefreshes.0.Status': 'Cancelled' } }],
  ['DescribeScalingActivities', GROUP, { want: { 'Activities.*.StatusCode': 'Successful' } }],
  ['DeleteAutoScalingGroup', { ...GROUP, ForceDelete: true }],
  ['DescribeAutoScalingGroups', NAMES, { until: true, want: { 'AutoScalingGroups.0': null } }],
  ['DescribeAutoScalingGroups', NAMES, { wait: 'group_not_exists' }],
]

export const AUTO_SCALING_STEPS = [
  ...steps('elasticloadbalancing', TARGETS),
  ...steps('autoscaling', ROWS),
  ...steps('elasticloadbalancing', [['DeleteTargetGroup', { TargetGroupArn: '<scaled>' }]]),
]
