// The records of a VPC and of what comes with it and goes with it: main route table, default
// network ACL, default security group.

import type { RandomHex } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import { formatCidr } from '../../topology/cidr.ts'
import { DEFAULT_VPC_LENGTH, VPC_IPV6_LENGTH } from '../../topology/ranges.ts'
import type { NetworkAclEntry } from '../store/network-records.ts'
import type { VpcRecord } from '../store/records.ts'
import type { State, Transaction, View } from '../store/state.ts'
import { giveBlock, takeFreeBlock } from './blocks.ts'
import { defaultGroupRules } from './group-rules.ts'
import { newId, randomId } from './ids.ts'
import { type VpcFamily, vpcGround, vpcSpace } from './vpc-ground.ts'

/** The default group's name, in every VPC (EC2 user guide, "Default security groups"). */
export const DEFAULT_GROUP = 'default'

export interface NewVpc {
  readonly id: string
  readonly account: string
  readonly ipv4Cidrs: readonly string[]
  readonly ipv6Cidrs: readonly string[]
  readonly isDefault: boolean
  readonly nowMs: number
  /** The id of its default group; a new one when it is absent. */
  readonly group?: string | undefined
}

/** Writes the VPC whole; its blocks are taken already. */
export async function createVpcRecords(
  tx: Transaction,
  randomHex: RandomHex,
  { id, account, ipv4Cidrs, ipv6Cidrs, isDefault, nowMs, ...given }: NewVpc,
): Promise<VpcRecord> {
  const table = await newId(tx, randomHex, 'route-table')
  const acl = await newId(tx, randomHex, 'network-acl')
  const group = given.group ?? (await newId(tx, randomHex, 'security-group'))
  const own = { account, vpc: id }
  const routes = isDefault ? await openGateway(tx, randomHex, own) : []
  await tx.put('route-table', [table], { ...own, id: table, routes, createdAtMs: nowMs })
  await tx.put('network-acl', [acl], { ...own, id: acl, isDefault: true, entries: allowAll() })
  await tx.put('security-group', [group], {
    ...own,
    id: group,
    name: DEFAULT_GROUP,
    description: 'default VPC security group',
    rules: defaultGroupRules(group, randomHex, ipv6Cidrs.length > 0),
    createdAtMs: nowMs,
  })
  const vpc: VpcRecord = {
    id,
    account,
    ipv4Cidrs,
    ipv6Cidrs,
    isDefault,
    dhcpOptions: 'default',
    mainRouteTable: table,
    mainAssociation: randomId(randomHex, 'rtbassoc'),
    defaultAcl: acl,
    enableDnsSupport: true,
    enableDnsHostnames: isDefault,
    createdAtMs: nowMs,
  }
  await tx.put('vpc', [id], vpc)
  return vpc
}

/**
 * Deletes the VPC and what came with it; its blocks rest. Nothing else may be in it any more. What
 * is known of its subnets' blocks may be more than a transaction takes: forgetSpaces deletes it.
 * A tag that a rule of its default group gets at this very moment is left to purgeTerminated.
 */
export async function deleteVpcRecords(
  tx: Transaction,
  state: State,
  vpc: VpcRecord,
): Promise<void> {
  const groups = (await state.fresh()).by('security-group', 'vpc', vpc.id).map((group) => group.id)
  const records = await Promise.all(groups.map((id) => tx.get('security-group', id)))
  // Rules come with their tags: after those were read this shows all of both.
  const view = await state.fresh()
  for (const { id } of records.flatMap((group) => group?.rules ?? [])) {
    if (view.get('tags', id) !== null) await tx.delete('tags', id)
  }
  for (const [kind, ids] of [
    ['route-table', [vpc.mainRouteTable]],
    ['network-acl', [vpc.defaultAcl]],
    ['security-group', groups],
    ['vpc', [vpc.id]],
  ] as const) {
    for (const id of ids) {
      await tx.delete(kind, id)
      await tx.delete('tags', id)
    }
  }
  for (const cidr of vpc.ipv4Cidrs) await giveBlock(tx, vpcSpace(4), cidr)
  for (const cidr of vpc.ipv6Cidrs) await giveBlock(tx, vpcSpace(6), cidr)
  for (const name of defaultSubnetNames(view, vpc.id)) await tx.delete('name', ...name)
}

/**
 * To be called by whoever adds something to a VPC: its deletion then sees it, or comes first and
 * the addition finds no VPC.
 */
export async function holdVpc(tx: Transaction, vpc: VpcRecord): Promise<void> {
  await tx.put('vpc', [vpc.id], vpc)
}

/** A block from the cloud's pools, of the size of default VPCs. Throws Conflict without one. */
export async function takeVpcBlock(
  tx: Transaction,
  state: State,
  { id, account }: Pick<VpcRecord, 'id' | 'account'>,
  family: VpcFamily,
): Promise<string> {
  const taker = { space: vpcSpace(family), holder: id, account }
  const length = family === 4 ? DEFAULT_VPC_LENGTH : VPC_IPV6_LENGTH
  const ground = (view: View): ReturnType<typeof vpcGround> => vpcGround(view, family)
  const block = await takeFreeBlock(tx, state, taker, ground, length)
  if (block !== null) return formatCidr(block)
  throw new MalleeError('Conflict', `every IPv${family} block of the cloud is taken`)
}

/** Marks that a rack's default subnet was made: who deletes it does not get it back by itself. */
export function defaultSubnetName(vpc: string, rack: string): [string, string, string] {
  return ['default-subnet', vpc, rack]
}

function defaultSubnetNames(view: View, vpc: string): [string, string, string][] {
  return view
    .all('rack')
    .map((rack) => defaultSubnetName(vpc, rack.name))
    .filter((name) => view.get('name', ...name) !== null)
}

/** The internet gateway of a default VPC, and the routes to it. */
async function openGateway(
  tx: Transaction,
  randomHex: RandomHex,
  own: { account: string; vpc: string },
): Promise<{ destination: string; target: 'internet-gateway'; targetId: string }[]> {
  const id = await newId(tx, randomHex, 'internet-gateway')
  await tx.put('internet-gateway', [id], { ...own, id })
  return ['0.0.0.0/0', '::/0'].map((destination) => ({
    destination,
    target: 'internet-gateway' as const,
    targetId: id,
  }))
}

/** Entries 100 and 101 of a default ACL (VPC user guide, "Default network ACL"). */
export function allowAll(): NetworkAclEntry[] {
  return [false, true].flatMap((egress) =>
    (
      [
        [100, '0.0.0.0/0'],
        [101, '::/0'],
      ] as const
    ).map(([number, cidr]) => ({
      number,
      egress,
      protocol: '-1',
      action: 'allow' as const,
      cidr,
      ...{ fromPort: -1, toPort: -1, icmpType: -1, icmpCode: -1 },
    })),
  )
}
