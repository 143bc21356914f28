// What users do with single instances of a group: terminate, protect, call ill or well.

import type { AutoScalingHandlers } from '../aws/handlers.ts'
import { inGrace } from '../control/scaling-health.ts'
import { activityShape } from './activities.ts'
import { invalid } from './errors.ts'
import {
  atTime,
  holdGroup,
  isActive,
  putGroup,
  putMember,
  type ScalingParts,
} from './groups-kept.ts'
import { holdMember, membersNamed, takeOut } from './members.ts'

type MemberHandlers = Required<
  Pick<
    AutoScalingHandlers,
    'SetInstanceHealth' | 'SetInstanceProtection' | 'TerminateInstanceInAutoScalingGroup'
  >
>

const HEALTH: readonly string[] = ['Healthy', 'Unhealthy']

export function memberHandlers(parts: ScalingParts): MemberHandlers {
  const { state, region } = parts
  return {
    TerminateInstanceInAutoScalingGroup: async ({ caller: { account }, nowMs }, input) => {
      const { InstanceId: id = '', ShouldDecrementDesiredCapacity: shrinks = false } = input
      const activity = await state.update(async (tx) => {
        const shown = id.slice(0, 100)
        const text = `Instance Id not found - No managed instance found for instance ID ${shown}`
        const { group, member } = await holdMember(tx, state, account, id, text)
        if (member.state === 'Terminating') {
          const known = await tx.get('scaling-activity', member.activity)
          if (known !== null) return known
        }
        const isLess = shrinks && isActive(member)
        if (isLess && group.desired <= group.min) {
          throw invalid(
            `Currently, desiredSize equals minSize (${group.min}). Terminating instance without ` +
              "replacement will violate group's min size constraint. Either set " +
              "shouldDecrementDesiredCapacity flag to false or lower group's min size.",
          )
        }
        const at = atTime(nowMs)
        const desired = group.desired - (isLess ? 1 : 0)
        const shrinking = `, shrinking the capacity from ${group.desired} to ${desired}`
        const cause = `${at} instance ${id} was taken out of service in response to a user request${isLess ? shrinking : ''}.`
        const made = await takeOut(tx, parts, { group, member, cause, nowMs })
        await putGroup(tx, group, { desired, cause: isLess ? cause : '' })
        return made
      })
      return { Activity: activityShape(await state.fresh(), region, activity) }
    },

    SetInstanceHealth: async ({ caller: { account }, nowMs }, input) => {
      const { InstanceId: id = '', HealthStatus: status = '' } = input
      if (!HEALTH.includes(status)) {
        throw invalid(`Valid instance health states are: [${HEALTH.join(', ')}].`)
      }
      await state.update(async (tx) => {
        const text = `No managed instance found for instance ID ${id.slice(0, 100)}`
        const { group, member } = await holdMember(tx, state, account, id, text)
        const healthy = status === 'Healthy'
        const isEarly = input.ShouldRespectGracePeriod !== false && inGrace(group, member, nowMs)
        if (member.healthy === healthy || (isEarly && !healthy)) return
        await putMember(tx, { ...member, healthy })
        await putGroup(tx, group)
      })
      return {}
    },

    SetInstanceProtection: async ({ caller: { account } }, input) => {
      const { AutoScalingGroupName: name = '', ProtectedFromScaleIn: isProtected = false } = input
      await state.update(async (tx) => {
        const held = await holdGroup(tx, state, account, name)
        for (const member of membersNamed(held, input.InstanceIds)) {
          if (member.state === 'Terminating') {
            throw invalid(`The instance ${member.instance} is not in InService or Standby.`)
          }
          await putMember(tx, { ...member, protected: isProtected })
        }
        await putGroup(tx, held.group)
      })
      return {}
    },
  }
}
