// A model of a group, its instances and its racks in memory, on which plans are carried out as the
// real steps do it.

import { ENDED, type Illness } from '../../../gateway/control/scaling-health.ts'
import { type GroupSeen, planGroup, type Step } from '../../../gateway/control/scaling-plan.ts'
import type { InstanceRecord } from '../../../gateway/store/records.ts'
import type {
  ScalingGroupRecord,
  ScalingMemberRecord,
} from '../../../gateway/store/scaling-records.ts'

export const NOW = 1_800_000_000_000
const WAIT_MS = 60_000
/** Steps after which a group must have come to rest. */
const MAX_STEPS = 400

export function groupOf(change: Partial<ScalingGroupRecord> = {}): ScalingGroupRecord {
  return {
    ...{ id: 'group', account: '111122223333', name: 'web', createdAtMs: NOW, tags: [] },
    hooks: [],
    ...{ template: { id: 'lt-1', name: 'web', version: '1' }, overrides: [], spot: false },
    ...{ min: 0, max: 20, desired: 0, zones: ['a', 'b', 'c'], subnets: ['sa', 'sb', 'sc'] },
    ...{ distribution: 'balanced-best-effort', placementGroup: '', targetGroups: [] },
    ...{ healthCheckType: 'EC2', gracePeriodSeconds: 0, cooldownSeconds: 300 },
    ...{ warmupSeconds: null, terminationPolicies: ['Default'], protectsNew: false },
    ...{ deletionProtection: 'none', maxLifetimeSeconds: 0, suspended: [], cause: '' },
    ...{ trouble: null, balanceAtMs: 0, cooldownUntilMs: 0, deletedAtMs: null, turn: 0 },
    ...change,
  }
}

export function memberOf(
  instance: string,
  rack: string,
  change: Partial<ScalingMemberRecord> = {},
): ScalingMemberRecord {
  return {
    ...{ instance, account: '111122223333', group: 'group', state: 'InService', healthy: true },
    ...{ protected: false, rack, subnet: `s${rack}`, type: 't3.nano', balances: false, hold: null },
    ...{ template: { id: 'lt-1', name: 'web', version: '1' }, activity: '', joinedAtMs: NOW },
    ...{ inServiceAtMs: NOW },
    ...change,
  }
}

type Machine = Pick<InstanceRecord, 'state' | 'desired' | 'launchedAtMs'> & {
  readonly code: string
}

export class Model {
  group: ScalingGroupRecord
  nowMs = NOW
  readonly members = new Map<string, ScalingMemberRecord>()
  readonly machines = new Map<string, Machine>()
  /** Instances that one of a check found ill. */
  readonly impaired = new Set<string>()
  readonly racks: Record<string, { away: boolean; room: number }>
  #made = 0

  constructor(group: Partial<ScalingGroupRecord>, racks: readonly string[] = ['a', 'b', 'c']) {
    this.group = groupOf(group)
    this.racks = Object.fromEntries(racks.map((rack) => [rack, { away: false, room: 100 }]))
  }

  active(): ScalingMemberRecord[] {
    return [...this.members.values()].filter(
      ({ state }) => state === 'Pending' || state === 'InService',
    )
  }

  /** What hosts do that can be asked. */
  obey(): void {
    for (const [id, machine] of this.machines) {
      if (this.racks[this.members.get(id)?.rack ?? '']?.away === true) continue
      if (machine.state === 'pending') this.machines.set(id, { ...machine, state: 'running' })
      if (machine.desired === 'terminated') {
        this.machines.set(id, { ...machine, state: 'terminated' })
      }
    }
  }

  /** Its user, or with a code of EC2's own its host, ends an instance. */
  end(id: string, code = 'Client.UserInitiatedShutdown'): void {
    const machine = this.machines.get(id)
    if (machine === undefined) return
    this.machines.set(id, { ...machine, code, state: 'shutting-down', desired: 'terminated' })
  }

