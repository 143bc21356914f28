// Lifecycle hooks: an instance that is launched or about to end waits until somebody says that it
// may go on, or until that takes too long. Nobody is notified: who shall act asks, or is on it.

import type {
  LifecycleHook,
  LifecycleHookSpecification,
  PutLifecycleHookType,
} from '@aws-sdk/client-auto-scaling'
import { ApiError } from '../aws/api-error.ts'
import type { AutoScalingHandlers } from '../aws/handlers.ts'
import { unsupported } from '../ec2/input.ts'
import type {
  HeldHook,
  ScalingGroupRecord,
  ScalingHook,
  ScalingMemberRecord,
} from '../store/scaling-records.ts'
import { invalid, within } from './errors.ts'
import {
  groupInView,
  holdGroup,
  newUuid,
  putGroup,
  putMember,
  refuseDeleted,
  type ScalingParts,
} from './groups-kept.ts'

type HookHandlers = Required<
  Pick<
    AutoScalingHandlers,
    | 'CompleteLifecycleAction'
    | 'DeleteLifecycleHook'
    | 'DescribeLifecycleHooks'
    | 'PutLifecycleHook'
    | 'RecordLifecycleActionHeartbeat'
  >
>

/** Auto Scaling API reference, PutLifecycleHook; user guide, "Quotas". */
const SECONDS = { least: 30, most: 7_200, usual: 3_600 }
const MAX_HOOKS = 50
const MAX_HEARTBEATS = 100
const MAX_WAIT_MS = 48 * 3_600_000
const SECOND_MS = 1_000
const NAME = /^[A-Za-z0-9\-_/]{1,255}$/
const TRANSITIONS: Readonly<Record<string, ScalingHook['transition']>> = {
  'autoscaling:EC2_INSTANCE_LAUNCHING': 'launching',
  'autoscaling:EC2_INSTANCE_TERMINATING': 'terminating',
}
const RESULTS: readonly string[] = ['CONTINUE', 'ABANDON']

interface Asked {
  readonly AutoScalingGroupName: string | undefined
  readonly LifecycleHookName: string | undefined
  readonly LifecycleActionToken?: string | undefined
  readonly InstanceId?: string | undefined
}

export function hookHandlers(parts: ScalingParts): HookHandlers {
  const { state } = parts
  return {
    PutLifecycleHook: async ({ caller: { account } }, input) => {
      await state.update(async (tx) => {
        const { group } = await holdGroup(tx, state, account, input.AutoScalingGroupName ?? '')
        refuseDeleted(group)
        const before = group.hooks.find((one) => one.name === input.LifecycleHookName)
        const hook = parseHook(input, before)
        const others = group.hooks.filter((one) => one !== before)
        await putGroup(tx, group, { hooks: checkHooks([...others, hook]) })
      })
      return {}
    },

    DeleteLifecycleHook: async ({ caller: { account } }, input) => {
      const { LifecycleHookName: name = '' } = input
      await state.update(async (tx) => {
        const held = await holdGroup(tx, state, account, input.AutoScalingGroupName ?? '')
        const hooks = held.group.hooks.filter((one) => one.name !== name)
        if (hooks.length === held.group.hooks.length) throw noHook(name)
        // Whoever waits for it waits no more, as with AWS.
        for (const member of held.members.filter((one) => waitsFor(one, name) !== null)) {
          await putMember(tx, completed(member, name, 'CONTINUE'))
        }
        await putGroup(tx, held.group, { hooks })
      })
      return {}
    },

    DescribeLifecycleHooks: async ({ caller: { account } }, input) => {
      const group = groupInView(await state.fresh(), account, input.AutoScalingGroupName ?? '')
      const names = input.LifecycleHookNames ?? []
      const hooks = group.hooks.filter(({ name }) => names.length === 0 || names.includes(name))
      return { LifecycleHooks: hooks.map((hook) => hookShape(group, hook)) }
    },

    CompleteLifecycleAction: async ({ caller: { account } }, input) => {
      const { LifecycleActionResult: result = '' } = input
      if (!RESULTS.includes(result)) {
        throw invalid(`Lifecycle action result must be one of: ${RESULTS.join(', ')}`)
      }
      await changeHeld(parts, account, input, (member, { name }) =>
        completed(member, name, result as 'CONTINUE' | 'ABANDON'),
      )
      return {}
    },

    RecordLifecycleActionHeartbeat: async ({ caller: { account }, nowMs }, input) => {
      await changeHeld(parts, account, input, (member, held, group) => {
        const hook = group.hooks.find(({ name }) => name === held.name)
        const seconds = hook?.timeoutSeconds ?? SECONDS.usual
        const untilMs = Math.min(held.limitMs, nowMs + seconds * SECOND_MS)
        return replaced(member, { ...held, untilMs })
      })
      return {}
    },
  }
}

/** Of a group that is made. */
export function parseHooks(
  asked: readonly LifecycleHookSpecification[] | undefined,
): ScalingHook[] {
  return checkHooks((asked ?? []).map((one) => parseHook(one, undefined)))
}

