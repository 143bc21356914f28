// Networks that nobody asks for: every account's default VPC, and in it one default subnet for
// every rack. Each is made once: what its owner deleted does not come back by itself.

import type { RandomHex } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import { type Log, silentLog } from '../../common/log.ts'
import { formatCidr, mustCidr } from '../../topology/cidr.ts'
import { DEFAULT_SUBNET_LENGTH, SUBNET_IPV6_LENGTH } from '../../topology/ranges.ts'
import { ApiError } from '../aws/api-error.ts'
import type { SubnetRecord, VpcRecord } from '../store/records.ts'
import type { State, Transaction, View } from '../store/state.ts'
import { forgetSpaces, subnetSpace, takeFreeBlock } from './blocks.ts'
import { newId } from './ids.ts'
import { createSubnetRecord } from './subnet-records.ts'
import { addRackTag, forgetRestedTags, tagless } from './vlan-tags.ts'
import { createVpcRecords, defaultSubnetName, takeVpcBlock } from './vpc-records.ts'

export interface NetworkOptions {
  readonly nowMs: number
  readonly randomHex: RandomHex
  readonly log?: Log
}

/**
 * The account's default VPC, when it never had one. Throws Conflict when the cloud has no block
 * left for it. At most one in a transaction.
 */
export async function ensureDefaultNetworks(
  tx: Transaction,
  state: State,
  account: string,
  options: NetworkOptions,
): Promise<void> {
  if ((await tx.get('name', 'default-vpc', account)) !== null) return
  await createDefaultVpc(tx, state, account, options)
}

/**
 * Those of accounts that never had one: `mallee init` makes the first account, and may die before
 * its VPC. What cannot be made for want of blocks is logged.
 */
export async function ensureDefaultVpcs(state: State, options: NetworkOptions): Promise<void> {
  const log = options.log ?? silentLog
  const view = await state.fresh()
  for (const { id } of view.all('account')) {
    if (view.get('name', 'default-vpc', id) !== null) continue
    await unlessExhausted(
      () => state.update((tx) => ensureDefaultNetworks(tx, state, id, options)),
      (error) => log.error('no default VPC', { account: id, error }),
    )
  }
}

/** Throws Conflict when the cloud has no block left for it. */
export async function createDefaultVpc(
  tx: Transaction,
  state: State,
  account: string,
  { nowMs, randomHex }: NetworkOptions,
): Promise<VpcRecord> {
  const id = await newId(tx, randomHex, 'vpc')
  const of = { id, account }
  await tx.put('name', ['default-vpc', account], { name: 'default-vpc', holder: id })
  return await createVpcRecords(tx, randomHex, {
    ...of,
    ipv4Cidrs: [await takeVpcBlock(tx, state, of, 4)],
    ipv6Cidrs: [await takeVpcBlock(tx, state, of, 6)],
    isDefault: true,
    nowMs,
  })
}

/**
 * One default subnet for every default VPC and rack that never had one, and a tag for stretched
 * ones in racks that joined after them. What cannot be made for want of numbers is logged and left
 * for another time: the others are made all the same.
 */
export async function ensureDefaultSubnets(state: State, options: NetworkOptions): Promise<void> {
  const log = options.log ?? silentLog
  for (const { vpc, rack } of missingSubnets(state.view())) {
    await unlessExhausted(
      () => state.update((tx) => ensureDefaultSubnet(tx, state, vpc, rack, options)),
      (error) => log.error('no default subnet', { vpc, rack, error }),
    )
  }
  for (const missing of tagless(state.view())) {
    await unlessExhausted(
      () => state.update((tx) => addRackTag(tx, state, missing)),
      (error) => log.error('no VLAN tag for a stretched subnet', { ...missing, error }),
    )
  }
  await forgetRestedTags(state, options.nowMs)
  await forgetSpaces(state)
}

