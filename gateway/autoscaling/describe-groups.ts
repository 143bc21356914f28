// DescribeAutoScalingGroups and DescribeAutoScalingInstances: what groups are and who is in them.

import type {
  AutoScalingGroup,
  AutoScalingInstanceDetails,
  Filter,
  Instance,
} from '@aws-sdk/client-auto-scaling'
import type { AutoScalingHandlers } from '../aws/handlers.ts'
import { zoneIdOf, zoneName } from '../ec2/zones.ts'
import type { ScalingGroupRecord, ScalingMemberRecord } from '../store/scaling-records.ts'
import type { View } from '../store/state.ts'
import { invalid } from './errors.ts'
import { zonesShown } from './group-places.ts'
import { serviceRole } from './group-request.ts'
import { tagsShown } from './group-tags.ts'
import { groupArn, groupKey, type ScalingParts } from './groups-kept.ts'
import { pageOf } from './paging.ts'

type DescribeHandlers = Required<
  Pick<AutoScalingHandlers, 'DescribeAutoScalingGroups' | 'DescribeAutoScalingInstances'>
>

/** Auto Scaling API reference: instances that one DescribeAutoScalingInstances names. */
const MAX_IDS = 50

export function describeHandlers({ state, region }: ScalingParts): DescribeHandlers {
  return {
    DescribeAutoScalingGroups: async ({ caller: { account } }, input) => {
      const view = await state.fresh()
      const names = input.AutoScalingGroupNames ?? []
      const groups =
        names.length === 0
          ? view.by('scaling-group', 'account', account)
          : [...new Set(names)]
              .map((name) => view.get('scaling-group', ...groupKey(account, name)))
              .filter((group) => group !== null)
      const tests = (input.Filters ?? []).map(testOf)
      const found = groups.filter((group) => tests.every((test) => test(group)))
      const { items, nextToken } = pageOf(input, found, ({ name }) => name)
      const hasInstances = input.IncludeInstances !== false
      return {
        AutoScalingGroups: items.map((group) => groupShape(view, region, group, hasInstances)),
        NextToken: nextToken,
      }
    },

    DescribeAutoScalingInstances: async ({ caller: { account } }, input) => {
      const view = await state.fresh()
      const ids = input.InstanceIds ?? []
      if (ids.length > MAX_IDS) throw invalid(`The request names more than ${MAX_IDS} instances.`)
      const members = view
        .by('scaling-member', 'account', account)
        .filter(({ instance }) => ids.length === 0 || ids.includes(instance))
      const { items, nextToken } = pageOf(input, members, ({ instance }) => instance)
      const names = new Map(
        view.by('scaling-group', 'account', account).map(({ id, name }) => [id, name]),
      )
      return {
        AutoScalingInstances: items.map(
          (member): AutoScalingInstanceDetails => ({
            ...memberShape(view, region, member),
            HealthStatus: member.healthy ? 'HEALTHY' : 'UNHEALTHY',
            AutoScalingGroupName: names.get(member.group),
          }),
        ),
        NextToken: nextToken,
      }
    },
  }
}

function groupShape(
  view: View,
  region: string,
  group: ScalingGroupRecord,
  hasInstances: boolean,
): AutoScalingGroup {
  const { account, name, mixed, template, suspended, warmupSeconds, maxLifetimeSeconds } = group
  const members = hasInstances ? view.by('scaling-member', 'group', group.id) : []
  const asked = {
    LaunchTemplateId: template.id,
    LaunchTemplateName: template.name,
    Version: template.version,
  }
  return {
    AutoScalingGroupName: name,
    AutoScalingGroupARN: groupArn(region, group),
    ...(mixed === undefined ? { LaunchTemplate: asked } : { MixedInstancesPolicy: mixed }),
    MinSize: group.min,
    MaxSize: group.max,
    DesiredCapacity: group.desired,
    DefaultCooldown: group.cooldownSeconds,
    ...zonesShown(view, region, group),
    LoadBalancerNames: [],
    TargetGroupARNs: [...group.targetGroups],
    HealthCheckType: group.healthCheckType,
    HealthCheckGracePeriod: group.gracePeriodSeconds,
    Instances: members.map((member) => memberShape(view, region, member)),
    CreatedTime: new Date(group.createdAtMs),
    SuspendedProcesses: suspended.map((ProcessName) => ({
      ProcessName,
      SuspensionReason: 'User suspended',
    })),
    PlacementGroup: group.placementGroup === '' ? undefined : group.placementGroup,
    VPCZoneIdentifier: group.subnets.join(','),
    EnabledMetrics: [],
    Status: group.deletedAtMs === null ? undefined : 'Delete in progress',
    Tags: tagsShown(group),
    TerminationPolicies: [...group.terminationPolicies],
    NewInstancesProtectedFromScaleIn: group.protectsNew,
    ServiceLinkedRoleARN: serviceRole(account),
    MaxInstanceLifetime: maxLifetimeSeconds === 0 ? undefined : maxLifetimeSeconds,
    CapacityRebalance: false,
    DefaultInstanceWarmup: warmupSeconds ?? undefined,
    TrafficSources: group.targetGroups.map((Identifier) => ({ Identifier, Type: 'elbv2' })),
    DeletionProtection: group.deletionProtection,
    AvailabilityZoneDistribution: { CapacityDistributionStrategy: group.distribution },
  }
}

function memberShape(
  view: View,
  region: string,
  { instance, type, rack, state, healthy, template, hold, ...member }: ScalingMemberRecord,
): Required<Pick<Instance, 'InstanceId' | 'AvailabilityZone' | 'ProtectedFromScaleIn'>> &
  Instance & { LifecycleState: NonNullable<Instance['LifecycleState']> } {
  return {
    InstanceId: instance,
    InstanceType: type,
    AvailabilityZone: zoneName(region, rack),
    AvailabilityZoneId: zoneIdOf(view, region, rack),
    LifecycleState: isWaiting(hold) ? (`${state}:Wait` as 'Pending:Wait') : state,
    HealthStatus: healthy ? 'Healthy' : 'Unhealthy',
    LaunchTemplate:
      template === null
        ? undefined
        : {
            LaunchTemplateId: template.id,
            LaunchTemplateName: template.name,
            Version: template.version,
          },
    ProtectedFromScaleIn: member.protected,
  }
}

function isWaiting(hold: ScalingMemberRecord['hold']): boolean {
  return (hold ?? []).some((one) => one.result === null)
}

/** By tags alone (Auto Scaling API reference, DescribeAutoScalingGroups). */
function testOf({ Name = '', Values = [] }: Filter): (group: ScalingGroupRecord) => boolean {
  if (Name === 'tag-key') return ({ tags }) => tags.some(({ key }) => Values.includes(key))
  if (Name === 'tag-value') return ({ tags }) => tags.some(({ value }) => Values.includes(value))
  if (!Name.startsWith('tag:')) {
    throw invalid(
      `Filter type ${Name.slice(0, 100)} is not correct. Allowed Filter types are: tag-key, tag-value, tag:<key>`,
    )
  }
  const wanted = Name.slice('tag:'.length)
  return ({ tags }) => tags.some(({ key, value }) => key === wanted && Values.includes(value))
}
