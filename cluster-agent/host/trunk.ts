// The NIC that joins this host's switch to the rack's: a port without a tag, so that it carries
// every network's VLAN. Shared by the CC and the NC: either of them may run alone on a host.

import type { Exec } from '../../common/exec.ts'
import type { Log } from '../../common/log.ts'
import { type Reconciler, reconcileOnce } from '../../common/reconcile.ts'
import { never } from '../../topology/result.ts'
import type { Paths } from '../paths.ts'
import { readOffloads, setOffloads } from './ethtool.ts'
import { guardReconciler } from './guard.ts'
import { ipBatch, type Link, listLinks } from './ip.ts'
import { noteOriginals } from './originals.ts'
import { addPorts, deletePorts, listPorts, OURS, type Port, type Switch } from './ovs.ts'

/** The mark of trunk ports. */
export const TRUNK_MARK = 'trunk'

export interface TrunkOptions {
  readonly exec: Exec
  readonly paths: Paths
  readonly sw: Switch
  /** Null on a rack of one host. */
  readonly trunk: string | null
}

/**
 * Plugs the trunk and keeps the host's kernel away from its frames. Either role may run it, also
 * both: whoever comes second finds nothing to do.
 */
export async function keepTrunk(options: TrunkOptions, log: Log): Promise<void> {
  const { exec, sw, trunk } = options
  await reconcileOnce(trunkReconciler(options), log)
  const guarded = sw.datapath === 'netdev' && trunk !== null ? [trunk] : []
  await reconcileOnce(guardReconciler({ exec, group: 'trunk', ports: () => guarded }), log)
}

export interface TrunkSeen {
  /** Our trunk ports, of which there shall be none but `trunk`. */
  readonly ports: readonly Port[]
  readonly link: Link | null
  /** What spoils frames; empty in the kernel's data path. */
  readonly offloads: Readonly<Record<string, boolean>>
}

export type TrunkStep =
  | { readonly kind: 'port'; readonly name: string }
  | { readonly kind: 'up'; readonly name: string }
  | { readonly kind: 'offloads-off'; readonly name: string; readonly were: readonly string[] }
  | { readonly kind: 'unplug'; readonly names: readonly string[] }

/** Keeps the trunk plugged. A trunk NIC that does not exist fails the pass that needs it. */
export function trunkReconciler(options: TrunkOptions): Reconciler<TrunkSeen, TrunkStep> {
  const { exec, paths, sw, trunk } = options
  return { name: 'trunk', observe, plan: (seen) => planTrunk(trunk, seen), apply }

  async function observe(): Promise<TrunkSeen> {
    const ports = (await listPorts(exec, sw)).filter(
      (port) => port.externalIds[OURS] === TRUNK_MARK,
    )
    if (trunk === null) return { ports, link: null, offloads: {} }
    const link = (await listLinks(exec)).find(({ name }) => name === trunk) ?? null
    const watched = sw.datapath === 'netdev' && link !== null
    return { ports, link, offloads: watched ? await readOffloads(exec, trunk) : {} }
  }

  async function apply(step: TrunkStep): Promise<void> {
    switch (step.kind) {
      case 'port':
        await addPorts(exec, sw, [
          { name: step.name, tag: null, externalIds: { [OURS]: TRUNK_MARK } },
        ])
        return
      case 'up':
        await ipBatch(exec, [`link set dev ${step.name} up`])
        return
      case 'offloads-off':
        await noteOriginals(paths, { offloads: { [step.name]: each(step.were, true) } })
        await setOffloads(exec, step.name, each(step.were, false))
        return
      case 'unplug':
        await deletePorts(exec, sw, step.names)
        return
      default:
        never(step)
    }
  }
}

export function planTrunk(trunk: string | null, seen: TrunkSeen): TrunkStep[] {
  const steps: TrunkStep[] = []
  if (trunk !== null) {
    const were = Object.keys(seen.offloads).filter((name) => seen.offloads[name])
    if (were.length > 0) steps.push({ kind: 'offloads-off', name: trunk, were })
    if (!seen.ports.some(({ name, tag }) => name === trunk && tag === null)) {
      steps.push({ kind: 'port', name: trunk })
    }
    if (seen.link?.up !== true) steps.push({ kind: 'up', name: trunk })
  }
  const names = seen.ports.map(({ name }) => name).filter((name) => name !== trunk)
  if (names.length > 0) steps.push({ kind: 'unplug', names })
  return steps
}

function each(names: readonly string[], value: boolean): Record<string, boolean> {
  return Object.fromEntries(names.map((name) => [name, value]))
}
