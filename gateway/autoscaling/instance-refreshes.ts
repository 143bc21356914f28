// Instance refreshes: all instances of a group are replaced, some at a time, so that those of an
// older template go. What is next control/scaling-refresh.ts plans.

import type { InstanceRefresh, RefreshPreferences } from '@aws-sdk/client-auto-scaling'
import { ApiError } from '../aws/api-error.ts'
import type { AutoScalingHandlers, AutoScalingInputs } from '../aws/handlers.ts'
import { isOutdated } from '../control/scaling-refresh.ts'
import { refuseUnknown, unsupported } from '../ec2/input.ts'
import type { InstanceRefreshRecord, ScalingGroupRecord } from '../store/scaling-records.ts'
import type { View } from '../store/state.ts'
import { within } from './errors.ts'
import { currentVersion, whatAsked } from './group-launch.ts'
import {
  groupInView,
  holdGroup,
  newUuid,
  putGroup,
  refuseDeleted,
  type ScalingParts,
} from './groups-kept.ts'
import { pageOf } from './paging.ts'

type RefreshHandlers = Required<
  Pick<
    AutoScalingHandlers,
    'CancelInstanceRefresh' | 'DescribeInstanceRefreshes' | 'StartInstanceRefresh'
  >
>

/** Auto Scaling API reference, RefreshPreferences. */
const USUAL_HEALTHY = 90
const ALL = 100
const MAX_SECONDS = 21_600
/** Of one group: older ones are forgotten. */
const MAX_KEPT = 50
const KNOWN = new Set([
  ...['AutoScalingGroupName', 'Strategy', 'DesiredConfiguration', 'Preferences'],
])
const PREFERENCES_KNOWN = new Set([
  ...['MinHealthyPercentage', 'InstanceWarmup', 'SkipMatching'],
  ...['ScaleInProtectedInstances', 'StandbyInstances'],
])
const PREFERENCES_HARMLESS = new Map<string, readonly unknown[]>([
  ['MaxHealthyPercentage', [ALL]],
  ['AutoRollback', [false]],
  ['BakeTime', [0]],
])
const NOTHING = new Map<string, readonly unknown[]>()

export function refreshHandlers(parts: ScalingParts): RefreshHandlers {
  const { state, randomHex } = parts
  return {
    StartInstanceRefresh: async ({ caller: { account }, nowMs }, input) => {
      refuseUnknown(input, KNOWN, NOTHING)
      if ((input.Strategy ?? 'Rolling') !== 'Rolling') {
        throw unsupported(`An instance refresh of the strategy ${input.Strategy}`)
      }
      const preferences = parsePreferences(input.Preferences ?? {})
      const id = await state.update(async (tx) => {
        const held = await holdGroup(tx, state, account, input.AutoScalingGroupName ?? '')
        const { group, view, members } = held
        refuseDeleted(group)
        checkDesired(view, group, input)
        const all = view.by('instance-refresh', 'group', group.id)
        if (all.some(isActive)) {
          const text =
            'An Instance Refresh is already in progress and blocks the execution of this ' +
            'Instance Refresh.'
          throw new ApiError('InstanceRefreshInProgress', text)
        }
        const old = all.toSorted((a, b) => b.startedAtMs - a.startedAtMs).slice(MAX_KEPT - 1)
        for (const one of old) await tx.delete('instance-refresh', one.id)
        const refresh: InstanceRefreshRecord = {
          ...{ id: newUuid(randomHex), account, group: group.id, status: 'InProgress' },
          ...{ ...preferences, startedAtMs: nowMs, endedAtMs: null, left: 0 },
          total: members.filter((one) => one.state !== 'Terminating').length,
        }
        await tx.put('instance-refresh', [refresh.id], refresh)
        await putGroup(tx, group)
        return refresh.id
      })
      return { InstanceRefreshId: id }
    },

    CancelInstanceRefresh: async ({ caller: { account }, nowMs }, input) => {
      const { AutoScalingGroupName: name = '' } = input
      const id = await state.update(async (tx) => {
        const { group, view } = await holdGroup(tx, state, account, name)
        const active = view.by('instance-refresh', 'group', group.id).find(isActive)
        if (active === undefined) {
          const text = `No in progress or pending Instance Refresh found for Auto Scaling group ${name}`
          throw new ApiError('ActiveInstanceRefreshNotFound', text)
        }
        const left = leftOf(view, group, active)
        const ended = { status: 'Cancelled', endedAtMs: nowMs, left } as const
        await tx.put('instance-refresh', [active.id], { ...active, ...ended })
        await putGroup(tx, group)
        return active.id
      })
      return { InstanceRefreshId: id }
    },

    DescribeInstanceRefreshes: async ({ caller: { account } }, input) => {
      const view = await state.fresh()
      const group = groupInView(view, account, input.AutoScalingGroupName ?? '')
      const ids = input.InstanceRefreshIds ?? []
      const found = view
        .by('instance-refresh', 'group', group.id)
        .filter(({ id }) => ids.length === 0 || ids.includes(id))
      // The newest first.
      const cursor = ({ startedAtMs, id }: InstanceRefreshRecord): string =>
        `${String(Number.MAX_SAFE_INTEGER - startedAtMs).padStart(16, '0')} ${id}`
      const { items, nextToken } = pageOf(input, found, cursor)
      const shown = items.map((one) => refreshShape(view, group, one))
      return { InstanceRefreshes: shown, NextToken: nextToken }
    },
  }
}

