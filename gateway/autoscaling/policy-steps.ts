// What a scaling policy makes of a desired capacity. Pure (Auto Scaling user guide, "Step and
// simple scaling policies").

import type { StepAdjustment } from '@aws-sdk/client-auto-scaling'
import type {
  ScalingGroupRecord,
  ScalingPolicyRecord,
  ScalingStep,
} from '../store/scaling-records.ts'
import { invalid } from './errors.ts'

const MAX_STEPS = 20
const ALL = 100

/** Throws ValidationError for steps that overlap, leave a gap or have no bound at all. */
export function checkSteps(asked: readonly StepAdjustment[]): void {
  if (asked.length === 0 || asked.length > MAX_STEPS) {
    throw invalid(`A policy of the type StepScaling has 1 to ${MAX_STEPS} steps.`)
  }
  const steps = asked
    .map(({ MetricIntervalLowerBound: lower, MetricIntervalUpperBound: upper }) => ({
      lower: lower ?? Number.NEGATIVE_INFINITY,
      upper: upper ?? Number.POSITIVE_INFINITY,
    }))
    .sort((a, b) => a.lower - b.lower)
  for (const [i, { lower, upper }] of steps.entries()) {
    const isEndless = !Number.isFinite(lower) && !Number.isFinite(upper)
    if (isEndless || lower >= upper || (lower < 0 && upper > 0)) {
      throw invalid('The bounds of a step must be in order, and both on one side of the threshold.')
    }
    const next = steps[i + 1]
    if (next !== undefined && next.lower !== upper && !(upper <= 0 && next.lower >= 0)) {
      throw invalid('The steps of a policy must neither overlap nor leave a gap.')
    }
  }
}

/** The step for a metric that is so far above (or below) the threshold; null for none. */
export function stepFor(steps: readonly ScalingStep[], above: number): ScalingStep | null {
  const found = steps.find(({ lower, upper }) => {
    const [least, most] = [lower ?? Number.NEGATIVE_INFINITY, upper ?? Number.POSITIVE_INFINITY]
    // Above the threshold the lower bound is in the step, below it the upper one.
    return least >= 0 ? above >= least && above < most : above > least && above <= most
  })
  return found ?? null
}

/** The desired capacity after an adjustment, within the group's bounds. */
export function adjusted(
  { kind, magnitude }: Pick<ScalingPolicyRecord, 'kind' | 'magnitude'>,
  { desired, min, max }: Pick<ScalingGroupRecord, 'desired' | 'min' | 'max'>,
  adjustment: number,
): number {
  const wanted = {
    ChangeInCapacity: desired + adjustment,
    ExactCapacity: adjustment,
    PercentChangeInCapacity: desired + percentOf(desired, adjustment, magnitude ?? 1),
  }[kind]
  return Math.min(max, Math.max(min, wanted))
}

/** Rounded towards nothing, but at least `least` of what there is to change. */
function percentOf(desired: number, percent: number, least: number): number {
  const change = (desired * percent) / ALL
  if (change === 0) return 0
  return Math.sign(change) * Math.max(least, Math.floor(Math.abs(change)))
}
