// Instances' ports on the switch: a tap each, as access port of its network. Added before a machine
// starts, removed after it is gone. Those of load balancers' nodes, whose veths others make, too.

import type { Exec } from '../../common/exec.ts'
import type { Reconciler } from '../../common/reconcile.ts'
import { GATEWAY_MARK, VXLAN_MARK } from '../cc/names.ts'
import {
  addPorts,
  deletePorts,
  forgetConnections,
  listPorts,
  OURS,
  type Port,
  type Switch,
} from '../host/ovs.ts'
import { addTaps, deleteTap, listTaps, type Tap } from '../host/tap.ts'
import { TRUNK_MARK } from '../host/trunk.ts'
import { STORAGE_MARK } from '../storage-net/names.ts'
import { listVeths } from './balancers/links.ts'
import type { SwitchPorts } from './flow-plan.ts'
import type { GuardedPort } from './port-flows.ts'
import type { NicWanted } from './wanted.ts'

/** Marks our ports among those of the CC. */
const MARK = 'tap'

export interface PortsSeen {
  readonly taps: readonly Tap[]
  readonly ports: readonly Port[]
  /** Outer ends of load balancers' nodes. */
  readonly veths: ReadonlySet<string>
}

export type PortStep =
  | { readonly kind: 'set-taps'; readonly taps: readonly Tap[] }
  | { readonly kind: 'add-ports'; readonly nics: readonly NicWanted[] }
  | { readonly kind: 'delete-ports'; readonly names: readonly string[] }
  | { readonly kind: 'delete-tap'; readonly name: string }

export interface PortsOptions {
  readonly exec: Exec
  readonly sw: Switch
  readonly wanted: readonly NicWanted[]
}

/** Adds and mends; takes nothing away that an instance may still use. */
export function portsReconciler(options: PortsOptions): Reconciler<PortsSeen, PortStep> {
  return reconciler('ports', options, planPorts)
}

/** Removes what no instance wants and none of `busy`, the taps that guests still have. */
export function oldPortsReconciler(
  options: PortsOptions,
  busy: ReadonlySet<string>,
): Reconciler<PortsSeen, PortStep> {
  return reconciler('old-ports', options, (wanted, seen) => planOldPorts(wanted, seen, busy))
}

export function planPorts(all: readonly NicWanted[], seen: PortsSeen): PortStep[] {
  const { taps, ports, veths } = seen
  // A node whose veth is not there yet has no port either.
  const wanted = all.filter(({ tap, balancer }) => !balancer || veths.has(tap))
  const mtus = new Map(taps.map(({ name, mtu }) => [name, mtu]))
  const known = new Map(ports.map((port) => [port.name, port]))
  const unset = wanted.filter(({ tap, mtu, balancer }) => !balancer && mtus.get(tap) !== mtu)
  const unplugged = wanted.filter((nic) => !fits(known.get(nic.tap), nic))
  // The switch does not look again at a device that it once could not open.
  const dead = unplugged.filter(({ tap }) => (known.get(tap)?.ofport ?? 1) <= 0)
  const steps: PortStep[] = []
  if (dead.length > 0) steps.push({ kind: 'delete-ports', names: dead.map(({ tap }) => tap) })
  if (unset.length > 0) {
    steps.push({ kind: 'set-taps', taps: unset.map(({ tap, mtu }) => ({ name: tap, mtu })) })
  }
  if (unplugged.length > 0) steps.push({ kind: 'add-ports', nics: unplugged })
  return steps
}

export function planOldPorts(
  wanted: readonly NicWanted[],
  { taps, ports }: Pick<PortsSeen, 'taps' | 'ports'>,
  busy: ReadonlySet<string> = new Set(),
): PortStep[] {
  const keep = new Set([...wanted.map(({ tap }) => tap), ...busy])
  const names = ports.map(({ name }) => name).filter((name) => !keep.has(name))
  const old = taps.filter(({ name }) => !keep.has(name))
  return [
    ...(names.length > 0 ? [{ kind: 'delete-ports', names } as const] : []),
    ...old.map(({ name }) => ({ kind: 'delete-tap', name }) as const),
  ]
}

