// Instances that come into a group and leave it without being launched or terminated: attached,
// detached, put aside and taken back.

import type { Activity } from '@aws-sdk/client-auto-scaling'
import type { AutoScalingHandlers, CallContext } from '../aws/handlers.ts'
import { addTags } from '../ec2/tagging.ts'
import type { InstanceRecord } from '../store/records.ts'
import type {
  ScalingActivityRecord,
  ScalingGroupRecord,
  ScalingMemberRecord,
} from '../store/scaling-records.ts'
import type { Transaction } from '../store/state.ts'
import { activityShape, putActivity } from './activities.ts'
import { invalid } from './errors.ts'
import { GROUP_TAG } from './group-launch.ts'
import { zonesOf } from './group-places.ts'
import {
  atTime,
  type Held,
  holdGroup,
  isActive,
  putGroup,
  putMember,
  refuseDeleted,
  type ScalingParts,
} from './groups-kept.ts'
import { letGo, membersNamed, serve, sizesRefused } from './members.ts'
import { takeFromTargets } from './targets.ts'

type MembershipHandlers = Required<
  Pick<AutoScalingHandlers, 'AttachInstances' | 'DetachInstances' | 'EnterStandby' | 'ExitStandby'>
>

interface Asked {
  readonly AutoScalingGroupName: string | undefined
  readonly InstanceIds?: readonly string[] | undefined
}

/** What is done with each of the instances that a request names. */
interface Move {
  /** As the refusal says it when the group would get too small or too large. */
  readonly words: string
  /** Of the activity, before the id. */
  readonly description: string
  readonly from: readonly ScalingMemberRecord['state'][]
  /** What becomes of the desired capacity with each of them. */
  readonly desired: -1 | 0 | 1
  readonly cause: string
  readonly change: (
    tx: Transaction,
    group: ScalingGroupRecord,
    member: ScalingMemberRecord,
  ) => Promise<void>
}

/** Auto Scaling API reference: instances of one AttachInstances. */
const MAX_ATTACHED = 20

export function membershipHandlers(parts: ScalingParts): MembershipHandlers {
  const { state } = parts
  return {
    AttachInstances: async (context, input) => {
      await state.update((tx) => attach(parts, tx, context, input))
      return {}
    },

    DetachInstances: async (context, input) => {
      const isLess = input.ShouldDecrementDesiredCapacity === true
      const activities = await moveAll(parts, context, input, {
        ...{ words: 'detach', description: 'Detaching EC2 instance: ', desired: isLess ? -1 : 0 },
        from: ['InService', 'Standby'],
        cause: 'was detached in response to a user request',
        change: (tx, group, member) => letGo(tx, parts, group, member, context.nowMs),
      })
      return { Activities: activities }
    },

    EnterStandby: async (context, input) => {
      const isLess = input.ShouldDecrementDesiredCapacity === true
      const activities = await moveAll(parts, context, input, {
        ...{ words: 'place into standby', description: 'Moving EC2 instance to Standby: ' },
        ...{ desired: isLess ? -1 : 0, from: ['InService'] },
        cause: 'was moved to standby in response to a user request',
        change: async (tx, group, member) => {
          await takeFromTargets(tx, parts, group, [member.instance], context.nowMs)
          await putMember(tx, { ...member, state: 'Standby' })
        },
      })
      return { Activities: activities }
    },

    ExitStandby: async (context, input) => {
      const activities = await moveAll(parts, context, input, {
        ...{ words: 'exit standby', description: 'Moving EC2 instance out of Standby: ' },
        ...{ desired: 1, from: ['Standby'] },
        cause: 'was moved out of standby in response to a user request',
        change: async (tx, group, member) => {
          await serve(tx, parts, group, [member.instance], context.nowMs)
          // What it was found to be before it was put aside counts no more.
          const back = { state: 'InService', healthy: true, inServiceAtMs: context.nowMs } as const
          await putMember(tx, { ...member, ...back })
        },
      })
      return { Activities: activities }
    },
  }
}