function isActive({ status }: InstanceRefreshRecord): boolean {
  return status === 'InProgress'
}

type Preferences = Pick<
  InstanceRefreshRecord,
  'minHealthy' | 'warmupSeconds' | 'skipMatching' | 'onProtected' | 'onStandby'
>

function parsePreferences(asked: RefreshPreferences): Preferences {
  refuseUnknown(asked, PREFERENCES_KNOWN, PREFERENCES_HARMLESS, 'Preferences.')
  const { MinHealthyPercentage: healthy = USUAL_HEALTHY, InstanceWarmup: warmup } = asked
  return {
    minHealthy: within('minHealthyPercentage', healthy, 0, ALL),
    warmupSeconds: warmup === undefined ? null : within('instanceWarmup', warmup, 0, MAX_SECONDS),
    skipMatching: asked.SkipMatching === true,
    onProtected: asked.ScaleInProtectedInstances ?? 'Wait',
    onStandby: asked.StandbyInstances ?? 'Wait',
  }
}

/** A configuration that is the group's already says nothing new. */
function checkDesired(
  view: View,
  group: ScalingGroupRecord,
  { DesiredConfiguration: asked }: AutoScalingInputs['StartInstanceRefresh'],
): void {
  const what = asked === undefined ? null : whatAsked(view, { caller: group }, asked)
  if (what === null) return
  const partsOf = ({ template, overrides, spot }: typeof what): string =>
    JSON.stringify([template, overrides, spot])
  if (partsOf(what) === partsOf(group)) return
  throw unsupported('A desired configuration that is not the one of the group')
}

function leftOf(view: View, group: ScalingGroupRecord, refresh: InstanceRefreshRecord): number {
  const current = currentVersion(view, group)
  return view
    .by('scaling-member', 'group', group.id)
    .filter((member) => member.state !== 'Terminating')
    .filter((member) => isOutdated(group, refresh, member, current)).length
}

function refreshShape(
  view: View,
  group: ScalingGroupRecord,
  refresh: InstanceRefreshRecord,
): InstanceRefresh {
  const { total, endedAtMs, warmupSeconds } = refresh
  const left = isActive(refresh) ? leftOf(view, group, refresh) : refresh.left
  const done = Math.max(0, total - left)
  return {
    InstanceRefreshId: refresh.id,
    AutoScalingGroupName: group.name,
    Status: refresh.status,
    StartTime: new Date(refresh.startedAtMs),
    EndTime: endedAtMs === null ? undefined : new Date(endedAtMs),
    PercentageComplete: total === 0 || left === 0 ? ALL : Math.floor((done / total) * ALL),
    InstancesToUpdate: left,
    Strategy: 'Rolling',
    Preferences: {
      MinHealthyPercentage: refresh.minHealthy,
      InstanceWarmup: warmupSeconds ?? undefined,
      SkipMatching: refresh.skipMatching,
      ScaleInProtectedInstances: refresh.onProtected,
      StandbyInstances: refresh.onStandby,
      AutoRollback: false,
    },
  }
}
