// A host as a model in memory: the same agent, protocol and desired state as a real one, and
// nothing on the machine. It says so in every report and on every console.

import { type Duplex, duplexPair } from 'node:stream'
import { create } from '@bufbuild/protobuf'
import type { Clock } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import { type Instance, Power } from '../../proto/gen/mallee/v1/desired_pb.js'
import {
  InstanceState,
  InstanceStatusSchema,
  Reachability,
  type Status,
  StatusSchema,
} from '../../proto/gen/mallee/v1/observed_pb.js'
import { bodies, type Desired } from '../../proto/resources.ts'
import type { Capacity } from '../config.ts'
import type { HostRoles } from '../host-roles.ts'
import { encodeJpeg } from '../jpeg/encode.ts'
import { SimulatedBalancers } from './balancers.ts'
import { SimulatedPeers } from './peers.ts'
import { SimulatedSnapshots, type SimulatedSnapshotsOptions } from './snapshots.ts'
import { SimulatedTunnels } from './tunnels.ts'
import { SimulatedVolumes } from './volumes.ts'
import { SimulatedVpns } from './vpns.ts'

export interface SimulatedOptions extends Pick<SimulatedSnapshotsOptions, 'putRoot'> {
  readonly host: string
  readonly roles: readonly string[]
  readonly clock: Clock
  /** Milliseconds from the wish to a running guest. */
  readonly bootMs: number
  /** Stands for the key of a real interface; 32 bytes in base64. */
  readonly publicKey: string
  /** What a guest does with its end of the serial port; it echoes when not given. */
  readonly serialGuest?: (instance: string, port: Duplex) => void
}

export interface SimulatedRoles extends HostRoles {
  /** As if the guest's process had died. Throws NotFound. */
  readonly fail: (instanceId: string) => void
  /** How many diagnostic interrupts a guest got. Throws NotFound. */
  readonly interrupts: (instanceId: string) => number
  /** As if the guest answered nothing on the network any more. Throws NotFound. */
  readonly deafen: (instanceId: string) => void
  /** As if the guest had powered itself off. Throws NotFound. */
  readonly powerOff: (instanceId: string) => void
}

/** What instances may use when nothing else is said. */
export const SIMULATED_CAPACITY: Capacity = { vcpus: 64, memoryMib: 262_144, diskGib: 4_096 }

interface Machine {
  state: InstanceState
  sinceMs: number
  reasonCode: string
  reasonMessage: string
  rebootCount: number
  startCount: number
  /** Null as long as it answers. */
  deafAtMs: number | null
  interrupts: number
  /** The host's end of its serial port, when somebody has it. */
  port: Duplex | null
}

/** Of a machine that was not there before. */
const FIRST_STATES: Readonly<Record<Power, InstanceState>> = {
  [Power.UNSPECIFIED]: InstanceState.STOPPED,
  [Power.RUNNING]: InstanceState.PENDING,
  [Power.STOPPED]: InstanceState.STOPPED,
  [Power.TERMINATED]: InstanceState.TERMINATED,
}

