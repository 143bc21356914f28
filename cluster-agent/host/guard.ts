// Keeps the host's own kernel away from tenants' frames. In the userspace data path the switch
// takes copies of what arrives at a port (AF_PACKET) and the kernel goes on to handle the original:
// an instance could talk to the host's addresses. One ingress chain per group of ports drops that.

import type { Exec } from '../../common/exec.ts'
import type { Reconciler } from '../../common/reconcile.ts'
import { ascending } from '../../topology/order.ts'
import { applyRuleset, deleteTable, hookedDevices, readTable } from './nft.ts'

/**
 * Who keeps the ports of one table: the CC its trunk and stretched networks, the NC its taps, and
 * by themselves the veths of load balancers' nodes.
 */
export type GuardGroup = 'trunk' | 'taps' | 'vxlan' | 'nodes'

export interface GuardOptions {
  readonly exec: Exec
  readonly group: GuardGroup
  /** Names of devices that exist now. None: the table goes away. */
  readonly ports: () => readonly string[] | Promise<readonly string[]>
}

export interface GuardSeen {
  readonly wanted: readonly string[]
  /** The devices that are hooked; null without a table. */
  readonly guarded: readonly string[] | null
}

/**
 * Drops at ingress what the kernel sees of these ports; only for `datapath: 'netdev'`. The kernel's
 * data path takes the frames away itself. A device that was made anew is hooked again.
 */
export function guardReconciler(options: GuardOptions): Reconciler<GuardSeen, string> {
  const { exec, group, ports } = options
  const table = guardTable(group)
  return {
    name: `guard-${group}`,
    observe: async () => {
      const text = await readTable(exec, 'netdev', table)
      return {
        wanted: [...(await ports())].sort(ascending),
        guarded: text === null ? null : hookedDevices(text),
      }
    },
    plan: (seen) => planGuard(group, seen),
    apply: (ruleset) => applyRuleset(exec, ruleset),
  }
}

/** Removes a group's table, if there is one. */
export async function removeGuard(exec: Exec, group: GuardGroup): Promise<void> {
  await deleteTable(exec, 'netdev', guardTable(group))
}

/** None or one step: the whole ruleset to load. */
export function planGuard(group: GuardGroup, { wanted, guarded }: GuardSeen): readonly string[] {
  if (guarded === null ? wanted.length === 0 : wanted.join() === guarded.join()) return []
  return [guardRules(group, wanted)]
}

/** The ruleset that replaces a group's table in one transaction; without ports it only deletes. */
export function guardRules(group: GuardGroup, ports: readonly string[]): string {
  const table = `table netdev ${guardTable(group)}`
  const fresh = `${table}\ndelete ${table}\n`
  if (ports.length === 0) return fresh
  const devices = [...ports].sort(ascending).map((name) => `"${name}"`)
  return `${fresh}${table} {
  chain ingress {
    type filter hook ingress devices = { ${devices.join(', ')} } priority 0; policy drop;
  }
}
`
}

function guardTable(group: GuardGroup): string {
  return `mallee_guard_${group}`
}
