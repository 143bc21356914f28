// The record of an instance: what its user wants, what is, and what it was launched with. Optional
// fields came later: an older record does without.

/** AWS EC2 user guide, "Instance metadata options". */
export interface MetadataOptions {
  readonly httpEndpoint: boolean
  readonly httpProtocolIpv6: boolean
  readonly httpTokens: 'optional' | 'required'
  /** 1 to 64. */
  readonly hopLimit: number
  readonly instanceTags: boolean
}

export interface InstanceSettings {
  /** What a guest does that powers itself off. */
  readonly shutdownBehavior: 'stop' | 'terminate'
  /** StopInstances and TerminateInstances refuse. */
  readonly disableApiStop: boolean
  readonly disableApiTermination: boolean
  /** Detailed monitoring. */
  readonly monitoring: boolean
  /** `default`: what crashed while it ran is started again. */
  readonly autoRecovery: 'default' | 'disabled'
  readonly capacityReservations: 'open' | 'none'
  /** '' is as its subnet says. */
  readonly hostnameType: '' | 'ip-name' | 'resource-name'
}

export type InstanceStateName =
  | 'pending'
  | 'running'
  | 'shutting-down'
  | 'terminated'
  | 'stopping'
  | 'stopped'

export interface Observed {
  readonly state: string
  readonly sinceMs: number
  /** Whether its guest answers on the network; absent when its host does not say. */
  readonly guest?: 'initializing' | 'passed' | 'failed'
  readonly guestSinceMs?: number
}

export interface InstanceRecord {
  readonly id: string
  readonly account: string
  readonly reservation: string
  readonly launchIndex: number
  readonly image: string
  /** Images that it starts from; absent when its disk boots by itself. */
  readonly kernel?: string
  readonly ramdisk?: string
  readonly type: string
  readonly rack: string
  readonly host: string
  readonly vpc: string
  readonly subnet: string
  /** Of a spot instance: its request, and when that was cancelled. */
  readonly spot?: { readonly request: string; readonly cancelledAtMs: number | null }
  /** The placement group that it is in, and its partition there; absent without one. */
  readonly group?: { readonly id: string; readonly partition: number | null }
  readonly interfaces: readonly string[]
  readonly securityGroups: readonly string[]
  /** Of one that boots from a volume: the device name of that. Its host keeps no disk for it. */
  readonly rootDevice?: string
  /** Instance store volumes beside its root, in the order of their numbers. */
  readonly ephemeral?: readonly { readonly device: string; readonly sizeGib: number }[]
  /**
   * It is stopped for the moment of an image, while it is said to run: until its guest stopped,
   * then until its volumes' SCs have that moment; no longer than `untilMs`.
   */
  readonly imaging?: {
    readonly image: string
    readonly phase: 'stopping' | 'taking'
    readonly untilMs: number
  }
  /** Its disk in GiB, when the type that it has now says something else. */
  readonly diskGib?: number
  /** Base64, as the user sent it. */
  readonly userData: string
  readonly clientToken: string
  readonly keyName: string
  /** The key as it was at launch: deleting the pair takes nothing from the instance. */
  readonly publicKey: string
  readonly metadataOptions: MetadataOptions
  /** What was said at its launch or later; absent is what AWS does then. */
  readonly settings?: Partial<InstanceSettings>
  /**
   * Its first interface gets a public address with every start: because the launch asked, or its
   * subnet does when there is one.
   */
  readonly publicAddress?: 'asked' | 'subnet'
  readonly state: InstanceStateName
  /** What the user wants; the state follows. */
  readonly desired: 'running' | 'stopped' | 'terminated'
  readonly stateReason: { readonly code: string; readonly message: string } | null
  readonly stateTransitionReason: string
  readonly rebootCount: number
  /** When it crashed and was started again by itself, of the last day. */
  readonly recoveredAtMs?: readonly number[]
  /** StartInstances so far; absent 0. The host says which start its word is about. */
  readonly startCount?: number
  /** Do not wait for the guest to stop. */
  readonly forceStop?: boolean
  readonly launchedAtMs: number
  /** The newest start; absent the launch. */
  readonly startedAtMs?: number
  readonly terminatedAtMs: number | null
  /** The host's last word. */
  readonly observed: Observed | null
}