async function moveAll(
  parts: ScalingParts,
  { caller: { account }, nowMs }: CallContext,
  { AutoScalingGroupName: name = '', InstanceIds: ids }: Asked,
  move: Move,
): Promise<Activity[]> {
  const { state, region } = parts
  const activities = await state.update(async (tx) => {
    const held = await holdGroup(tx, state, account, name)
    const { group } = held
    refuseDeleted(group)
    const members = membersNamed(held, ids)
    const wrong = members.find((member) => !move.from.includes(member.state))
    if (wrong !== undefined) {
      throw invalid(`The instance ${wrong.instance} is not in ${move.from.join(' or ')}.`)
    }
    // What is in standby is not counted: the desired capacity is of the others.
    const counted = members.filter((member) => isActive(member) || move.desired === 1)
    const desired = group.desired + counted.length * move.desired
    if (desired < group.min || desired > group.max) {
      throw sizesRefused(group, move.words, members.length)
    }
    const made: ScalingActivityRecord[] = []
    for (const member of members) {
      await move.change(tx, group, member)
      made.push(await record(parts, tx, group, { move, member, desired, nowMs }))
    }
    await putGroup(tx, group, { desired, cause: made.at(-1)?.cause ?? group.cause })
    return made
  })
  const view = await state.fresh()
  return activities.map((one) => activityShape(view, region, one))
}

async function record(
  parts: ScalingParts,
  tx: Transaction,
  group: ScalingGroupRecord,
  about: {
    readonly move: Pick<Move, 'cause' | 'description'>
    readonly member: Pick<ScalingMemberRecord, 'instance' | 'subnet' | 'rack'>
    readonly desired: number
    readonly nowMs: number
  },
): Promise<ScalingActivityRecord> {
  const { move, member, desired, nowMs } = about
  const how = desired < group.desired ? 'shrinking' : 'increasing'
  const change =
    desired === group.desired ? '' : `, ${how} the capacity from ${group.desired} to ${desired}`
  return await putActivity(tx, parts, group, {
    description: `${move.description}${member.instance}`,
    cause: `${atTime(nowMs)} instance ${member.instance} ${move.cause}${change}.`,
    ...{ subnet: member.subnet, rack: member.rack, nowMs, ended: 'Successful' },
  })
}

async function attach(
  parts: ScalingParts,
  tx: Transaction,
  { caller: { account }, nowMs }: CallContext,
  { AutoScalingGroupName: name = '', InstanceIds = [] }: Asked,
): Promise<void> {
  const held = await holdGroup(tx, parts.state, account, name)
  const { group } = held
  refuseDeleted(group)
  const ids = [...new Set(InstanceIds)]
  if (ids.length === 0 || ids.length > MAX_ATTACHED) {
    throw invalid(`A request attaches 1 to ${MAX_ATTACHED} instances.`)
  }
  const desired = group.desired + ids.length
  if (desired > group.max) throw sizesRefused(group, 'attach', ids.length)
  for (const id of ids) {
    const instance = await attachable(tx, held, id)
    const { rack, subnet, type } = instance
    await addTags(tx, { kind: 'instance', id, account }, new Map([[GROUP_TAG, group.name]]))
    await putMember(tx, {
      ...{ instance: id, account, group: group.id, state: 'InService', healthy: true },
      ...{ protected: group.protectsNew, rack, subnet, type, template: null, balances: false },
      ...{ hold: null, activity: '', joinedAtMs: nowMs, inServiceAtMs: nowMs },
    })
    const member = { instance: id, subnet, rack }
    const move = {
      description: 'Attaching an existing EC2 instance: ',
      cause: 'was attached in response to a user request',
    }
    await record(parts, tx, group, { move, member, desired, nowMs })
  }
  await serve(tx, parts, group, ids, nowMs)
  const change = `changing the desired capacity from ${group.desired} to ${desired}`
  const cause = `${atTime(nowMs)} a user request attached instances ${change}.`
  await putGroup(tx, group, { desired, cause })
}

async function attachable(
  tx: Transaction,
  { group, view }: Held,
  id: string,
): Promise<InstanceRecord> {
  const shown = id.slice(0, 100)
  const instance = await tx.get('instance', id)
  if (instance?.account !== group.account) throw invalid(`Invalid Instance ID(s): [${shown}]`)
  const member = await tx.get('scaling-member', id)
  if (member !== null) {
    const [other] = view.by('scaling-group', 'id', member.group)
    throw invalid(`Instance ${shown} is already part of AutoScalingGroup:${other?.name ?? ''}`)
  }
  if (instance.state !== 'running' || instance.desired !== 'running') {
    throw invalid(`Instance ${shown} is not in correct state: it must be running.`)
  }
  const zones = zonesOf(view, group)
  const vpcs = group.subnets.flatMap((subnet) => view.get('subnet', subnet)?.vpc ?? [])
  if (!zones.some(({ rack }) => rack === instance.rack)) {
    throw invalid(`Instance ${shown} is not in an Availability Zone of the AutoScalingGroup.`)
  }
  if (vpcs.length > 0 && !vpcs.includes(instance.vpc)) {
    throw invalid(`Instance ${shown} is not in the VPC of the AutoScalingGroup.`)
  }
  return instance
}
