// Parts of tenants' networks that tests put into a cloud's store by themselves.

import { randomHex } from '../../../common/clock.ts'
import { newId, randomId } from '../../../gateway/ec2/ids.ts'
import { takeMac, takePrivateAddress } from '../../../gateway/ec2/private-addresses.ts'
import type {
  InterfaceRecord,
  PublicPoolRecord,
  SubnetRecord,
} from '../../../gateway/store/network-records.ts'
import type { State } from '../../../gateway/store/state.ts'
import { START_MS } from './support.ts'

/** What `mallee pool create` does, without its checks. */
export async function addPublicPool(
  state: State,
  pool: Partial<PublicPoolRecord> & Pick<PublicPoolRecord, 'cidr'>,
): Promise<PublicPoolRecord> {
  const id = randomId(randomHex, 'ipv4pool-ec2')
  const rest = { racks: [], excluded: [], closing: false, createdAtMs: START_MS }
  const record = { id, ...rest, ...pool }
  await state.update((tx) => tx.put('public-pool', [id], record))
  return record
}

/** An interface of the subnet's owner that is attached to nothing. */
export async function addInterface(state: State, subnet: SubnetRecord): Promise<InterfaceRecord> {
  return await state.update(async (tx) => {
    const id = await newId(tx, randomHex, 'interface')
    const record: InterfaceRecord = {
      id,
      account: subnet.account,
      instance: '',
      attachment: '',
      deviceIndex: 0,
      attachedAtMs: 0,
      deleteOnTermination: false,
      vpc: subnet.vpc,
      subnet: subnet.id,
      rack: subnet.rack,
      host: '',
      mac: await takeMac(tx),
      ipv4: await takePrivateAddress(tx, subnet, id),
      ipv6: '',
      ipv4More: [],
      ipv6More: [],
      hostname: '',
      securityGroups: [],
      sourceDestCheck: true,
      description: '',
      type: 'interface',
      createdAtMs: START_MS,
    }
    await tx.put('interface', [id], record)
    return record
  })
}