/** The ports as the flow table sees them. One without a number is not on the switch yet. */
export async function switchPorts({ exec, sw, wanted }: PortsOptions): Promise<SwitchPorts> {
  const all = (await listPorts(exec, sw)).filter(({ ofport }) => ofport > 0)
  const marked = (mark: string) => all.filter(({ externalIds }) => externalIds[OURS] === mark)
  const numbers = new Map(marked(MARK).map(({ name, ofport }) => [name, ofport]))
  const access = (mark: string) =>
    marked(mark).flatMap(({ tag, ofport, mac }) => (tag === null ? [] : [{ tag, ofport, mac }]))
  return {
    taps: wanted.flatMap((nic) => {
      const ofport = numbers.get(nic.tap)
      return ofport === undefined ? [] : [guardedPort(nic, ofport)]
    }),
    trunk: marked(TRUNK_MARK)[0]?.ofport ?? null,
    gateways: access(GATEWAY_MARK).filter(({ mac }) => mac !== ''),
    vxlans: access(VXLAN_MARK),
    storage: access(STORAGE_MARK)[0] ?? null,
  }
}

function guardedPort(nic: NicWanted, ofport: number): GuardedPort {
  const { mac, tag, sourceDestCheck, groupIds, balancer: openWithoutGroups } = nic
  const some = (addresses: readonly string[]) => addresses.filter((address) => address !== '')
  const ipv4 = some([nic.ipv4, ...nic.ipv4More])
  const ipv6 = some([nic.ipv6, ...nic.ipv6More])
  return { ofport, mac, tag, ipv4, ipv6, sourceDestCheck, groupIds, openWithoutGroups }
}

function reconciler(
  name: string,
  { exec, sw, wanted }: PortsOptions,
  plan: (wanted: readonly NicWanted[], seen: PortsSeen) => PortStep[],
): Reconciler<PortsSeen, PortStep> {
  const observe = async () => ({
    taps: await listTaps(exec),
    veths: new Set(await listVeths(exec)),
    ports: (await listPorts(exec, sw)).filter(({ externalIds }) => externalIds['mallee'] === MARK),
  })
  return {
    name,
    observe,
    plan: (seen) => plan(wanted, seen),
    apply: (step) => apply({ exec, sw, wanted }, step),
  }
}

async function apply({ exec, sw }: PortsOptions, step: PortStep): Promise<void> {
  switch (step.kind) {
    case 'set-taps': {
      const existing = new Set((await listTaps(exec)).map(({ name }) => name))
      return addTaps(exec, step.taps, existing)
    }
    case 'add-ports':
      await addPorts(exec, sw, step.nics.map(newPort))
      return forget({ exec, sw }, new Set(step.nics.map(({ tap }) => tap)))
    case 'delete-ports':
      return deletePorts(exec, sw, step.names)
    case 'delete-tap':
      return deleteTap(exec, step.name)
  }
}

/** A port's number may have been another's, whose connections are not this one's. */
async function forget(
  { exec, sw }: Pick<PortsOptions, 'exec' | 'sw'>,
  taps: ReadonlySet<string>,
): Promise<void> {
  const ports = (await listPorts(exec, sw)).filter(({ name }) => taps.has(name))
  const numbers = ports.map(({ ofport }) => ofport)
  await forgetConnections(
    exec,
    sw,
    numbers.filter((ofport) => ofport > 0),
  )
}

function newPort({ id, tap, mac, tag }: NicWanted) {
  // The last two are what Open vSwitch's documentation asks of integrators (IntegrationGuide).
  const externalIds = { mallee: MARK, 'iface-id': id, 'attached-mac': mac }
  return { name: tap, tag, externalIds }
}

function fits(port: Port | undefined, { tag, mac }: NicWanted): boolean {
  if (port === undefined || port.ofport <= 0) return false
  return port.tag === tag && port.externalIds['attached-mac'] === mac
}
