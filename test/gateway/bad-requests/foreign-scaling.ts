// For each action of Auto Scaling: what a second account asks with names and ids of the first's
// groups, instances and what groups are made of, and what it is told.

import assert from 'node:assert/strict'
import { randomHex, systemClock } from '../../../common/clock.ts'
import { silentLog } from '../../../common/log.ts'
import { tendGroups } from '../../../gateway/control/scaling.ts'
import { DIGEST, REGION } from '../ec2/support.ts'
import type { Credentials } from '../iam/world.ts'
import type { Asks } from './foreign-iam.ts'
import type { Ground } from './ground.ts'

interface Scaling {
  readonly name: string
  readonly template: string
  readonly subnet: string
  readonly member: string
  readonly activity: string
  /** By its ARN. */
  readonly policy: string
}

const TOLD = /^ValidationError$/
const OWN = 'own'
const LAUNCHING = 'autoscaling:EC2_INSTANCE_LAUNCHING'

/** A group of each account that has launched an instance. */
export async function scalingThings({
  world,
}: Pick<Ground, 'world'>): Promise<{ theirs: Scaling; own: Scaling }> {
  const make = async (as: Credentials, name: string): Promise<Scaling> => {
    const [ec2, scaling] = [world.ec2(as), world.autoScaling(as)]
    const image = { Name: name, ImageLocation: `sha256:${DIGEST}` }
    const { ImageId } = await ec2.registerImage(image)
    const { LaunchTemplate } = await ec2.createLaunchTemplate({
      LaunchTemplateName: name,
      LaunchTemplateData: { ImageId, InstanceType: 't3.nano' },
    })
    const template = LaunchTemplate?.LaunchTemplateId ?? ''
    const { Subnets } = await ec2.describeSubnets({
      Filters: [{ Name: 'default-for-az', Values: ['true'] }],
    })
    const subnet = Subnets?.[0]?.SubnetId ?? ''
    await scaling.createAutoScalingGroup({
      ...{ AutoScalingGroupName: name, MinSize: 0, MaxSize: 3, DesiredCapacity: 1 },
      ...{ LaunchTemplate: { LaunchTemplateId: template }, VPCZoneIdentifier: subnet },
      Tags: [{ ResourceId: name, ResourceType: 'auto-scaling-group', Key: 'a', Value: name }],
    })
    const parts = { state: world.state, randomHex, sealer: world.sealer, region: REGION }
    await world.state.fresh()
    await tendGroups({ ...parts, clock: systemClock, log: silentLog, startedAtMs: 0 }, null)
    const names = { AutoScalingGroupNames: [name] }
    const [group] = (await scaling.describeAutoScalingGroups(names)).AutoScalingGroups ?? []
    const member = group?.Instances?.[0]?.InstanceId
    const asked = { AutoScalingGroupName: name }
    const { Activities } = await scaling.describeScalingActivities(asked)
    const activity = Activities?.[0]?.ActivityId
    const { PolicyARN: policy } = await scaling.putScalingPolicy({
      ...{ ...asked, PolicyName: 'more', AdjustmentType: 'ChangeInCapacity' },
      ScalingAdjustment: 1,
    })
    await scaling.putScheduledUpdateGroupAction({
      ...{ ...asked, ScheduledActionName: 'day', MinSize: 1, Recurrence: '0 8 * * *' },
    })
    await scaling.putLifecycleHook({
      ...{ ...asked, LifecycleHookName: 'hook', LifecycleTransition: LAUNCHING },
    })
    assert.ok(member && activity && policy)
    return { name, template, subnet, member, activity, policy }
  }
  return { theirs: await make(world.root, 'theirs'), own: await make(world.other, 'mine') }
}

