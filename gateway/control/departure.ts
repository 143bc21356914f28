// Takes hosts and racks out of the cloud: their certificates stop working, their numbers go into
// quarantine.

import { MalleeError } from '../../common/errors.ts'
import type { Identity } from '../../common/identity.ts'
import { placedOn } from '../ec2/capacity.ts'
import { forgetDefaultSubnets } from '../ec2/networks.ts'
import { removeSubnet } from '../ec2/subnet-records.ts'
import { hostIndexPool, RACK_INDEX_POOL } from '../pools.ts'
import type { HostRecord } from '../store/records.ts'
import type { State, Transaction, View } from '../store/state.ts'

/** A host says that it leaves, or its CC says it for a node. Repeating it changes nothing. */
export async function departHost(state: State, caller: Identity, host: string): Promise<void> {
  const isCc = caller.kind === 'host' && caller.roles.includes('cc')
  if (caller.kind !== 'host' || (caller.host !== host && !isCc)) {
    throw new MalleeError('NotAllowed', `only ${host} or its CC can say that it leaves`)
  }
  await state.update(async (tx) => withoutHost(tx, await state.fresh(), caller.rack, host))
}

/** Throws Conflict while instances are placed on it. */
export async function withoutHost(
  tx: Transaction,
  view: View,
  rack: string,
  host: string,
): Promise<void> {
  const record = await tx.get('host', rack, host)
  if (record === null) return
  const placed = placedOn(view, { rack, host })
  if (placed.length > 0) {
    const first = placed[0]?.id
    throw new MalleeError('Conflict', `${placed.length} instances are on ${host}, ${first} for one`)
  }
  await forgetHost(tx, record)
  const others = view.withPrefix('host', `${rack}/`).filter((one) => one.host !== host)
  if (others.length === 0) await withoutEmptyRack(tx, view, rack)
}

/** Throws RackNotFound, or Conflict while it has instances that are not terminated. */
export async function withoutRack(tx: Transaction, view: View, name: string): Promise<void> {
  if ((await tx.get('rack', name)) === null) {
    throw new MalleeError('RackNotFound', `there is no rack ${name}`)
  }
  const alive = view.instancesOf('rack', name).filter((one) => one.state !== 'terminated')
  if (alive.length > 0) {
    const sentence = `rack ${name} has ${alive.length} instances, terminate them first: ${alive[0]?.id}`
    throw new MalleeError('Conflict', sentence)
  }
  for (const host of view.withPrefix('host', `${name}/`)) await forgetHost(tx, host)
  await withoutEmptyRack(tx, view, name)
}

/** A launch counts in `placed` what it puts on a host: deleting that makes the two conflict. */
async function forgetHost(tx: Transaction, { rack, host, index }: HostRecord): Promise<void> {
  await tx.get('placed', rack, host)
  await tx.delete('placed', rack, host)
  await tx.delete('host', rack, host)
  await tx.delete('lease', rack, host)
  await tx.pool(hostIndexPool(rack)).give(index)
}

/** The rack's name and numbers are free again; its subnets go with it. */
async function withoutEmptyRack(tx: Transaction, view: View, name: string): Promise<void> {
  const rack = await tx.get('rack', name)
  if (rack === null) return
  const subnets = view.subnetsOf('rack', name)
  const held = subnets.flatMap((subnet) => view.interfacesOf('subnet', subnet.id))
  if (held.length > 0) {
    const sentence = `rack ${name} has ${held.length} network interfaces, delete them first`
    throw new MalleeError('Conflict', `${sentence}: ${held[0]?.id}`)
  }
  for (const subnet of subnets) await removeSubnet(tx, subnet)
  await forgetDefaultSubnets(tx, view, name)
  for (const { pair } of view.all('preshared-key')) {
    if (pair.split('|').includes(name)) await tx.delete('preshared-key', pair)
  }
  await tx.delete('rack', name)
  await tx.pool(RACK_INDEX_POOL).give(rack.index)
}
