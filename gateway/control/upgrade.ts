// Brings records that an older gateway wrote to today's shape, at every start, before anything else
// runs. What is of today's shape is left alone, so that it may stop anywhere and run again.

import type { RandomHex } from '../../common/clock.ts'
import type { Log } from '../../common/log.ts'
import { formatCidr, mustCidr } from '../../topology/cidr.ts'
import { subnetIpv4 } from '../../topology/plan.ts'
import { blockKey, subnetSpace, VPC_IPV4_SPACE, VPC_IPV6_SPACE } from '../ec2/blocks.ts'
import { randomId } from '../ec2/ids.ts'
import { createVpcRecords, DEFAULT_GROUP } from '../ec2/vpc-records.ts'
import type { InstanceRecord, InterfaceRecord, SubnetRecord, VpcRecord } from '../store/records.ts'
import type { State, Transaction } from '../store/state.ts'

/** A record as an older gateway may have written it. */
type Old<T> = Partial<T> & { readonly id: string }

/** Numbers at rest that are carried over, of one VPC. */
const MAX_RESTING = 500

export async function upgradeRecords({
  state,
  randomHex,
  log,
}: {
  state: State
  randomHex: RandomHex
  log: Log
}): Promise<void> {
  const view = await state.fresh()
  const vpcs = view.all('vpc').filter(isOldVpc)
  const subnets = view.all('subnet').filter(isOldSubnet)
  const interfaces = view.all('interface').filter(isOldInterface)
  const instances = view.all('instance').filter(isOldInstance)
  for (const { id } of vpcs) {
    const groups = view.by('security-group', 'vpc', id)
    const group = groups.find((one) => one.name === DEFAULT_GROUP)?.id
    await state.update((tx) => upgradeVpc(tx, randomHex, id, group))
  }
  for (const { id } of subnets) await state.update((tx) => upgradeSubnet(tx, randomHex, id))
  for (const { id } of interfaces) await state.update((tx) => upgradeInterface(tx, id))
  for (const { id } of instances) await state.update((tx) => upgradeInstance(tx, id))
  const accounts = view
    .all('account')
    .filter((one) => view.get('name', 'account', one.name) === null)
  for (const { id, name } of accounts) await state.update((tx) => holdName(tx, name, id))
  const old = [vpcs, subnets, interfaces, instances, accounts]
  const count = old.reduce((sum, records) => sum + records.length, 0)
  if (count > 0) log.info('records of an older version upgraded', { count })
}

function isOldVpc(vpc: Old<VpcRecord>): boolean {
  return (vpc.mainRouteTable ?? '') === ''
}

function isOldSubnet(subnet: Old<SubnetRecord>): boolean {
  return (subnet.acl ?? '') === ''
}

function isOldInterface(one: Old<InterfaceRecord>): boolean {
  return one.type === undefined
}

function isOldInstance(one: Old<InstanceRecord>): boolean {
  return one.metadataOptions === undefined
}

/** Every older VPC is a default one, with a default group that had no rules written down. */
async function upgradeVpc(
  tx: Transaction,
  randomHex: RandomHex,
  id: string,
  group: string | undefined,
): Promise<void> {
  const vpc = await tx.get('vpc', id)
  if (vpc === null || !isOldVpc(vpc)) return
  await createVpcRecords(tx, randomHex, { ...vpc, nowMs: vpc.createdAtMs, group })
  for (const cidr of vpc.ipv4Cidrs) await hold(tx, VPC_IPV4_SPACE, cidr, vpc)
  for (const cidr of vpc.ipv6Cidrs) await hold(tx, VPC_IPV6_SPACE, cidr, vpc)
  const cidrs = vpc.ipv4Cidrs.map(mustCidr)
  for (const { n, freedAtMs } of await tx.pool(subnetSpace(id)).freed(MAX_RESTING)) {
    const block = subnetIpv4(cidrs, n)
    if (block !== null) await rest(tx, subnetSpace(id), formatCidr(block), vpc.account, freedAtMs)
  }
}

async function upgradeSubnet(tx: Transaction, randomHex: RandomHex, id: string): Promise<void> {
  const subnet = await tx.get('subnet', id)
  if (subnet === null || !isOldSubnet(subnet)) return
  const vpc = await tx.get('vpc', subnet.vpc)
  await tx.put('subnet', [id], {
    ...subnet,
    rackTags: {},
    routeTable: '',
    routeTableAssociation: '',
    acl: vpc?.defaultAcl ?? '',
    aclAssociation: randomId(randomHex, 'aclassoc'),
    mapPublicIpOnLaunch: false,
    assignIpv6OnCreation: true,
    hostnameType: 'ip-name',
    resourceNameDnsA: false,
    resourceNameDnsAaaa: false,
    enableDns64: false,
  })
  for (const cidr of [subnet.ipv4Cidr, subnet.ipv6Cidr]) {
    await hold(tx, subnetSpace(subnet.vpc), cidr, subnet)
  }
}

async function upgradeInterface(tx: Transaction, id: string): Promise<void> {
  const one = await tx.get('interface', id)
  if (one === null || !isOldInterface(one)) return
  await tx.put('interface', [id], {
    ...one,
    attachedAtMs: one.createdAtMs,
    deleteOnTermination: true,
    ipv4More: [],
    ipv6More: [],
    sourceDestCheck: true,
    description: '',
    type: 'interface',
  })
  for (const address of [one.ipv4, one.ipv6]) {
    await tx.put('private-address', [address], {
      address,
      subnet: one.subnet,
      interface: id,
      publicAddress: '',
      // The offset of both came from the pool, and goes back once.
      pooled: address === one.ipv4,
      freedAtMs: null,
    })
  }
}

/** There was no metadata service, and DescribeInstances said so. */
async function upgradeInstance(tx: Transaction, id: string): Promise<void> {
  const one = await tx.get('instance', id)
  if (one === null || !isOldInstance(one)) return
  await tx.put('instance', [id], {
    ...one,
    publicKey: '',
    metadataOptions: {
      httpEndpoint: false,
      httpProtocolIpv6: false,
      httpTokens: 'required',
      hopLimit: 1,
      instanceTags: false,
    },
  })
}

/** No two accounts have one name. */
async function holdName(tx: Transaction, name: string, account: string): Promise<void> {
  if ((await tx.get('name', 'account', name)) !== null) return
  await tx.put('name', ['account', name], { name, holder: account })
}

async function hold(
  tx: Transaction,
  space: string,
  cidr: string,
  { id, account }: { id: string; account: string },
): Promise<void> {
  const block = { space, cidr, account, holder: id, freedAtMs: null }
  await tx.put('block', blockKey(space, cidr), block)
}

async function rest(
  tx: Transaction,
  space: string,
  cidr: string,
  account: string,
  freedAtMs: number,
): Promise<void> {
  await tx.put('block', blockKey(space, cidr), { space, cidr, account, holder: '', freedAtMs })
}