export function simulatedRoles(options: SimulatedOptions): SimulatedRoles {
  const { host, roles, clock, bootMs, publicKey } = options
  const isCc = roles.includes('cc')
  const machines = new Map<string, Machine>()
  const tunnels = new SimulatedTunnels(clock)
  const peers = new SimulatedPeers({ host, clock, publicKey })
  const vpns = new SimulatedVpns({ host, clock, publicKey })
  const listeners = new Set<() => void>()
  const balancers = new SimulatedBalancers({ host, clock, answers })
  const isSc = roles.includes('sc')
  const volumes = new SimulatedVolumes({ host, isSc, hasGuest: (id) => runs(id) })
  const snapshots = new SimulatedSnapshots({ ...options, host, clock })

  return {
    passes: [{ name: 'simulated', run: pass }],
    statuses: () => [
      ...tunnels.statuses(),
      ...peers.statuses(),
      ...vpns.statuses(),
      ...[...machines].map(instanceStatus),
      ...balancers.statuses(),
      ...volumes.statuses(),
      ...snapshots.statuses(),
    ],
    onStatus: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    wireguardPublicKey: () => (isCc ? publicKey : ''),
    wireguardEndpoints: () => (isCc ? ['192.0.2.1:51820'] : []),
    volumeStore: () => volumes.store(),
    consoleOutput: roles.includes('nc') ? consoleOutput : null,
    guests: roles.includes('nc') ? { screenshot, interrupt, serialPort } : null,
    images: null,
    close: () => Promise.resolve(),
    removeAll: async () => {
      machines.clear()
      tunnels.follow(new Map())
      peers.follow(new Map())
      vpns.follow(new Map())
      balancers.follow(new Map())
      volumes.clear()
      snapshots.clear()
    },
    fail: (id) => {
      end(machineOf(id), 'Server.InternalError', 'The simulated guest was made to fail')
      changed()
    },
    interrupts: (id) => machineOf(id).interrupts,
    deafen: (id) => {
      machineOf(id).deafAtMs = clock.nowMs()
      changed()
    },
    powerOff: (id) => {
      end(machineOf(id), 'Client.InstanceInitiatedShutdown', 'Instance initiated shutdown')
      changed()
    },
  }

  async function pass(desired: Desired): Promise<void> {
    const mine = bodies(desired, 'instance').filter((one) => one.host === host)
    const wanted = new Set(mine.map((one) => one.id))
    for (const instance of mine) follow(instance)
    for (const id of machines.keys()) if (!wanted.has(id)) machines.delete(id)
    if (isCc) {
      tunnels.follow(desired)
      peers.follow(desired)
      vpns.follow(desired)
    }
    balancers.follow(desired)
    volumes.follow(desired)
    await snapshots.follow(desired)
  }

  function runs(id: string): boolean {
    return machines.get(id)?.state === InstanceState.RUNNING
  }

  function answers(id: string): boolean {
    const machine = machines.get(id)
    return machine?.state === InstanceState.RUNNING && machine.deafAtMs === null
  }

  function follow(instance: Instance): void {
    const { power, startCount } = instance
    const known = machines.get(instance.id)
    if (known === undefined) {
      start(instance)
      return
    }
    known.rebootCount = instance.rebootCount
    if (power === Power.TERMINATED && known.state !== InstanceState.TERMINATED) {
      known.state = InstanceState.TERMINATED
      known.port?.destroy()
      known.sinceMs = clock.nowMs()
    } else if (power === Power.STOPPED) {
      if (known.state !== InstanceState.STOPPED) {
        end(known, 'Client.UserInitiatedShutdown', 'User initiated shutdown')
      }
      known.startCount = startCount
    } else if (power === Power.RUNNING && startCount > known.startCount) {
      start(instance)
    }
  }

  function start({ id, power, rebootCount, startCount }: Instance): void {
    const machine: Machine = {
      state: FIRST_STATES[power],
      sinceMs: clock.nowMs(),
      reasonCode: '',
      reasonMessage: '',
      rebootCount,
      startCount,
      deafAtMs: null,
      interrupts: 0,
      port: null,
    }
    machines.set(id, machine)
    if (machine.state !== InstanceState.PENDING) return
    void clock.sleep(bootMs).then(() => {
      if (machines.get(id) !== machine || machine.state !== InstanceState.PENDING) return
      machine.state = InstanceState.RUNNING
      machine.sinceMs = clock.nowMs()
      changed()
    })
  }

  function end(machine: Machine, reasonCode: string, reasonMessage: string): void {
    machine.state = InstanceState.STOPPED
    machine.port?.destroy()
    machine.sinceMs = clock.nowMs()
    machine.reasonCode = reasonCode
    machine.reasonMessage = reasonMessage
  }

  function instanceStatus([id, machine]: [string, Machine]): Status {
    const { state, reasonCode, reasonMessage, rebootCount, startCount, deafAtMs } = machine
    const sinceMs = BigInt(machine.sinceMs)
    const reach = {
      guest: deafAtMs === null ? Reachability.REACHABLE : Reachability.UNREACHABLE,
      guestSinceMs: BigInt(deafAtMs ?? machine.sinceMs),
    }
    const about = {
      ...{ rebootCount, startCount },
      ...(state === InstanceState.RUNNING ? reach : {}),
    }
    const plugged = volumes.plugged(id)
    const fields = {
      id,
      state,
      reasonCode,
      reasonMessage,
      ...about,
      sinceMs,
      host,
      volumes: plugged,
    }
    const value = create(InstanceStatusSchema, fields)
    return create(StatusSchema, { key: `instance/${id}`, body: { case: 'instance', value } })
  }

  async function consoleOutput(id: string, maxBytes: number): Promise<Uint8Array> {
    const { sinceMs } = machineOf(id)
    const since = new Date(sinceMs).toISOString()
    return Buffer.from(`simulated guest ${id} on ${host} since ${since}\n`).subarray(0, maxBytes)
  }

  /** A green screen: nothing of it is real. */
  async function screenshot(id: string): Promise<Uint8Array> {
    runningOne(id)
    const [width, height] = [64, 40]
    const rgb = Uint8Array.from({ length: width * height * 3 }, (_, at) => (at % 3 === 1 ? 96 : 0))
    return encodeJpeg({ width, height, rgb })
  }

  async function interrupt(id: string): Promise<void> {
    runningOne(id).interrupts += 1
  }

  async function serialPort(id: string): Promise<Duplex> {
    const machine = runningOne(id)
    if (machine.port?.destroyed === false) {
      throw new MalleeError('Conflict', `somebody on ${host} has the serial console of ${id}`)
    }
    const [port, guest] = duplexPair()
    machine.port = port
    port.on('close', () => guest.destroy())
    guest.on('error', () => undefined)
    if (options.serialGuest === undefined) guest.pipe(guest)
    else options.serialGuest(id, guest)
    return port
  }

  function runningOne(id: string): Machine {
    const machine = machineOf(id)
    if (machine.state === InstanceState.RUNNING) return machine
    throw new MalleeError('NotFound', `${id} does not run on host ${host}`)
  }

  function machineOf(id: string): Machine {
    const machine = machines.get(id)
    if (machine === undefined) throw new MalleeError('NotFound', `${id} is not on host ${host}`)
    return machine
  }

  function changed(): void {
    for (const listener of listeners) listener()
  }
}
