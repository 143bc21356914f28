// Whether guests can be reached: whoever sends something is there, whoever is silent is asked. What
// counts as an answer is any frame at the guest's own port, so nobody has to listen.

import type { Exec } from '../../common/exec.ts'
import { Reachability } from '../../proto/gen/mallee/v1/observed_pb.js'
import { listPorts, type Switch, sendFrames } from '../host/ovs.ts'
import { tapCounts } from '../host/tap.ts'
import { probeFrame } from './probe-frames.ts'
import type { MachineWanted, NicWanted } from './wanted.ts'

/** A guest that said nothing for so long is asked, again and again. */
const SILENT_MS = 20_000
const ROUND_MS = 10_000
/** Unanswered questions that make it unreachable. */
const MAX_UNANSWERED = 3
/** A guest has so long to boot until it is expected to answer. */
const BOOT_MS = 300_000

export interface Reach {
  readonly verdict: Reachability
  readonly sinceMs: number
}

/** What is known of one guest. */
export interface Heard {
  readonly count: number
  readonly startedAtMs: number
  /** Null before the first frame since its start. */
  readonly heardAtMs: number | null
  readonly unanswered: number
  readonly reach: Reach
}

export interface ReachOptions {
  readonly exec: Exec
  readonly sw: Switch
}

/** The guests of a host. */
export class Reaches {
  readonly #options: ReachOptions
  readonly #guests = new Map<string, Heard>()
  #roundAtMs = Number.NEGATIVE_INFINITY

  constructor(options: ReachOptions) {
    this.#options = options
  }

  /** Looks after `running`, the machines that run, when it is time again. */
  async round(running: readonly MachineWanted[], nowMs: number): Promise<void> {
    if (nowMs - this.#roundAtMs < ROUND_MS) return
    this.#roundAtMs = nowMs
    const counts = running.length === 0 ? new Map() : await tapCounts(this.#options.exec)
    const ids = new Set(running.map(({ id }) => id))
    for (const id of this.#guests.keys()) if (!ids.has(id)) this.#guests.delete(id)
    const silent: MachineWanted[] = []
    for (const machine of running) {
      const count = machine.nics.reduce((sum, { tap }) => sum + (counts.get(tap) ?? 0), 0)
      const heard = listen(this.#guests.get(machine.id) ?? null, count, nowMs)
      this.#guests.set(machine.id, heard)
      if (isSilent(heard, nowMs)) silent.push(machine)
    }
    await this.#ask(silent)
  }

  /** Null for a machine that does not run or was not looked at yet. */
  of(id: string): Reach | null {
    return this.#guests.get(id)?.reach ?? null
  }

  async #ask(silent: readonly MachineWanted[]): Promise<void> {
    if (silent.length === 0) return
    const { exec, sw } = this.#options
    const ports = new Map((await listPorts(exec, sw)).map(({ name, ofport }) => [name, ofport]))
    const frames = silent.flatMap(({ nics }) => nics.slice(0, 1).flatMap((nic) => to(nic, ports)))
    if (frames.length === 0) return
    await sendFrames(exec, sw, frames)
    // Only a question that was put can stay unanswered.
    for (const { id } of silent) {
      const heard = this.#guests.get(id)
      if (heard !== undefined) this.#guests.set(id, { ...heard, unanswered: heard.unanswered + 1 })
    }
  }
}

function to(nic: NicWanted, ports: ReadonlyMap<string, number>) {
  const ofport = ports.get(nic.tap) ?? -1
  return ofport > 0 ? [{ ofport, frame: probeFrame(nic) }] : []
}

/** What is known when `count` frames have come so far. */
export function listen(before: Heard | null, count: number, nowMs: number): Heard {
  if (before === null) {
    const reach = { verdict: Reachability.INITIALIZING, sinceMs: nowMs }
    return { count, startedAtMs: nowMs, heardAtMs: null, unanswered: 0, reach }
  }
  // A counter that runs backwards is that of a new tap.
  const spoke = count !== before.count
  const heardAtMs = spoke ? nowMs : before.heardAtMs
  const unanswered = spoke ? 0 : before.unanswered
  const heard = { ...before, count, heardAtMs, unanswered }
  const verdict = verdictOf(heard, nowMs)
  if (verdict === before.reach.verdict) return heard
  return { ...heard, reach: { verdict, sinceMs: nowMs } }
}

function verdictOf(
  { startedAtMs, heardAtMs, unanswered }: Omit<Heard, 'reach'>,
  nowMs: number,
): Reachability {
  if (unanswered < MAX_UNANSWERED && heardAtMs !== null) return Reachability.REACHABLE
  const mayBoot = heardAtMs === null && nowMs - startedAtMs < BOOT_MS
  return mayBoot ? Reachability.INITIALIZING : Reachability.UNREACHABLE
}

function isSilent({ heardAtMs }: Heard, nowMs: number): boolean {
  return heardAtMs === null || nowMs - heardAtMs >= SILENT_MS
}
