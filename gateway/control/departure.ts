// Takes hosts and racks out of the cloud: their certificates stop working, their numbers go into
// quarantine.

import { MalleeError } from '../../common/errors.ts'
import type { Identity } from '../../common/identity.ts'
import { isHostFree } from '../ebs/moving.ts'
import { checkNoVolumes, holdVolumes } from '../ebs/volume-hosts.ts'
import { placedOn } from '../ec2/capacity.ts'
import { forgetDefaultSubnets } from '../ec2/networks.ts'
import { MAC_POOL, VNI_POOL } from '../ec2/pools.ts'
import { removeSubnet } from '../ec2/subnet-records.ts'
import { leaveStretchedSubnets } from '../ec2/vlan-tags.ts'
import { hostIndexPool, RACK_INDEX_POOL } from '../pools.ts'
import { watchPublicPools } from '../public-pools.ts'
import type { PublicPoolRecord } from '../store/network-records.ts'
import type { HostRecord } from '../store/records.ts'
import type { State, Transaction, View } from '../store/state.ts'
import { isAlive } from './desired-routes.ts'
import { checkNoBuckets, type ObjectHostParts, withoutObjects } from './object-hosts.ts'

/**
 * A host says that it leaves, or its CC says it for a node. Repeating it changes nothing. Throws
 * Conflict as withoutHost, and while it keeps bytes of objects.
 */
export async function departHost(
  parts: ObjectHostParts,
  caller: Identity,
  host: string,
): Promise<void> {
  const isCc = caller.kind === 'host' && caller.roles.includes('cc')
  if (caller.kind !== 'host' || (caller.host !== host && !isCc)) {
    throw new MalleeError('NotAllowed', `only ${host} or its CC can say that it leaves`)
  }
  const { state } = parts
  const { rack } = caller
  await withoutObjects(parts, rack, [host], () =>
    state.update((tx) => withoutHost(tx, state, rack, host)),
  )
}

/**
 * Throws Conflict while volumes are on it, or instances that cannot start elsewhere; for a rack's
 * last one as withoutRack.
 */
export async function withoutHost(
  tx: Transaction,
  state: State,
  rack: string,
  host: string,
): Promise<void> {
  const record = await tx.get('host', rack, host)
  if (record === null) return
  const view = await heldView(tx, state, rack, [host])
  const placed = placedOn(view, { rack, host }).filter((one) => !isHostFree(one))
  if (placed.length > 0) {
    const first = placed[0]?.id
    throw new MalleeError('Conflict', `${placed.length} instances are on ${host}, ${first} for one`)
  }
  checkNoVolumes(view, { rack, host })
  await forgetHost(tx, view, record)
  const others = view.withPrefix('host', `${rack}/`).filter((one) => one.host !== host)
  if (others.length === 0) await withoutEmptyRack(tx, view, rack)
}

/**
 * Throws RackNotFound, or Conflict while it has instances that are not terminated, volumes, NAT
 * gateways, nodes of load balancers, interfaces, buckets, or a public pool that is announced there
 * alone.
 */
export async function withoutRack(tx: Transaction, state: State, name: string): Promise<void> {
  if ((await tx.get('rack', name)) === null) {
    throw new MalleeError('RackNotFound', `there is no rack ${name}`)
  }
  const hosts = (await state.fresh()).withPrefix('host', `${name}/`).map((one) => one.host)
  const view = await heldView(tx, state, name, hosts)
  const alive = view.instancesOf('rack', name).filter((one) => one.state !== 'terminated')
  refuse(name, alive, 'instances, terminate them first')
  for (const host of hosts) checkNoVolumes(view, { rack: name, host })
  for (const host of view.withPrefix('host', `${name}/`)) await forgetHost(tx, view, host)
  await withoutEmptyRack(tx, view, name)
}

/**
 * A mirror that shows all that is in the rack when the transaction commits: a launch counts in
 * `placed`, a volume in `volume-placed`, a host takes an index, an interface a MAC, a subnet a VNI.
 */