/** A /24 and a /64 of the VPC, which gets another block of a family when its own are full. */
export async function createDefaultSubnet(
  tx: Transaction,
  state: State,
  vpc: VpcRecord,
  rack: string,
  { nowMs, randomHex }: NetworkOptions,
): Promise<SubnetRecord> {
  const id = await newId(tx, randomHex, 'subnet')
  await tx.put('name', defaultSubnetName(vpc.id, rack), { name: 'default-subnet', holder: id })
  const ipv4 = await takeSubnetBlock(tx, state, vpc, id, 4)
  const ipv6 = await takeSubnetBlock(tx, state, vpc, id, 6)
  await tx.put('vpc', [vpc.id], { ...vpc, ipv4Cidrs: ipv4.cidrs, ipv6Cidrs: ipv6.cidrs })
  return await createSubnetRecord(
    tx,
    { state, randomHex },
    { id, vpc, rack, ipv4Cidr: ipv4.block, ipv6Cidr: ipv6.block, isDefault: true, nowMs },
  )
}

/** A rack of that name may come again, and gets default subnets then. */
export async function forgetDefaultSubnets(
  tx: Transaction,
  view: View,
  rack: string,
): Promise<void> {
  for (const vpc of view.all('vpc').filter((one) => one.isDefault)) {
    await tx.delete('name', ...defaultSubnetName(vpc.id, rack))
  }
}

function missingSubnets(view: View): { vpc: string; rack: string }[] {
  const racks = view.all('rack').map((rack) => rack.name)
  return view
    .all('vpc')
    .filter((vpc) => vpc.isDefault)
    .flatMap((vpc) => racks.map((rack) => ({ vpc: vpc.id, rack })))
    .filter(({ vpc, rack }) => view.get('name', ...defaultSubnetName(vpc, rack)) === null)
}

async function ensureDefaultSubnet(
  tx: Transaction,
  state: State,
  vpcId: string,
  rack: string,
  options: NetworkOptions,
): Promise<void> {
  const vpc = await tx.get('vpc', vpcId)
  if (vpc === null || (await tx.get('rack', rack)) === null) return
  // Several gateways do this at once: the name makes them one subnet.
  if ((await tx.get('name', ...defaultSubnetName(vpcId, rack))) !== null) return
  await createDefaultSubnet(tx, state, vpc, rack, options)
}

async function takeSubnetBlock(
  tx: Transaction,
  state: State,
  vpc: VpcRecord,
  holder: string,
  family: 4 | 6,
): Promise<{ block: string; cidrs: readonly string[] }> {
  const taker = { space: subnetSpace(vpc.id), holder, account: vpc.account }
  const length = family === 4 ? DEFAULT_SUBNET_LENGTH : SUBNET_IPV6_LENGTH
  const takeOf = async (cidrs: readonly string[]): Promise<string | null> => {
    const ground = { pools: cidrs.map(mustCidr), reserved: [] }
    const block = await takeFreeBlock(tx, state, taker, () => ground, length)
    return block === null ? null : formatCidr(block)
  }
  const cidrs = family === 4 ? vpc.ipv4Cidrs : vpc.ipv6Cidrs
  const block = await takeOf(cidrs)
  if (block !== null) return { block, cidrs }
  const more = await takeVpcBlock(tx, state, vpc, family)
  const first = await takeOf([more])
  if (first === null) throw new MalleeError('Conflict', `${vpc.id} has no block for a subnet`)
  return { block: first, cidrs: [...cidrs, more] }
}

/** Runs a step; hands to `onExhausted` that the cloud has no numbers left for it. */
async function unlessExhausted(
  step: () => Promise<void>,
  onExhausted: (error: Error) => void,
): Promise<void> {
  try {
    await step()
  } catch (error) {
    const isExhausted =
      (error instanceof MalleeError && error.code === 'Conflict') ||
      (error instanceof ApiError && error.code === 'VlanTagLimitExceeded')
    if (!isExhausted) throw error
    onExhausted(error)
  }
}
