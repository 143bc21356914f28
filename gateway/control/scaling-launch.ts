// A launch of an Auto Scaling group: the instances, their membership and their activities are
// written in one transaction, so none of them is ever there without the others.

import type { Log } from '../../common/log.ts'
import { putActivity } from '../autoscaling/activities.ts'
import { GROUP_TAG, runsOf } from '../autoscaling/group-launch.ts'
import {
  atTime,
  groupKey,
  isActive,
  newUuid,
  putGroup,
  putMember,
  type ScalingParts,
} from '../autoscaling/groups-kept.ts'
import { goneTargetGroup } from '../autoscaling/targets.ts'
import { ApiError } from '../aws/api-error.ts'
import type { CallContext } from '../aws/handlers.ts'
import { launchIn } from '../ec2/run-instances.ts'
import type { InstanceRecord } from '../store/records.ts'
import type { ScalingGroupRecord, ScalingTemplate } from '../store/scaling-records.ts'
import type { Transaction, View } from '../store/state.ts'
import type { GroupSeen, Step } from './scaling-plan.ts'

type LaunchStep = Extract<Step, { kind: 'launch' }>
type Run = ReturnType<typeof runsOf>[number]['run']

export interface Refused {
  readonly message: string
  /** It may go well in another rack. */
  readonly isOfPlace: boolean
}

interface LaunchParts extends ScalingParts {
  readonly log: Log
}

/** What is so only where it was tried. */
const OF_PLACE: ReadonlySet<string> = new Set([
  'InsufficientInstanceCapacity',
  'InsufficientFreeAddressesInSubnet',
  'InsufficientAddressCapacity',
  'InvalidSubnetID.NotFound',
  'MissingInput',
])
const NO_TEMPLATE = /^InvalidLaunchTemplate(Id|Name)\.(NotFound|NotFoundException|VersionNotFound)$/

/** Null: done. `stale`: the group changed meanwhile, and nothing was done. */
export async function launchMembers(
  parts: LaunchParts,
  seen: GroupSeen,
  step: LaunchStep,
): Promise<Refused | 'stale' | null> {
  const { group } = seen
  let refused: Refused | null = null
  if (goneTargetGroup(parts.state.view(), parts.region, group) !== undefined) {
    const why = 'One or more target groups not found. Validating load balancer configuration failed'
    return { message: why, isOfPlace: false }
  }
  try {
    const runs = runsOf(parts.state.view(), parts.region, group, step)
    for (const { template, run } of runs) {
      try {
        const isDone = await parts.state.update((tx) =>
          launchOnce(parts, tx, seen, { step, template, run }),
        )
        return isDone ? null : 'stale'
      } catch (error) {
        refused = refusalOf(error, group)
        if (!refused.isOfPlace) return refused
      }
    }
  } catch (error) {
    return refusalOf(error, group)
  }
  return refused
}

/** False when the group is not as it was when this was planned. */
async function launchOnce(
  parts: LaunchParts,
  tx: Transaction,
  seen: GroupSeen,
  what: { readonly step: LaunchStep; readonly template: ScalingTemplate; readonly run: Run },
): Promise<boolean> {
  const { step, template, run } = what
  const { account, name, id, turn } = seen.group
  const group = await tx.get('scaling-group', ...groupKey(account, name))
  if (group?.id !== id || group.turn !== turn) return false
  const { instances } = await launchIn(tx, parts, {
    context: serviceContext(parts, group, seen.nowMs),
    input: { ...run, MinCount: 1, MaxCount: step.count },
    ownTags: new Map([[GROUP_TAG, group.name]]),
  })
  let have = seen.members.filter(({ member }) => isActive(member)).length
  for (const instance of instances) {
    const cause = causeOf(group, step, seen.nowMs, have)
    have += 1
    await join(parts, tx, { group, instance, template, step, cause, nowMs: seen.nowMs })
  }
  await putGroup(tx, group)
  parts.log.info('instances launched for a group', {
    ...{ account, group: name, rack: step.rack, count: instances.length },
  })
  return true
}

async function join(
  parts: LaunchParts,
  tx: Transaction,
  about: {
    readonly group: ScalingGroupRecord
    readonly instance: InstanceRecord
    readonly template: ScalingTemplate
    readonly step: LaunchStep
    readonly cause: string
    readonly nowMs: number
  },
): Promise<void> {
  const { group, instance, template, step, cause, nowMs } = about
  const { id, rack, subnet, type } = instance
  const activity = await putActivity(tx, parts, group, {
    description: `Launching a new EC2 instance: ${id}`,
    ...{ cause, subnet, rack, nowMs },
  })
  await putMember(tx, {
    ...{ instance: id, account: group.account, group: group.id, state: 'Pending', healthy: true },
    ...{ protected: group.protectsNew, rack, subnet, type, template },
    ...{
      hold: null,
      balances: step.balances,
      activity: activity.id,
      joinedAtMs: nowMs,
      inServiceAtMs: null,
    },
  })
}

function causeOf(
  { cause }: ScalingGroupRecord,
  { balances }: LaunchStep,
  nowMs: number,
  have: number,
): string {
  const at = atTime(nowMs)
  if (balances) return `${at} an instance was launched to aid in balancing the group's zones.`
  if (cause === '') {
    return `${at} an instance was launched in response to an unhealthy instance needing to be replaced.`
  }
  return (
    `${cause}  ${at} an instance was started in response to a difference between desired and ` +
    `actual capacity, increasing the capacity from ${have} to ${have + 1}.`
  )
}

/** Launches are the group's service role's: who made the group was asked about them then. */
function serviceContext(
  { randomHex, log }: LaunchParts,
  { account }: ScalingGroupRecord,
  nowMs: number,
): CallContext {
  const session = 'assumed-role/AWSServiceRoleForAutoScaling/AutoScaling'
  return {
    caller: {
      account,
      userArn: `arn:aws:sts::${account}:${session}`,
      userId: account,
      accessKeyId: '',
    },
    requestId: newUuid(randomHex),
    nowMs,
    log,
    parameters: new Map(),
  }
}

/** Throws what is no refusal: the store's trouble, and a cloud that is busy. */
function refusalOf(error: unknown, { template }: ScalingGroupRecord): Refused {
  if (!(error instanceof ApiError) || error.code === 'Unavailable') throw error
  if (NO_TEMPLATE.test(error.code)) {
    const what = `template ID ${template.id}, version ${template.version}`
    const message = `The specified launch template, with ${what}, does not exist`
    return { message, isOfPlace: false }
  }
  return { message: error.message, isOfPlace: OF_PLACE.has(error.code) }
}

/** The number of the version; -1 of a template that is not the group's any more. */
export function versionOf(
  view: View,
  { template: now, overrides }: ScalingGroupRecord,
  template: ScalingTemplate | null,
): number {
  const ids = [now, ...overrides.map((one) => one.template ?? now)].map(({ id }) => id)
  const isSame = template !== null && ids.includes(template.id)
  return isSame && view.get('launch-template', template.id) !== null ? Number(template.version) : -1
}
