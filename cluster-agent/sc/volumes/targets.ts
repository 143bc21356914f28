// What serves volumes over iSCSI, as its storage controller sees it: targets, who may log in, and
// who has. It outlives the agent, which asks it what there is and never remembers.

import type { VolumeId } from './backend.ts'
import type { Grant } from './wanted.ts'

/** The one logical unit of a target. */
export const LUN = 1

export interface ServedTarget {
  /** Of this target alone: one that comes later under the same name has another. */
  readonly tid: number
  readonly iqn: string
  readonly luns: readonly ServedLun[]
  /** CHAP users, in the order in which they came. */
  readonly accounts: readonly string[]
  /** IQNs that may log in. */
  readonly initiators: readonly string[]
  readonly sessions: readonly { readonly initiator: string }[]
}

export interface ServedLun {
  readonly lun: number
  readonly serial: string
  readonly file: string
  /** As clients see it; null for a size that no volume has. */
  readonly sizeBytes: number | null
  /** Does it take discards, if what serves it can? */
  readonly thin: boolean
}

export interface Served {
  /** Those that serve something, or are to; not those that are retired. */
  readonly targets: readonly ServedTarget[]
  /** Names of what a start before left half done, and of retired targets that nobody asks again. */
  readonly leftovers: readonly string[]
}

export interface Export {
  readonly tid: number
  readonly iqn: string
  readonly lun: number
  /** At most 36 characters. */
  readonly serial: string
  /** A file or a block device. */
  readonly file: string
}

/** A target by what stays the same of it. */
export type TargetName = Pick<ServedTarget, 'tid' | 'iqn'>

/** By its name, whatever stands before the id. */
export function isTargetOf(id: VolumeId): (target: Pick<ServedTarget, 'iqn'>) => boolean {
  return ({ iqn }) => iqn.endsWith(`:${id}`)
}

export interface VolumeTargets {
  /**
   * Null when all that clients do comes through it. Else they open volumes by themselves: only what
   * is whole, at the size that it has, and who is thrown out never comes back. So one of several is
   * thrown out alone.
   */
  readonly direct: {
    /** As withdraw, of one CHAP user. */
    readonly revoke: (target: ServedTarget, user: string) => Promise<void>
  } | null
  /** Why nothing could be served at this portal now; null when it could be, or is. */
  readonly trouble: (portal: string) => Promise<string | null>
  /**
   * Serves at `portal`, an address (IPv6 in brackets) and a port, when it returns. Throws
   * Unavailable when somebody else has it, BadConfig, CommandTimeout.
   */
  readonly start: (portal: string) => Promise<void>
  /** Null when it does not run. Throws CommandTimeout when it is stuck. */
  readonly look: () => Promise<Served | null>
  /** Takes one of the leftovers away. Also when it is gone. */
  readonly forget: (leftover: string) => Promise<void>
  /**
   * A target with its logical unit, to which nobody may log in. A flush by an initiator makes
   * durable what was written before it; what is discarded gives its space back. Throws NameTaken,
   * and CommandFailed for a file that cannot be served.
   */
  readonly serve: (target: Export) => Promise<void>
  /** Lets one more in, with its secret. Also who is let in by half. */
  readonly grant: (target: TargetName, grant: Grant) => Promise<void>
  /**
   * Takes a target away with all who may log in. When it returns, nothing that came through it will
   * be written any more. Commands under way may wait for something: `interrupt` ends that. Also
   * when it is gone. Throws Unavailable when sessions do not end.
   */
  readonly withdraw: (target: ServedTarget, interrupt: () => void) => Promise<void>
  /**
   * Not of direct ones. As `withdraw`, but who was let in finds the target again, and an error
   * for each request, also for those that it still waits for: QEMU logs in again for ever, and its
   * guest would wait as long. It never serves anything again, and is a leftover when nobody was
   * logged in for a while.
   */
  readonly retire: (target: ServedTarget, interrupt: () => void) => Promise<void>
  /**
   * Runs while nothing is written to these volumes by their clients, and nothing acknowledged.
   * Throws NotSupported where that cannot be had now.
   */
  readonly still: <T>(volumes: readonly VolumeId[], run: () => Promise<T>) => Promise<T>
  /** After an agent that ended while it held all still. */
  readonly resume: () => Promise<void>
  /** The process whose end is the end of all service; null when there is none. */
  readonly process: () => Promise<number | null>
  /** Ends all of it, with all sessions. Throws Unavailable when it does not end. */
  readonly stop: () => Promise<void>
}
