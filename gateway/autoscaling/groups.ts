// Groups are made, changed and deleted. What they then do is control/scaling.ts's business.

import type { RandomHex } from '../../common/clock.ts'
import { ApiError } from '../aws/api-error.ts'
import type { AutoScalingHandlers, AutoScalingInputs, CallContext } from '../aws/handlers.ts'
import { checkQuota } from '../ec2/quotas.ts'
import type { ScalingGroupRecord } from '../store/scaling-records.ts'
import { invalid } from './errors.ts'
import { forgetGroup } from './forget.ts'
import { checkLaunches, whatAsked, whatNeeded } from './group-launch.ts'
import { placesAsked } from './group-places.ts'
import { parseCreate, parseUpdate } from './group-request.ts'
import { parseTags } from './group-tags.ts'
import {
  atTime,
  groupKey,
  holdGroup,
  newUuid,
  putGroup,
  refuseDeleted,
  type ScalingParts,
} from './groups-kept.ts'
import { parseHooks } from './lifecycle-hooks.ts'
import { checkTargetGroups, noTargets, sourcesNamed } from './targets.ts'

type GroupHandlers = Required<
  Pick<
    AutoScalingHandlers,
    | 'CreateAutoScalingGroup'
    | 'DeleteAutoScalingGroup'
    | 'SetDesiredCapacity'
    | 'UpdateAutoScalingGroup'
  >
>

/** What is checked as a launch would be when it changes. */
const PLACING = ['subnets', 'zones', 'placementGroup'] as const

export function groupHandlers(parts: ScalingParts): GroupHandlers {
  const { state, randomHex, region } = parts
  return {
    CreateAutoScalingGroup: async (context, input) => {
      const { account } = context.caller
      const { name, ...settings } = parseCreate(account, input)
      const tags = parseTags(name, input.Tags)
      if ((input.LoadBalancerNames ?? []).length > 0) throw noTargets('Load Balancers')
      const sources = sourcesNamed(input.TrafficSources)
      const targetGroups = [...new Set([...(input.TargetGroupARNs ?? []), ...sources])]
      await state.update(async (tx) => {
        const view = await state.fresh()
        const there = await tx.get('scaling-group', ...groupKey(account, name))
        if (there !== null) throw taken(there)
        const places = placesAsked(view, { region, account }, input)
        if (places === null) {
          throw invalid('At least one Availability Zone or VPC Subnet is required.')
        }
        const group: ScalingGroupRecord = {
          ...{ ...settings, ...whatNeeded(view, context, input), ...places, targetGroups },
          ...newGroup(randomHex, account, name, context.nowMs),
          ...{ tags, hooks: parseHooks(input.LifecycleHookSpecificationList) },
          cause: created(context.nowMs, settings.desired),
        }
        checkTargetGroups(view, region, group, targetGroups)
        await checkQuota(tx, state, account, 'auto-scaling-groups')
        await checkLaunches(tx, parts, context, group)
        await tx.put('scaling-group', groupKey(account, name), group)
      })
      return {}
    },

    UpdateAutoScalingGroup: async (context, input) => {
      const { account } = context.caller
      await state.update(async (tx) => {
        const { group, view } = await holdGroup(
          tx,
          state,
          account,
          input.AutoScalingGroupName ?? '',
        )
        refuseDeleted(group)
        const what = whatAsked(view, context, input)
        // A template takes the place of a mixed instances policy.
        const { mixed: _, ...base } = group
        const next: ScalingGroupRecord = {
          ...(what === null ? group : { ...base, ...what }),
          ...parseUpdate(account, group, input),
          ...placesAsked(view, { region, account }, inOwnSubnets(group, input)),
        }
        const isElsewhere = PLACING.some((part) => next[part] !== group[part])
        if (what !== null || isElsewhere) {
          await checkLaunches(tx, parts, context, next)
        }
        const cause = updated(context, group, next)
        await putGroup(tx, next, { cause, trouble: null, balanceAtMs: 0 })
      })
      return {}
    },

    SetDesiredCapacity: async (context, input) => {
      const { AutoScalingGroupName: name = '', DesiredCapacity: desired = 0 } = input
      await state.update(async (tx) => {
        const { group } = await holdGroup(tx, state, context.caller.account, name)
        refuseDeleted(group)
        if (input.HonorCooldown === true) refuseCooling(group, context.nowMs)
        checkDesired(group, desired)
        const cause =
          `${atTime(context.nowMs)} a user request explicitly set group desired capacity ` +
          `changing the desired capacity from ${group.desired} to ${desired}.`
        await putGroup(tx, group, { desired, cause, trouble: null })
      })
      return {}
    },

    DeleteAutoScalingGroup: async ({ caller: { account }, nowMs }, input) => {
      const { AutoScalingGroupName: name = '', ForceDelete: force = false } = input
      await state.update(async (tx) => {
        const { group, members, view } = await holdGroup(tx, state, account, name)
        checkDeletion(group, force)
        if (members.length === 0) return await forgetGroup(tx, view, group)
        if (!force) {
          if (members.every(({ state: now }) => now === 'Terminating')) throw inProgress()
          const text =
            'You cannot delete an AutoScalingGroup while there are instances or pending Spot ' +
            'instance request(s) still in the group.'
          throw new ApiError('ResourceInUse', text)
        }
        const cause = `${atTime(nowMs)} a user request force deleted the AutoScalingGroup.`
        const none = { min: 0, max: 0, desired: 0 }
        const deletedAtMs = group.deletedAtMs ?? nowMs
        await putGroup(tx, group, { ...none, cause, deletedAtMs, trouble: null })
      })
      return {}
    },
  }
}

