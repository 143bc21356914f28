// The records of Auto Scaling groups: what its user wants of a group, one record for each instance
// that is in it, and one for each thing that it did. Keys and the table of all kinds: records.ts.

/** Which template a group launches from; the version as it was asked for. */
export interface ScalingTemplate {
  readonly id: string
  readonly name: string
  /** `$Latest`, `$Default` or a number. */
  readonly version: string
}

/** What of a template a launch changes, the first one that has room first. */
export interface ScalingOverride {
  readonly type: string
  /** Another template than the group's. */
  readonly template?: ScalingTemplate
}

export interface ScalingTag {
  readonly key: string
  readonly value: string
  /** Instances that are launched from now on get it. */
  readonly propagate: boolean
}

/** What a user says of a group, with all defaults filled in. */
export interface ScalingWish {
  readonly template: ScalingTemplate
  /** Of a mixed instances policy; empty without one. */
  readonly overrides: readonly ScalingOverride[]
  /** Of a mixed instances policy, as it was sent; absent without one. */
  readonly mixed?: object
  /** All of its launches are of spot instances. */
  readonly spot: boolean
  readonly min: number
  readonly max: number
  readonly desired: number
  /** Names of racks; EVERY_RACK for stretched subnets. */
  readonly zones: readonly string[]
  /** Empty: the default subnets of the zones. */
  readonly subnets: readonly string[]
  /** `balanced-only`: never more in one zone because there is no room in another. */
  readonly distribution: 'balanced-best-effort' | 'balanced-only'
  readonly placementGroup: string
  readonly targetGroups: readonly string[]
  readonly healthCheckType: string
  readonly gracePeriodSeconds: number
  readonly cooldownSeconds: number
  /** Null: the cooldown stands in for it. */
  readonly warmupSeconds: number | null
  readonly terminationPolicies: readonly string[]
  readonly protectsNew: boolean
  readonly deletionProtection: 'none' | 'prevent-force-deletion' | 'prevent-all-deletion'
  /** 0 for ever. */
  readonly maxLifetimeSeconds: number
}

/** Launches that failed since the last one that went well. */
export interface ScalingTrouble {
  readonly failures: number
  readonly message: string
  readonly retryAtMs: number
}

/** Instances wait for somebody's word as they come or go. */
export interface ScalingHook {
  readonly name: string
  readonly transition: 'launching' | 'terminating'
  /** After so long without a word it has `result`. */
  readonly timeoutSeconds: number
  readonly result: 'CONTINUE' | 'ABANDON'
  readonly metadata: string
}

/** A hook that an instance waits for. */
export interface HeldHook {
  readonly name: string
  readonly token: string
  readonly untilMs: number
  /** No heartbeat makes it longer than that. */
  readonly limitMs: number
  readonly fallback: ScalingHook['result']
  /** What was said; null until then. */
  readonly result: ScalingHook['result'] | null
}

export interface ScalingGroupRecord extends ScalingWish {
  /** A UUID: a group of the same name that comes later is another one. */
  readonly id: string
  readonly account: string
  readonly name: string
  readonly createdAtMs: number
  readonly tags: readonly ScalingTag[]
  readonly hooks: readonly ScalingHook[]
  /** Processes that its user stopped. */
  readonly suspended: readonly string[]
  /** What changed its desired capacity last, as a sentence of an activity's cause. */
  readonly cause: string
  readonly trouble: ScalingTrouble | null
  /** Not before that another instance is launched to balance zones. */
  readonly balanceAtMs: number
  /** Until then a simple policy waits. */
  readonly cooldownUntilMs: number
  /** Its instances are being terminated, and it goes with the last one. */
  readonly deletedAtMs: number | null
  /**
   * Changes of its members so far. Who changes one must have seen them all: members are found in
   * the mirror, which no transaction can make a condition.
   */
  readonly turn: number
}

export type MemberState = 'Pending' | 'InService' | 'Terminating' | 'Standby'

