// Gives back what an instance's interfaces hold.

import type { InstanceRecord, InterfaceRecord } from '../store/records.ts'
import type { Transaction } from '../store/state.ts'
import { releasePrivateAddress } from './private-addresses.ts'

/**
 * Deletes the instance's interfaces; their addresses rest in quarantine before somebody else gets
 * them. A MAC is bound to its interface for life and never comes back. To be called when the host
 * says that the instance is gone; the caller writes the instance without its interfaces.
 */
export async function releaseInterfaces(tx: Transaction, instance: InstanceRecord): Promise<void> {
  for (const id of instance.interfaces) {
    const one = await tx.get('interface', id)
    if (one === null) continue
    const subnet = await tx.get('subnet', one.subnet)
    if (subnet !== null) {
      for (const address of addressesOf(one)) await releasePrivateAddress(tx, subnet, address)
    }
    await tx.delete('interface', id)
    await tx.delete('tags', id)
  }
}

function addressesOf({ ipv4, ipv6, ipv4More, ipv6More }: InterfaceRecord): string[] {
  return [ipv4, ipv6, ...ipv4More, ...ipv6More].filter((address) => address !== '')
}
