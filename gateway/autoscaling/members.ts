// Instances of Auto Scaling groups in transactions: found by their ids, taken out, let go.

import { ApiError } from '../aws/api-error.ts'
import { terminate } from '../ec2/instance-actions.ts'
import { removeTags } from '../ec2/tagging.ts'
import type {
  ScalingActivityRecord,
  ScalingGroupRecord,
  ScalingHook,
  ScalingMemberRecord,
} from '../store/scaling-records.ts'
import type { State, Transaction } from '../store/state.ts'
import { endActivity, putActivity } from './activities.ts'
import { invalid } from './errors.ts'
import { GROUP_TAG } from './group-launch.ts'
import { type Held, holdGroup, putMember, type ScalingParts } from './groups-kept.ts'
import { addToTargets, takeFromTargets } from './targets.ts'

const MAX_IDS = 200

/** A member by its instance alone, with its group. Throws ValidationError when there is none. */
export async function holdMember(
  tx: Transaction,
  state: State,
  account: string,
  instance: string,
  text: string,
): Promise<Held & { readonly member: ScalingMemberRecord }> {
  const member = await tx.get('scaling-member', instance)
  if (member?.account !== account) throw invalid(text)
  const [found] = (await state.fresh()).by('scaling-group', 'id', member.group)
  if (found === undefined)
    throw new ApiError('ResourceContention', 'The group is changing; try again')
  return { ...(await holdGroup(tx, state, account, found.name)), member }
}

/** The members that a request names. Throws ValidationError for what is not in the group. */
export function membersNamed(
  { group, members }: Held,
  ids: readonly string[] | undefined,
): ScalingMemberRecord[] {
  const unique = [...new Set(ids ?? [])]
  if (unique.length === 0) throw invalid('The request must name at least one instance.')
  if (unique.length > MAX_IDS) throw invalid(`The request names more than ${MAX_IDS} instances.`)
  return unique.map((id) => {
    const member = members.find((one) => one.instance === id)
    if (member !== undefined) return member
    throw invalid(
      `The instance ${id.slice(0, 100)} is not part of Auto Scaling group ${group.name}.`,
    )
  })
}

/**
 * Its instance is terminated, also one that is protected from that; it is a member until then. One
 * that is a target ends its connections first, and hooks are waited for: the loop ends it then.
 */
export async function takeOut(
  tx: Transaction,
  parts: ScalingParts,
  about: {
    readonly group: ScalingGroupRecord
    readonly member: ScalingMemberRecord
    readonly cause: string
    readonly nowMs: number
  },
): Promise<ScalingActivityRecord> {
  const { group, member, cause, nowMs } = about
  const { instance: id, subnet, rack } = member
  await endActivity(tx, member.activity, 'Cancelled', nowMs)
  const activity = await putActivity(tx, parts, group, {
    description: `Terminating EC2 instance: ${id}`,
    ...{ cause, subnet, rack, nowMs },
  })
  await takeFromTargets(tx, parts, group, [id], nowMs)
  const waits = group.targetGroups.length > 0 || group.hooks.some(isOfEnd)
  const instance = waits ? null : await tx.get('instance', id)
  if (instance !== null) await terminate(tx, instance, nowMs)
  await putMember(tx, { ...member, state: 'Terminating', hold: null, activity: activity.id })
  return activity
}

/** The instance goes on, and is nobody's member. */
export async function letGo(
  tx: Transaction,
  parts: ScalingParts,
  group: ScalingGroupRecord,
  { instance, activity, account }: ScalingMemberRecord,
  nowMs: number,
): Promise<void> {
  await takeFromTargets(tx, parts, group, [instance], nowMs)
  await endActivity(tx, activity, 'Successful', nowMs)
  await tx.delete('scaling-member', instance)
  const owner = { kind: 'instance', id: instance, account } as const
  await removeTags(tx, owner, (key) => key === GROUP_TAG)
}

/** `To <what> 2 instances, please update the sizes`, as AWS refuses what does not fit. */
export function sizesRefused(
  { name, min, max, desired }: ScalingGroupRecord,
  what: string,
  count: number,
): ApiError {
  return invalid(
    `AutoScalingGroup ${name} has min-size=${min}, max-size=${max}, and desired-size=${desired}. ` +
      `To ${what} ${count} instance${count === 1 ? '' : 's'}, please update the AutoScalingGroup ` +
      'sizes appropriately.',
  )
}

/** From now on members are targets of the group's target groups, unless its user stopped that. */
export async function serve(
  tx: Transaction,
  parts: ScalingParts,
  group: ScalingGroupRecord,
  instances: readonly string[],
  nowMs: number,
): Promise<void> {
  if (group.suspended.includes('AddToLoadBalancer')) return
  await addToTargets(tx, parts, group, instances, nowMs)
}

function isOfEnd({ transition }: ScalingHook): boolean {
  return transition === 'terminating'
}
