// Scaling policies that somebody executes: simple ones and those of steps. There are no alarms
// here, so policies that follow a metric by themselves are refused.

import type { ScalingPolicy, StepAdjustment } from '@aws-sdk/client-auto-scaling'
import { ApiError } from '../aws/api-error.ts'
import type { AutoScalingHandlers, AutoScalingInputs } from '../aws/handlers.ts'
import { refuseUnknown, unsupported } from '../ec2/input.ts'
import type { ScalingGroupRecord, ScalingPolicyRecord } from '../store/scaling-records.ts'
import type { View } from '../store/state.ts'
import { invalid } from './errors.ts'
import { refuseCooling } from './groups.ts'
import {
  atTime,
  groupsCalled,
  holdGroup,
  newUuid,
  putGroup,
  refuseDeleted,
  type ScalingParts,
} from './groups-kept.ts'
import { pageOf } from './paging.ts'
import { adjusted, checkSteps, stepFor } from './policy-steps.ts'

type PolicyHandlers = Required<
  Pick<
    AutoScalingHandlers,
    'DeletePolicy' | 'DescribePolicies' | 'ExecutePolicy' | 'PutScalingPolicy'
  >
>
type PutInput = AutoScalingInputs['PutScalingPolicy']

/** Auto Scaling user guide, "Quotas". */
const MAX_POLICIES = 50
const SECOND_MS = 1_000
const NAME = /^[ -9;-~]{1,255}$/
const ADJUSTMENTS: readonly string[] = [
  'ChangeInCapacity',
  'ExactCapacity',
  'PercentChangeInCapacity',
]
const AGGREGATIONS: readonly string[] = ['Average', 'Maximum', 'Minimum']
const KNOWN = new Set([
  ...['AutoScalingGroupName', 'PolicyName', 'PolicyType', 'AdjustmentType', 'Cooldown'],
  ...['MinAdjustmentStep', 'MinAdjustmentMagnitude', 'ScalingAdjustment', 'StepAdjustments'],
  ...['MetricAggregationType', 'EstimatedInstanceWarmup', 'Enabled'],
])
const NOTHING = new Map<string, readonly unknown[]>()