export function scalingAsks(ground: Ground, theirs: Scaling, own: Scaling): Asks {
  const [group, mine] = [theirs, own].map(({ name }) => ({ AutoScalingGroupName: name }))
  const [member, ownMember] = [theirs, own].map((one) => ({ InstanceIds: [one.member] }))
  const hook = { LifecycleHookName: 'hook' }
  const held = { InstanceId: theirs.member }
  const fewer = { ShouldDecrementDesiredCapacity: true }
  const tags = { Tags: [{ ...tagOf(theirs.name), Value: 'x', PropagateAtLaunch: false }] }
  const sources = { TrafficSources: [{ Identifier: ground.targetGroup, Type: 'elbv2' }] }
  const template = { LaunchTemplate: { LaunchTemplateId: theirs.template } }
  const byName = { LaunchTemplate: { LaunchTemplateName: theirs.name, Version: '1' } }
  const base = {
    ...{ AutoScalingGroupName: 'new', MinSize: 0, MaxSize: 1, VPCZoneIdentifier: own.subnet },
    LaunchTemplate: { LaunchTemplateId: own.template },
  }
  const inMine = [
    [{ ...mine, ...template }, TOLD],
    [{ ...mine, ...byName }, TOLD],
    [{ ...mine, VPCZoneIdentifier: theirs.subnet }, TOLD],
    [{ ...mine, PlacementGroup: 'near' }, TOLD],
  ] as const
  const overrides = [{ LaunchTemplateSpecification: template.LaunchTemplate }]
  const mixed = {
    LaunchTemplate: { LaunchTemplateSpecification: base.LaunchTemplate, Overrides: overrides },
  }
  return {
    UpdateAutoScalingGroup: [[{ ...group, MaxSize: 1 }, TOLD], ...inMine],
    SetDesiredCapacity: [[{ ...group, DesiredCapacity: 0 }, TOLD]],
    DeleteAutoScalingGroup: [[{ ...group, ForceDelete: true }, TOLD]],
    DescribeAutoScalingGroups: [
      [{ AutoScalingGroupNames: [theirs.name] }, OWN],
      [{ Filters: [{ Name: 'tag:a', Values: [theirs.name] }] }, OWN],
      [{}, OWN],
    ],
    DescribeAutoScalingInstances: [
      [member ?? {}, OWN],
      [{}, OWN],
    ],
    DescribeScalingActivities: [
      [group ?? {}, TOLD],
      [{ ...group, IncludeDeletedGroups: true }, TOLD],
      [{ ActivityIds: [theirs.activity] }, OWN],
      [{}, OWN],
    ],
    TerminateInstanceInAutoScalingGroup: [[{ InstanceId: theirs.member, ...fewer }, TOLD]],
    SetInstanceHealth: [[{ InstanceId: theirs.member, HealthStatus: 'Unhealthy' }, TOLD]],
    SetInstanceProtection: [
      [{ ...group, ...member, ProtectedFromScaleIn: true }, TOLD],
      [{ ...mine, ...member, ProtectedFromScaleIn: true }, TOLD],
    ],
    AttachInstances: [
      [{ ...group, ...ownMember }, TOLD],
      [{ ...mine, ...member }, TOLD],
      [{ ...mine, InstanceIds: [ground.running] }, TOLD],
    ],
    DetachInstances: [
      [{ ...group, ...member, ...fewer }, TOLD],
      [{ ...mine, ...member, ...fewer }, TOLD],
    ],
    EnterStandby: [
      [{ ...group, ...member, ...fewer }, TOLD],
      [{ ...mine, ...member, ...fewer }, TOLD],
    ],
    ExitStandby: [
      [{ ...group, ...member }, TOLD],
      [{ ...mine, ...member }, TOLD],
    ],
    AttachLoadBalancerTargetGroups: [
      [{ ...group, TargetGroupARNs: [ground.targetGroup] }, TOLD],
      [{ ...mine, TargetGroupARNs: [ground.targetGroup] }, TOLD],
    ],
    DetachLoadBalancerTargetGroups: [
      [{ ...group, TargetGroupARNs: [ground.targetGroup] }, TOLD],
      [{ ...mine, TargetGroupARNs: [ground.targetGroup] }, TOLD],
    ],
    DescribeLoadBalancerTargetGroups: [[group ?? {}, TOLD]],
    AttachTrafficSources: [
      [{ ...group, ...sources }, TOLD],
      [{ ...mine, ...sources }, TOLD],
    ],
    DetachTrafficSources: [
      [{ ...group, ...sources }, TOLD],
      [{ ...mine, ...sources }, TOLD],
    ],
    DescribeTrafficSources: [[group ?? {}, TOLD]],
    SuspendProcesses: [[group ?? {}, TOLD]],
    ResumeProcesses: [[group ?? {}, TOLD]],
    CreateOrUpdateTags: [[tags, TOLD]],
    DeleteTags: [[tags, TOLD]],
    DescribeTags: [
      [{ Filters: [{ Name: 'auto-scaling-group', Values: [theirs.name] }] }, OWN],
      [{}, OWN],
    ],
    DescribeNotificationConfigurations: [[{ AutoScalingGroupNames: [theirs.name] }, OWN]],
    DescribeLifecycleHooks: [[group ?? {}, TOLD]],
    PutLifecycleHook: [[{ ...group, ...hook, LifecycleTransition: LAUNCHING }, TOLD]],
    DeleteLifecycleHook: [[{ ...group, ...hook }, TOLD]],
    CompleteLifecycleAction: [
      [{ ...group, ...hook, ...held, LifecycleActionResult: 'CONTINUE' }, TOLD],
      [{ ...mine, ...hook, ...held, LifecycleActionResult: 'CONTINUE' }, TOLD],
    ],
    RecordLifecycleActionHeartbeat: [
      [{ ...group, ...hook, ...held }, TOLD],
      [{ ...mine, ...hook, ...held }, TOLD],
    ],
    StartInstanceRefresh: [
      [group ?? {}, TOLD],
      [{ ...mine, DesiredConfiguration: template }, TOLD],
    ],
    CancelInstanceRefresh: [[group ?? {}, TOLD]],
    DescribeInstanceRefreshes: [[group ?? {}, TOLD]],
    PutScalingPolicy: [
      [
        {
          ...{ ...group, PolicyName: 'more', AdjustmentType: 'ChangeInCapacity' },
          ScalingAdjustment: 1,
        },
        TOLD,
      ],
    ],
    DescribePolicies: [
      [group ?? {}, OWN],
      [{ PolicyNames: ['more', theirs.policy] }, OWN],
    ],
    ExecutePolicy: [
      [{ ...group, PolicyName: 'more' }, TOLD],
      [{ PolicyName: theirs.policy }, TOLD],
    ],
    DeletePolicy: [
      [{ ...group, PolicyName: 'more' }, TOLD],
      [{ PolicyName: theirs.policy }, TOLD],
    ],
    PutScheduledUpdateGroupAction: [
      [{ ...group, ScheduledActionName: 'day', MinSize: 1, Recurrence: '0 8 * * *' }, TOLD],
    ],
    BatchPutScheduledUpdateGroupAction: [
      // Each of a batch is answered by itself.
      [
        {
          ...group,
          ScheduledUpdateGroupActions: [
            { ScheduledActionName: 'day', MinSize: 1, Recurrence: '0 8 * * *' },
          ],
        },
        OWN,
      ],
    ],
    DescribeScheduledActions: [
      [group ?? {}, OWN],
      [{ ScheduledActionNames: ['day'] }, OWN],
    ],
    DeleteScheduledAction: [[{ ...group, ScheduledActionName: 'day' }, TOLD]],
    BatchDeleteScheduledAction: [[{ ...group, ScheduledActionNames: ['day'] }, OWN]],
    DescribeLoadBalancers: [[group ?? {}, TOLD]],
    DescribeWarmPool: [[group ?? {}, TOLD]],
    DescribeLaunchConfigurations: [[{ LaunchConfigurationNames: [theirs.name] }, OWN]],
    DescribeScalingProcessTypes: [[{}, OWN]],
    DescribeTerminationPolicyTypes: [[{}, OWN]],
    DescribeAutoScalingNotificationTypes: [[{}, OWN]],
    DescribeAdjustmentTypes: [[{}, OWN]],
    DescribeLifecycleHookTypes: [[{}, OWN]],
    DescribeAccountLimits: [[{}, OWN]],
    CreateAutoScalingGroup: [
      [{ ...base, ...template }, TOLD],
      [{ ...base, ...byName }, TOLD],
      [{ ...base, LaunchTemplate: undefined, MixedInstancesPolicy: mixed }, TOLD],
      [{ ...base, VPCZoneIdentifier: theirs.subnet }, TOLD],
      [{ ...base, PlacementGroup: 'near' }, TOLD],
      [{ ...base, LaunchTemplate: undefined, InstanceId: theirs.member }, /./],
      [{ ...base, TargetGroupARNs: [ground.targetGroup] }, TOLD],
      // Names are an account's own.
      [{ ...base, ...group }, OWN],
    ],
  }
}

/** None of these is in an answer to the other account. */
export function scalingMarks({ member, activity, template, policy }: Scaling): string[] {
  return [member, activity, template, policy]
}

function tagOf(name: string): object {
  return { ResourceId: name, ResourceType: 'auto-scaling-group', Key: 'a' }
}