function newGroup(randomHex: RandomHex, account: string, name: string, nowMs: number) {
  return {
    ...{ id: newUuid(randomHex), account, name, createdAtMs: nowMs },
    ...{ suspended: [], trouble: null, balanceAtMs: 0, cooldownUntilMs: 0 },
    ...{ deletedAtMs: null, turn: 0 },
  }
}

/** Zones alone are those of the subnets that the group has. */
function inOwnSubnets(
  { subnets }: ScalingGroupRecord,
  input: AutoScalingInputs['UpdateAutoScalingGroup'],
): AutoScalingInputs['UpdateAutoScalingGroup'] {
  const { VPCZoneIdentifier, AvailabilityZones = [], AvailabilityZoneIds = [] } = input
  const isOfZones = AvailabilityZones.length + AvailabilityZoneIds.length > 0
  if (!isOfZones || VPCZoneIdentifier !== undefined) return input
  return { ...input, VPCZoneIdentifier: subnets.join(',') }
}

/** Throws ValidationError for what is not between the group's bounds. */
export function checkDesired({ min, max }: ScalingGroupRecord, desired: number): void {
  const text = `New SetDesiredCapacity value ${desired} is`
  if (desired > max) throw invalid(`${text} above max value ${max} for the AutoScalingGroup.`)
  if (desired < min) throw invalid(`${text} below min value ${min} for the AutoScalingGroup.`)
}

export function refuseCooling({ cooldownUntilMs }: ScalingGroupRecord, nowMs: number): void {
  if (nowMs >= cooldownUntilMs) return
  const until = new Date(cooldownUntilMs).toISOString()
  throw new ApiError(
    'ScalingActivityInProgress',
    `The group is in its cooldown period until ${until}.`,
  )
}

function checkDeletion({ name, deletionProtection }: ScalingGroupRecord, force: boolean): void {
  const isRefused =
    deletionProtection === 'prevent-all-deletion' ||
    (deletionProtection === 'prevent-force-deletion' && force)
  if (!isRefused) return
  const how = force ? 'force deleted' : 'deleted'
  throw invalid(
    `AutoScalingGroup '${name}' cannot be ${how}: its deletion protection is ${deletionProtection}.`,
  )
}

function taken({ name, deletedAtMs }: ScalingGroupRecord): ApiError {
  const what = `AutoScalingGroup by this name already exists - A group with the name ${name}`
  const text = deletedAtMs === null ? `${what} already exists` : `${what} is pending delete`
  return new ApiError('AlreadyExists', text)
}

function inProgress(): ApiError {
  const text =
    'You cannot delete an AutoScalingGroup while there are scaling activities in progress for ' +
    'that group.'
  return new ApiError('ScalingActivityInProgress', text)
}

function created(nowMs: number, desired: number): string {
  return (
    `${atTime(nowMs)} a user request created an AutoScalingGroup changing the desired capacity ` +
    `from 0 to ${desired}.`
  )
}

function updated(
  { nowMs }: CallContext,
  before: ScalingGroupRecord,
  { min, max, desired }: ScalingGroupRecord,
): string {
  const change =
    before.desired === desired
      ? ''
      : ` changing the desired capacity from ${before.desired} to ${desired}`
  return (
    `${atTime(nowMs)} a user request update of AutoScalingGroup constraints to min: ${min}, ` +
    `max: ${max}, desired: ${desired}${change}.`
  )
}
