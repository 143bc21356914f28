// Gives back what an instance's interfaces hold.

import type { InstanceRecord } from '../store/records.ts'
import type { Transaction } from '../store/state.ts'
import { ipv4Offset, ipv4Pool } from './pools.ts'

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
      await tx.pool(ipv4Pool(subnet.id)).give(ipv4Offset(subnet.ipv4Cidr, one.ipv4))
    }
    await tx.delete('interface', id)
    await tx.delete('tags', id)
  }
}
