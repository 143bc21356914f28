// The NC's part of a host: ports, what they may send, machines, in that order. No guest starts
// before its port is guarded.

import { readFileSync } from 'node:fs'
import { create } from '@bufbuild/protobuf'
import type { Clock } from '../../common/clock.ts'
import type { Exec } from '../../common/exec.ts'
import type { Log } from '../../common/log.ts'
import { reconcileOnce } from '../../common/reconcile.ts'
import {
  InstanceState,
  InstanceStatusSchema,
  Reachability,
  type Status,
  StatusSchema,
} from '../../proto/gen/mallee/v1/observed_pb.js'
import type { Desired } from '../../proto/resources.ts'
import type { Capacity } from '../config.ts'
import { guardReconciler, removeGuard } from '../host/guard.ts'
import type { Switch } from '../host/ovs.ts'
import { listTaps, tapName } from '../host/tap.ts'
import type { GuestDriver } from '../host-roles.ts'
import type { Images } from '../images/images.ts'
import type { LazyImages } from '../images/lazy-images.ts'
import type { Paths } from '../paths.ts'
import type { RoleDriver } from '../role.ts'
import { Balancers } from './balancers/balancers.ts'
import { realCapacity } from './capacity.ts'
import { consoleOutput } from './console.ts'
import { FlowPlanner } from './flow-plan.ts'
import { FlowTable } from './flow-table.ts'
import { Machines } from './machines.ts'
import { oldPortsReconciler, type PortsOptions, portsReconciler, switchPorts } from './ports.ts'
import { Reaches } from './reach.ts'
import { wantedMachines, wantedNics, wantedNodeNics } from './wanted.ts'

export interface NcOptions {
  readonly exec: Exec
  readonly paths: Paths
  readonly host: string
  readonly accelerator: 'kvm' | 'tcg'
  /** Its daemons are the caller's to keep alive. */
  readonly switch: Switch
  readonly images: Images
  readonly lazy: LazyImages
  /** Instead of what the machine has. */
  readonly capacity: Capacity | null
  readonly clock: Clock
  readonly log: Log
}

export interface NcRole extends RoleDriver {
  /** The end of a guest's console. Throws NotFound. */
  readonly consoleOutput: (id: string, maxBytes: number) => Promise<Uint8Array>
  readonly guests: GuestDriver
  readonly capacity: () => Capacity
  /** Finds out whether guests can be reached; to be called every few seconds. */
  readonly reach: () => Promise<void>
  /** Makes load balancers' nodes; their ports and flows come with the next `pass`. */
  readonly balancers: (desired: Desired) => Promise<void>
  /** Hangs up on all machines and nodes; they go on, and the next role adopts them. */
  readonly letGo: () => Promise<void>
}

export function ncRole(options: NcOptions): NcRole {
  const { exec, paths, host, accelerator, switch: sw, images, lazy, clock, log } = options
  const capacity = options.capacity ?? realCapacity(paths)
  const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  const offloads = sw.datapath === 'system'
  const parts = { exec, paths, accelerator, offloads, images, lazy, bootId, clock, log }
  const machines = new Machines(parts, host)
  const planner = new FlowPlanner()
  const table = new FlowTable(exec, sw)
  const reaches = new Reaches({ exec, sw })
  const balancers = new Balancers({ exec, paths, host, sw, clock, log })

  return {
    pass,
    reach: () => reaches.round(machines.running(), clock.nowMs()),
    balancers: (desired) => balancers.pass(desired),
    statuses: () => [...machines.statuses().map(withReach), ...balancers.statuses()],
    onStatus: (listener) => {
      const offs = [machines.onChange(listener), balancers.onChange(listener)]
      return () => {
        for (const off of offs) off()
      }
    },
    consoleOutput: (id, maxBytes) => consoleOutput(paths, id, maxBytes),
    guests: machines,
    capacity: () => capacity,
    letGo: async () => {
      machines.letGo()
      await balancers.close()
    },
    removeAll,
  }

  function withReach(status: Status): Status {
    if (status.body.case !== 'instance') return status
    const { id, state, sinceMs } = status.body.value
    if (state !== InstanceState.RUNNING) return status
    const reach = reaches.of(id)
    const guest = reach?.verdict ?? Reachability.INITIALIZING
    const told = { guest, guestSinceMs: reach === null ? sinceMs : BigInt(reach.sinceMs) }
    const value = create(InstanceStatusSchema, { ...status.body.value, ...told })
    return create(StatusSchema, { key: status.key, body: { case: 'instance', value } })
  }

  async function pass(desired: Desired): Promise<void> {
    const wanted = wantedMachines(desired, host)
    const nics = [...wantedNics(wanted), ...wantedNodeNics(desired, host)]
    const ports = { exec, sw, wanted: nics }
    await reconcileOnce(portsReconciler(ports), log)
    await guard(desired, ports)
    try {
      await machines.pass(wanted)
    } finally {
      await removeOldPorts(desired, ports)
    }
    const inUse = machines.imagesInUse()
    if (inUse === null) return
    lazy.keepOnly(inUse)
    await images.use(inUse)
  }

  async function removeOldPorts(desired: Desired, ports: PortsOptions): Promise<void> {
    const busy = new Set([...machines.macsInUse()].map(tapName))
    const steps = await reconcileOnce(oldPortsReconciler(ports, busy), log)
    if (steps > 0) await guard(desired, ports)
  }

  /** Flows on the switch; and the host's kernel is kept from what the taps bring. */
  async function guard(desired: Desired, ports: PortsOptions): Promise<void> {
    const wanted = planner.plan(desired, await switchPorts(ports))
    await reconcileOnce(table.reconciler(wanted), log)
    if (sw.datapath !== 'netdev') return
    // Also of those that a guest still has: it may send until it lets go.
    const names = (await listTaps(exec)).map(({ name }) => name)
    await reconcileOnce(guardReconciler({ exec, group: 'taps', ports: () => names }), log)
  }

  async function removeAll(): Promise<void> {
    await machines.pass([])
    await balancers.removeAll()
    await removeOldPorts(new Map(), { exec, sw, wanted: [] })
    await removeGuard(exec, 'taps')
  }
}