  /** Steps until there is none; each is shown before it is taken. */
  rest(check: (step: Step) => void = () => undefined): void {
    const refused = new Map<string, string>()
    for (let steps = 0; steps < MAX_STEPS; steps += 1) {
      const step = planGroup(this.#seen(refused))
      if (step === null) return
      check(step)
      this.#take(step, refused)
    }
    throw new Error('the group does not come to rest')
  }

  #seen(refused: ReadonlyMap<string, string>): GroupSeen {
    const reachable = Object.entries(this.racks).filter(([, { away }]) => !away)
    return {
      group: this.group,
      members: [...this.members.values()].map((member) => {
        const machine = this.machines.get(member.instance)
        const instance =
          machine === undefined
            ? null
            : ({
                ...machine,
                stateReason: { code: machine.code, message: '' },
              } as unknown as InstanceRecord)
        return {
          member,
          instance,
          illness: this.#illness(member, machine),
          version: 1,
          draining: false,
        }
      }),
      zones: this.group.zones.map((rack) => ({
        ...{ rack, subnets: [`s${rack}`] },
        usable: this.racks[rack]?.away === false,
      })),
      refused,
      reachable: new Set(reachable.map(([rack]) => rack)),
      ...{ refresh: null, currentVersion: 1 },
      nowMs: this.nowMs,
    }
  }

  #illness(member: ScalingMemberRecord, machine: Machine | undefined): Illness | null {
    if (machine?.desired !== 'running') return ENDED
    const isAsked = this.racks[member.rack]?.away === false
    return isAsked && this.impaired.has(member.instance) ? { kind: 'impaired', text: '' } : null
  }

  #take(step: Step, refused: Map<string, string>): void {
    switch (step.kind) {
      case 'drop':
        for (const { instance } of step.members) {
          this.members.delete(instance)
          this.machines.delete(instance)
        }
        return
      case 'refreshed':
      case 'hold':
        throw new Error(`nobody asked for ${step.kind}`)
      case 'end':
        this.end(step.member.instance)
        return
      case 'fail':
        this.#put(step.member, { state: 'Terminating' })
        this.#wait()
        return
      case 'enter':
        this.#recover(step.members)
        for (const one of step.members) {
          this.#put(one, { state: 'InService', inServiceAtMs: this.nowMs })
        }
        return
      case 'sicken':
        for (const one of step.members) this.#put(one, { healthy: false })
        return
      case 'terminate':
        this.end(step.member.instance)
        this.#put(step.member, { state: 'Terminating' })
        if (step.reason.kind === 'balance') {
          for (const one of this.active()) this.#put(one, { balances: false })
        }
        return
      case 'launch':
        this.#launch(step, refused)
        return
      case 'wait':
        this.#wait()
        return
      case 'forget':
        this.group = { ...this.group, deletedAtMs: null, desired: 0 }
    }
  }

  #launch(step: Extract<Step, { kind: 'launch' }>, refused: Map<string, string>): void {
    const rack = this.racks[step.rack]
    if (rack === undefined || rack.away) throw new Error(`${step.rack} takes nothing`)
    const here = [...this.members.values()].filter((one) => one.rack === step.rack)
    const count = Math.min(step.count, rack.room - here.length)
    if (count <= 0) {
      if (step.balances) this.group = { ...this.group, balanceAtMs: this.nowMs + WAIT_MS }
      else refused.set(step.rack, 'no room')
      return
    }
    for (let i = 0; i < count; i += 1) {
      this.#made += 1
      const id = `i-${this.#made}`
      const { balances } = step
      const pending = { state: 'Pending', inServiceAtMs: null, balances } as const
      this.members.set(id, memberOf(id, step.rack, { ...pending, joinedAtMs: this.nowMs }))
      const machine = { state: 'pending', desired: 'running', code: '' } as const
      this.machines.set(id, { ...machine, launchedAtMs: this.nowMs })
    }
  }

  #recover(members: readonly ScalingMemberRecord[]): void {
    const { retryAtMs = 0 } = this.group.trouble ?? {}
    if (members.some((one) => one.joinedAtMs >= retryAtMs)) {
      this.group = { ...this.group, trouble: null }
    }
  }

  #wait(): void {
    const failures = (this.group.trouble?.failures ?? 0) + 1
    const trouble = { failures, message: '', retryAtMs: this.nowMs + WAIT_MS }
    this.group = { ...this.group, trouble }
  }

  #put(member: ScalingMemberRecord, change: Partial<ScalingMemberRecord>): void {
    this.members.set(member.instance, { ...member, ...change })
  }
}