async function heldView(
  tx: Transaction,
  state: State,
  rack: string,
  hosts: readonly string[],
): Promise<View> {
  for (const host of hosts) {
    await tx.get('placed', rack, host)
    await holdVolumes(tx, { rack, host })
  }
  for (const pool of [hostIndexPool(rack), MAC_POOL, VNI_POOL]) await tx.pool(pool).watch()
  await watchPublicPools(tx)
  return await state.fresh()
}

function refuse(rack: string, things: readonly { readonly id: string }[], what: string): void {
  const [first] = things
  if (first === undefined) return
  throw new MalleeError('Conflict', `rack ${rack} has ${things.length} ${what}: ${first.id}`)
}

/** A launch counts in `placed` what it puts on a host: deleting that makes the two conflict. */
async function forgetHost(
  tx: Transaction,
  view: View,
  { rack, host, index }: HostRecord,
): Promise<void> {
  for (const kind of ['placed', 'volume-placed'] as const) {
    await tx.get(kind, rack, host)
    await tx.delete(kind, rack, host)
  }
  await tx.delete('host', rack, host)
  await tx.delete('lease', rack, host)
  for (const { number } of view.all('peer')) {
    await tx.delete('peer-link', String(number), rack, host)
  }
  await tx.pool(hostIndexPool(rack)).give(index)
}

/** The rack's name and numbers are free again; its subnets go with it. */
async function withoutEmptyRack(tx: Transaction, view: View, name: string): Promise<void> {
  const rack = await tx.get('rack', name)
  if (rack === null) return
  checkRackEmpties(view, name)
  const subnets = view.subnetsOf('rack', name)
  await leavePublicPools(tx, view, name)
  await leaveStretchedSubnets(tx, view, name)
  for (const subnet of subnets) await removeSubnet(tx, subnet)
  await forgetDefaultSubnets(tx, view, name)
  for (const { pair } of view.all('preshared-key')) {
    if (pair.split('|').includes(name)) await tx.delete('preshared-key', pair)
  }
  await tx.delete('rack', name)
  await tx.pool(RACK_INDEX_POOL).give(rack.index)
}

/** Throws Conflict for what keeps a rack without hosts, beside interfaces that are about to go. */
export function checkRackEmpties(
  view: View,
  name: string,
  going: ReadonlySet<string> = new Set(),
): void {
  const nats = view.by('nat-gateway', 'rack', name).filter(isAlive)
  refuse(name, nats, 'NAT gateways, delete them first')
  const nodes = view.by('balancer-node', 'rack', name).map((one) => ({
    id: `net/${view.get('load-balancer', one.loadBalancer)?.name}/${one.loadBalancer}`,
  }))
  refuse(name, nodes, 'nodes of load balancers, take their subnets there from them first')
  const held = view
    .subnetsOf('rack', name)
    .flatMap((subnet) => view.interfacesOf('subnet', subnet.id))
    .filter((one) => !going.has(one.id))
  refuse(name, held, 'network interfaces, delete them first')
  checkNoBuckets(view, name)
  for (const pool of view.all('public-pool')) {
    if (pool.racks.length === 1 && pool.racks[0] === name) throw announcedAlone(pool, name)
  }
}

/** A pool whose last rack went would be announced by all. */
async function leavePublicPools(tx: Transaction, view: View, rack: string): Promise<void> {
  for (const { id } of view.all('public-pool').filter((one) => one.racks.includes(rack))) {
    const pool = await tx.get('public-pool', id)
    if (pool === null) continue
    const racks = pool.racks.filter((one) => one !== rack)
    if (racks.length === 0) throw announcedAlone(pool, rack)
    await tx.put('public-pool', [id], { ...pool, racks })
  }
}

function announcedAlone({ id, cidr }: PublicPoolRecord, rack: string): MalleeError {
  const sentence = `the public pool ${id} (${cidr}) is announced in rack ${rack} alone`
  return new MalleeError('Conflict', `${sentence}, delete it first`)
}