export function policyHandlers(parts: ScalingParts): PolicyHandlers {
  const { state, region, randomHex } = parts
  return {
    PutScalingPolicy: async ({ caller: { account } }, input) => {
      const { AutoScalingGroupName: name = '', PolicyName: policyName = '' } = input
      const asked = parsePolicy(input)
      const made = await state.update(async (tx) => {
        const { group, view } = await holdGroup(tx, state, account, name)
        refuseDeleted(group)
        const all = view.by('scaling-policy', 'group', group.id)
        const before = all.find((one) => one.name === policyName)
        if (before === undefined && all.length >= MAX_POLICIES) {
          const text = `An AutoScalingGroup has at most ${MAX_POLICIES} scaling policies.`
          throw new ApiError('LimitExceeded', text)
        }
        const policy: ScalingPolicyRecord = {
          ...{ id: before?.id ?? newUuid(randomHex), account, group: group.id, name: policyName },
          ...asked,
        }
        await tx.put('scaling-policy', [policy.id], policy)
        // Who deletes the group has seen this policy, or finds the group changed.
        await putGroup(tx, group)
        return { PolicyARN: policyArn(region, group, policy), Alarms: [] }
      })
      return made
    },

    DescribePolicies: async ({ caller: { account } }, input) => {
      const view = await state.fresh()
      const { AutoScalingGroupName: name, PolicyNames: names = [], PolicyTypes: types = [] } = input
      const groups = groupsCalled(view, account, name)
      const found = groups.flatMap((group) =>
        view
          .by('scaling-policy', 'group', group.id)
          .filter((one) => types.length === 0 || types.includes(one.type))
          .filter((one) => names.length === 0 || names.some((asked) => isNamed(one, asked)))
          .map((policy) => ({ group, policy })),
      )
      const cursor = ({ group, policy }: (typeof found)[number]): string =>
        `${group.name}:${policy.name}`
      const { items, nextToken } = pageOf(input, found, cursor)
      const shown = items.map(({ group, policy }) => policyShape(region, group, policy))
      return { ScalingPolicies: shown, NextToken: nextToken }
    },

    DeletePolicy: async ({ caller: { account } }, input) => {
      await state.update(async (tx) => {
        const { group, policy } = named(await state.fresh(), account, input)
        const held = await holdGroup(tx, state, account, group.name)
        await tx.delete('scaling-policy', policy.id)
        await putGroup(tx, held.group)
      })
      return {}
    },

    ExecutePolicy: async ({ caller: { account }, nowMs }, input) => {
      await state.update(async (tx) => {
        const { group: found, policy } = named(await state.fresh(), account, input)
        const { group } = await holdGroup(tx, state, account, found.name)
        refuseDeleted(group)
        const current = await tx.get('scaling-policy', policy.id)
        if (current === null) throw noPolicy(policy.name)
        if (!current.enabled) throw invalid(`The policy ${policy.name} is disabled.`)
        const isSimple = current.type === 'SimpleScaling'
        if (isSimple && input.HonorCooldown === true) refuseCooling(group, nowMs)
        const adjustment = isSimple ? current.adjustment : stepOf(current, input)
        const desired = adjusted(current, group, adjustment)
        const cooldownSeconds = current.cooldownSeconds ?? group.cooldownSeconds
        const change = `changing the desired capacity from ${group.desired} to ${desired}`
        const cause = `${atTime(nowMs)} a user request executed policy ${policy.name} ${change}.`
        await putGroup(tx, group, {
          ...(isSimple ? { cooldownUntilMs: nowMs + cooldownSeconds * SECOND_MS } : {}),
          ...(desired === group.desired ? {} : { desired, cause, trouble: null }),
        })
      })
      return {}
    },
  }
}

function parsePolicy(
  input: PutInput,
): Omit<ScalingPolicyRecord, 'id' | 'account' | 'group' | 'name'> {
  const { PolicyName: name = '', PolicyType: type = 'SimpleScaling' } = input
  if (type !== 'SimpleScaling' && type !== 'StepScaling') {
    throw unsupported(`A scaling policy of the type ${type.slice(0, 50)}`)
  }
  refuseUnknown(input, KNOWN, NOTHING)
  if (!NAME.test(name)) throw invalid('A policy has a name of 1 to 255 characters without a colon.')
  const { AdjustmentType: kind = '', StepAdjustments: steps = [], Cooldown: cooldown } = input
  if (!ADJUSTMENTS.includes(kind)) {
    throw invalid(`Invalid adjustment type: ${kind.slice(0, 50)}. Valid: ${ADJUSTMENTS.join(', ')}`)
  }
  const { MetricAggregationType: aggregation = 'Average' } = input
  if (!AGGREGATIONS.includes(aggregation)) {
    throw invalid(`Invalid metric aggregation type: ${aggregation.slice(0, 50)}`)
  }
  const isSimple = type === 'SimpleScaling'
  if (isSimple && (input.ScalingAdjustment === undefined || steps.length > 0)) {
    throw invalid('A policy of the type SimpleScaling needs ScalingAdjustment, and has no steps.')
  }
  if (!isSimple && (input.ScalingAdjustment !== undefined || cooldown !== undefined)) {
    throw invalid('A policy of the type StepScaling has neither ScalingAdjustment nor Cooldown.')
  }
  if (!isSimple) checkSteps(steps)
  const magnitude = input.MinAdjustmentMagnitude ?? input.MinAdjustmentStep ?? null
  if (magnitude !== null && kind !== 'PercentChangeInCapacity') {
    throw invalid('MinAdjustmentMagnitude is only for the adjustment type PercentChangeInCapacity.')
  }
  return {
    ...{
      type,
      kind: kind as ScalingPolicyRecord['kind'],
      adjustment: input.ScalingAdjustment ?? 0,
    },
    steps: steps.map((step) => ({
      lower: step.MetricIntervalLowerBound ?? null,
      upper: step.MetricIntervalUpperBound ?? null,
      adjustment: step.ScalingAdjustment ?? 0,
    })),
    ...{ magnitude, cooldownSeconds: cooldown ?? null, aggregation },
    warmupSeconds: input.EstimatedInstanceWarmup ?? null,
    enabled: input.Enabled !== false,
  }
}

