// Gives back what interfaces hold: those of an instance that is gone, and single ones.

import type { InstanceRecord, InterfaceRecord } from '../store/records.ts'
import type { Transaction } from '../store/state.ts'
import { detached } from './attaching.ts'
import { releasePrivateAddress } from './private-addresses.ts'
import { releasePublicAddresses, releasePublicAddressOf } from './public-addresses.ts'

/**
 * Deletes the instance's interfaces that go with it and detaches the others. To be called when the
 * host says that the instance is gone; the caller writes the instance without its interfaces.
 */
export async function releaseInterfaces(tx: Transaction, instance: InstanceRecord): Promise<void> {
  for (const id of instance.interfaces) {
    const one = await tx.get('interface', id)
    if (one === null) continue
    if (one.deleteOnTermination) await removeInterface(tx, one)
    else {
      await releasePublicAddresses(tx, id, 'auto')
      await tx.put('interface', [id], await detached(tx, one))
    }
  }
}

/** What an instance does not keep while it is stopped: its automatic public addresses. */
export async function releaseStopped(tx: Transaction, instance: InstanceRecord): Promise<void> {
  for (const id of instance.interfaces) await releasePublicAddresses(tx, id, 'auto')
}

/**
 * Deletes an interface. Elastic IPs stay their owner's. Its private addresses rest in quarantine
 * before somebody else gets them; its MAC is bound to it for life and never comes back.
 */
export async function removeInterface(tx: Transaction, one: InterfaceRecord): Promise<void> {
  await releaseAddresses(tx, one)
  await tx.delete('interface', one.id)
  await tx.delete('tags', one.id)
}

/** Gives the addresses of an interface back, of both sides. */
export async function releaseAddresses(tx: Transaction, one: InterfaceRecord): Promise<void> {
  const subnet = await tx.get('subnet', one.subnet)
  if (subnet === null) return
  for (const address of addressesOf(one)) {
    await releasePublicAddressOf(tx, address)
    await releasePrivateAddress(tx, subnet, address)
  }
}

function addressesOf({ ipv4, ipv6, ipv4More, ipv6More }: InterfaceRecord): string[] {
  return [ipv4, ipv6, ...ipv4More, ...ipv6More].filter((address) => address !== '')
}