function checkHooks(hooks: ScalingHook[]): ScalingHook[] {
  if (hooks.length <= MAX_HOOKS) return hooks
  const text = `An AutoScalingGroup has at most ${MAX_HOOKS} lifecycle hooks.`
  throw new ApiError('LimitExceeded', text)
}

/** What the request does not say stays as it was. */
function parseHook(
  input: LifecycleHookSpecification | PutLifecycleHookType,
  before: ScalingHook | undefined,
): ScalingHook {
  const { LifecycleHookName: name = '', NotificationTargetARN: target = '', RoleARN } = input
  if (!NAME.test(name)) throw invalid(`Invalid lifecycle hook name: ${name.slice(0, 255)}`)
  if (target !== '' || RoleARN !== undefined) throw unsupported('The notification of a hook')
  const asked = input.LifecycleTransition
  const transition = asked === undefined ? before?.transition : TRANSITIONS[asked]
  if (transition === undefined) {
    throw invalid(`Lifecycle transition must be one of: ${Object.keys(TRANSITIONS).join(', ')}`)
  }
  const result = input.DefaultResult ?? before?.result ?? 'ABANDON'
  if (!RESULTS.includes(result)) {
    throw invalid(`Default result must be one of: ${RESULTS.join(', ')}`)
  }
  const seconds = input.HeartbeatTimeout ?? before?.timeoutSeconds ?? SECONDS.usual
  return {
    name,
    transition,
    result: result as ScalingHook['result'],
    timeoutSeconds: within('heartbeatTimeout', seconds, SECONDS.least, SECONDS.most),
    metadata: input.NotificationMetadata ?? before?.metadata ?? '',
  }
}

/** The hooks that a member waits for from now on. */
export function heldBy(
  { randomHex }: Pick<ScalingParts, 'randomHex'>,
  { hooks }: ScalingGroupRecord,
  transition: ScalingHook['transition'],
  nowMs: number,
): HeldHook[] {
  return hooks
    .filter((hook) => hook.transition === transition)
    .map(({ name, timeoutSeconds, result }) => {
      const waitMs = timeoutSeconds * SECOND_MS
      const limitMs = nowMs + Math.min(MAX_WAIT_MS, MAX_HEARTBEATS * waitMs)
      const token = newUuid(randomHex)
      return { name, token, untilMs: nowMs + waitMs, limitMs, fallback: result, result: null }
    })
}

function waitsFor({ hold }: ScalingMemberRecord, name: string): HeldHook | null {
  return hold?.find((one) => one.name === name && one.result === null) ?? null
}

function completed(
  member: ScalingMemberRecord,
  name: string,
  result: 'CONTINUE' | 'ABANDON',
): ScalingMemberRecord {
  const held = waitsFor(member, name)
  return held === null ? member : replaced(member, { ...held, result })
}

function replaced(member: ScalingMemberRecord, held: HeldHook): ScalingMemberRecord {
  const hold = (member.hold ?? []).map((one) => (one.token === held.token ? held : one))
  return { ...member, hold }
}

/** Throws ValidationError when nobody waits for that. */
async function changeHeld(
  { state }: ScalingParts,
  account: string,
  { AutoScalingGroupName: name = '', LifecycleHookName: hook = '', ...asked }: Asked,
  change: (
    member: ScalingMemberRecord,
    held: HeldHook,
    group: ScalingGroupRecord,
  ) => ScalingMemberRecord,
): Promise<void> {
  const { LifecycleActionToken: token, InstanceId: id } = asked
  await state.update(async (tx) => {
    const { group, members } = await holdGroup(tx, state, account, name)
    const found = members.find((member) => {
      const held = waitsFor(member, hook)
      if (held === null || (token === undefined && id === undefined)) return false
      return (token ?? held.token) === held.token && (id ?? member.instance) === member.instance
    })
    const held = found === undefined ? null : waitsFor(found, hook)
    if (found === undefined || held === null) {
      const which = id === undefined ? `token ${token ?? ''}` : `instance ID ${id}`
      throw invalid(`No active Lifecycle Action found with ${which.slice(0, 100)}`)
    }
    await putMember(tx, change(found, held, group))
    await putGroup(tx, group)
  })
}

function hookShape({ name: group }: ScalingGroupRecord, hook: ScalingHook): LifecycleHook {
  const { name, transition, timeoutSeconds, result, metadata } = hook
  return {
    LifecycleHookName: name,
    AutoScalingGroupName: group,
    LifecycleTransition: Object.keys(TRANSITIONS).find((one) => TRANSITIONS[one] === transition),
    NotificationMetadata: metadata === '' ? undefined : metadata,
    HeartbeatTimeout: timeoutSeconds,
    GlobalTimeout: Math.min(MAX_WAIT_MS / SECOND_MS, MAX_HEARTBEATS * timeoutSeconds),
    DefaultResult: result,
  }
}

function noHook(name: string): ApiError {
  return invalid(`No Lifecycle Hook found with name ${name.slice(0, 255)}`)
}