function policyShape(
  region: string,
  group: ScalingGroupRecord,
  policy: ScalingPolicyRecord,
): ScalingPolicy {
  const isSimple = policy.type === 'SimpleScaling'
  const magnitude = policy.magnitude ?? undefined
  return {
    AutoScalingGroupName: group.name,
    PolicyName: policy.name,
    PolicyARN: policyArn(region, group, policy),
    PolicyType: policy.type,
    AdjustmentType: policy.kind,
    MinAdjustmentStep: magnitude,
    MinAdjustmentMagnitude: magnitude,
    ScalingAdjustment: isSimple ? policy.adjustment : undefined,
    Cooldown: policy.cooldownSeconds ?? undefined,
    StepAdjustments: policy.steps.map(
      ({ lower, upper, adjustment }): StepAdjustment => ({
        MetricIntervalLowerBound: lower ?? undefined,
        MetricIntervalUpperBound: upper ?? undefined,
        ScalingAdjustment: adjustment,
      }),
    ),
    MetricAggregationType: isSimple ? undefined : policy.aggregation,
    EstimatedInstanceWarmup: policy.warmupSeconds ?? undefined,
    Alarms: [],
    Enabled: policy.enabled,
  }
}

function policyArn(
  region: string,
  { account, name }: ScalingGroupRecord,
  policy: ScalingPolicyRecord,
): string {
  const of = `autoScalingGroupName/${name}:policyName/${policy.name}`
  return `arn:aws:autoscaling:${region}:${account}:scalingPolicy:${policy.id}:${of}`
}

function isNamed({ id, name }: ScalingPolicyRecord, asked: string): boolean {
  return asked === name || (asked.startsWith('arn:') && asked.includes(`:scalingPolicy:${id}:`))
}

/** Throws ValidationError when there is none, or several and no group is named. */
function named(
  view: View,
  account: string,
  asked: { AutoScalingGroupName?: string | undefined; PolicyName: string | undefined },
): { group: ScalingGroupRecord; policy: ScalingPolicyRecord } {
  const { AutoScalingGroupName: name, PolicyName: policyName = '' } = asked
  const groups = groupsCalled(view, account, name)
  const found = groups.flatMap((group) =>
    view
      .by('scaling-policy', 'group', group.id)
      .filter((policy) => isNamed(policy, policyName))
      .map((policy) => ({ group, policy })),
  )
  const [first] = found
  if (first === undefined) throw noPolicy(policyName)
  if (found.length > 1) throw invalid('Several groups have such a policy: name the group as well.')
  return first
}

function noPolicy(name: string): ApiError {
  return invalid(`PolicyName ${name.slice(0, 255)} not found`)
}

function stepOf({ steps }: ScalingPolicyRecord, input: AutoScalingInputs['ExecutePolicy']): number {
  const { MetricValue: value, BreachThreshold: threshold } = input
  if (value === undefined || threshold === undefined) {
    throw invalid('MetricValue and BreachThreshold are required for a policy of StepScaling.')
  }
  const step = stepFor(steps, value - threshold)
  if (step !== null) return step.adjustment
  throw invalid(
    `No step of the policy is for a metric of ${value} and a threshold of ${threshold}.`,
  )
}
