// Target groups of a group: attached, detached, shown; also under the name of traffic sources.

import type { AutoScalingHandlers, CallContext } from '../aws/handlers.ts'
import { instanceHealth } from '../elb/instance-targets.ts'
import type { ScalingGroupRecord } from '../store/scaling-records.ts'
import type { View } from '../store/state.ts'
import { invalid } from './errors.ts'
import {
  groupInView,
  holdGroup,
  putGroup,
  refuseDeleted,
  type ScalingParts,
} from './groups-kept.ts'
import { pageOf } from './paging.ts'
import {
  addToTargets,
  checkTargetGroups,
  sourcesNamed,
  TARGET_GROUP_TYPE,
  takeFromTargets,
} from './targets.ts'

type TargetHandlers = Required<
  Pick<
    AutoScalingHandlers,
    | 'AttachLoadBalancerTargetGroups'
    | 'AttachTrafficSources'
    | 'DescribeLoadBalancerTargetGroups'
    | 'DescribeTrafficSources'
    | 'DetachLoadBalancerTargetGroups'
    | 'DetachTrafficSources'
  >
>

/** Target groups of one request (API reference, AttachLoadBalancerTargetGroups). */
const MAX_NAMED = 10

export function targetHandlers(parts: ScalingParts): TargetHandlers {
  const { state, region } = parts
  const attach = (context: CallContext, name: string | undefined, arns: readonly string[]) =>
    change(parts, context, name, arns, true)
  const detach = (context: CallContext, name: string | undefined, arns: readonly string[]) =>
    change(parts, context, name, arns, false)
  return {
    AttachLoadBalancerTargetGroups: (context, input) =>
      attach(context, input.AutoScalingGroupName, input.TargetGroupARNs ?? []),

    DetachLoadBalancerTargetGroups: (context, input) =>
      detach(context, input.AutoScalingGroupName, input.TargetGroupARNs ?? []),

    AttachTrafficSources: (context, input) =>
      attach(context, input.AutoScalingGroupName, sourcesNamed(input.TrafficSources)),

    DetachTrafficSources: (context, input) =>
      detach(context, input.AutoScalingGroupName, sourcesNamed(input.TrafficSources)),

    DescribeLoadBalancerTargetGroups: async ({ caller: { account } }, input) => {
      const view = await state.fresh()
      const group = groupInView(view, account, input.AutoScalingGroupName ?? '')
      const { items, nextToken } = pageOf(input, group.targetGroups, (arn) => arn)
      return {
        LoadBalancerTargetGroups: items.map((arn) => ({
          LoadBalancerTargetGroupARN: arn,
          State: stateOf(view, region, group, arn),
        })),
        NextToken: nextToken,
      }
    },

    DescribeTrafficSources: async ({ caller: { account } }, input) => {
      const view = await state.fresh()
      const group = groupInView(view, account, input.AutoScalingGroupName ?? '')
      const type = input.TrafficSourceType ?? TARGET_GROUP_TYPE
      const arns = type === TARGET_GROUP_TYPE ? group.targetGroups : []
      const { items, nextToken } = pageOf(input, arns, (arn) => arn)
      return {
        TrafficSources: items.map((Identifier) => ({
          ...{ Identifier, TrafficSource: Identifier, Type: TARGET_GROUP_TYPE },
          State: stateOf(view, region, group, Identifier),
        })),
        NextToken: nextToken,
      }
    },
  }
}

/** All members that are in service become targets, or are targets no more. */
async function change(
  parts: ScalingParts,
  { caller: { account }, nowMs }: CallContext,
  name: string | undefined,
  arns: readonly string[],
  isAttached: boolean,
): Promise<object> {
  const { state, region } = parts
  const named = [...new Set(arns)]
  if (named.length === 0 || named.length > MAX_NAMED) {
    throw invalid(`The request must name 1 to ${MAX_NAMED} target groups.`)
  }
  await state.update(async (tx) => {
    const { group, members, view } = await holdGroup(tx, state, account, name ?? '')
    refuseDeleted(group)
    const serving = members.filter((one) => one.state === 'InService').map((one) => one.instance)
    const whose = { account, targetGroups: named }
    if (isAttached) {
      const targetGroups = [...new Set([...group.targetGroups, ...named])]
      checkTargetGroups(view, region, { ...group, targetGroups }, named)
      const isOn = !group.suspended.includes('AddToLoadBalancer')
      if (isOn) await addToTargets(tx, parts, whose, serving, nowMs)
      await putGroup(tx, group, { targetGroups, trouble: null })
      return
    }
    const missing = named.find((arn) => !group.targetGroups.includes(arn))
    if (missing !== undefined) {
      throw invalid(`Trying to remove Target Groups that are not part of the group: ${missing}`)
    }
    await takeFromTargets(tx, parts, whose, serving, nowMs)
    await putGroup(tx, group, {
      targetGroups: group.targetGroups.filter((arn) => !named.includes(arn)),
      trouble: null,
    })
  })
  return {}
}

/** `InService` when one of the group is healthy there, `Added` until then. */
function stateOf(
  view: View,
  region: string,
  { id, account }: ScalingGroupRecord,
  targetGroupArn: string,
): 'Added' | 'InService' {
  const isServing = view.by('scaling-member', 'group', id).some(({ instance }) => {
    const { state } = instanceHealth(view, region, { account, targetGroupArn, instance })
    return state === 'healthy'
  })
  return isServing ? 'InService' : 'Added'
}