/** An instance of a group, by its id. */
export interface ScalingMemberRecord {
  readonly instance: string
  readonly account: string
  readonly group: string
  readonly state: MemberState
  /** What a user, or a check, found last. */
  readonly healthy: boolean
  /** No scale-in takes it. */
  readonly protected: boolean
  readonly rack: string
  readonly subnet: string
  readonly type: string
  /** What launched it; null when it was attached. */
  readonly template: ScalingTemplate | null
  /** Launched to balance zones: another one goes when it runs. */
  readonly balances: boolean
  /** What it waits for, in the state that it is in; null while it does not. */
  readonly hold: readonly HeldHook[] | null
  /** The activity that is about it now; '' for none. */
  readonly activity: string
  readonly joinedAtMs: number
  readonly inServiceAtMs: number | null
}

/** Something that a group did, or does. */
export interface ScalingActivityRecord {
  readonly id: string
  readonly account: string
  readonly group: string
  readonly groupName: string
  readonly status: 'InProgress' | 'Successful' | 'Failed' | 'Cancelled'
  readonly description: string
  readonly cause: string
  readonly message: string
  /** JSON, as AWS shows it. */
  readonly details: string
  readonly startedAtMs: number
  readonly endedAtMs: number | null
}

/** Of a policy: for a metric that is so far from the threshold; null has no end. */
export interface ScalingStep {
  readonly lower: number | null
  readonly upper: number | null
  readonly adjustment: number
}

export interface ScalingPolicyRecord {
  /** A UUID. */
  readonly id: string
  readonly account: string
  readonly group: string
  readonly name: string
  readonly type: 'SimpleScaling' | 'StepScaling'
  readonly kind: 'ChangeInCapacity' | 'ExactCapacity' | 'PercentChangeInCapacity'
  /** Of a simple policy. */
  readonly adjustment: number
  readonly steps: readonly ScalingStep[]
  /** The least change of a policy of percents. */
  readonly magnitude: number | null
  /** Null: the group's. */
  readonly cooldownSeconds: number | null
  readonly warmupSeconds: number | null
  readonly aggregation: string
  readonly enabled: boolean
}

/** What a group is told at a time. */
export interface ScheduledActionRecord {
  /** A UUID. */
  readonly id: string
  readonly account: string
  readonly group: string
  readonly name: string
  readonly min: number | null
  readonly max: number | null
  readonly desired: number | null
  /** As it was sent; '' for once. */
  readonly recurrence: string
  readonly timeZone: string
  readonly startMs: number | null
  readonly endMs: number | null
  /** When it is due next. */
  readonly nextAtMs: number
}

/** All instances of a group are replaced, or were. */
export interface InstanceRefreshRecord {
  /** A UUID. */
  readonly id: string
  readonly account: string
  readonly group: string
  readonly status: 'InProgress' | 'Successful' | 'Cancelled'
  readonly startedAtMs: number
  readonly endedAtMs: number | null
  /** Percent of the desired capacity that stays in service. */
  readonly minHealthy: number
  /** Null: the group's. */
  readonly warmupSeconds: number | null
  /** Instances of the group's version stay. */
  readonly skipMatching: boolean
  readonly onProtected: 'Refresh' | 'Ignore' | 'Wait'
  readonly onStandby: 'Terminate' | 'Ignore' | 'Wait'
  /** Instances as it began, and those that were not replaced as it ended. */
  readonly total: number
  readonly left: number
}

export interface ScalingRecords {
  /** `<account>/<digest of the name>`. */
  'scaling-group': ScalingGroupRecord
  'scaling-member': ScalingMemberRecord
  'scaling-activity': ScalingActivityRecord
  /** By their ids, of all groups. */
  'scaling-policy': ScalingPolicyRecord
  'scheduled-action': ScheduledActionRecord
  'instance-refresh': InstanceRefreshRecord
}
