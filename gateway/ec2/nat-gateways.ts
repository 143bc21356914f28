// CreateNatGateway and DeleteNatGateway. A NAT gateway has an interface in its subnet, which holds
// its private address, and an elastic IP that is associated with that.

import type { RandomHex } from '../../common/clock.ts'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers, Ec2Inputs } from '../aws/handlers.ts'
import { EVERY_RACK, type NatGatewayRecord } from '../store/network-records.ts'
import type { SubnetRecord } from '../store/records.ts'
import type { State, Transaction, View } from '../store/state.ts'
import { addressNamed } from './addresses.ts'
import { answeredBefore, keepAnswer } from './client-tokens.ts'
import type { NetworkParts } from './create-vpc.ts'
import { natGatewayOf } from './describe-nat-gateways.ts'
import { newId, oneInStore } from './ids.ts'
import { badValue, endDryRun, refuseUnknown, required } from './input.ts'
import { newInterface } from './new-interface.ts'
import { associateAddress, isAnnouncedIn } from './public-addresses.ts'
import { removeInterface } from './release.ts'
import { addTags, parseTagSpecifications } from './tagging.ts'
import { holdVpc } from './vpc-records.ts'
import { zoneName } from './zones.ts'

type NatHandlers = Required<Pick<Ec2Handlers, 'CreateNatGateway' | 'DeleteNatGateway'>>

/** Of a VPC that live; EC2 allows 5 in a zone. */
const MAX_NAT_GATEWAYS = 50
const KIND = 'nat-gateway'
const KNOWN = new Set([
  'SubnetId',
  'AllocationId',
  'ConnectivityType',
  'PrivateIpAddress',
  'ClientToken',
  'TagSpecifications',
  'DryRun',
])
const HARMLESS = new Map<string, readonly unknown[]>([
  ['AvailabilityMode', ['zonal']],
  ['SecondaryPrivateIpAddressCount', [0]],
])

interface Made {
  readonly id: string
  readonly account: string
  readonly nowMs: number
  readonly token: string
}

export function natGatewayHandlers(parts: NetworkParts): NatHandlers {
  const { state } = parts
  return {
    CreateNatGateway: async (context, input) => {
      const { caller, nowMs } = context
      const { account } = caller
      const subnetId = required('SubnetId', input.SubnetId)
      refuseUnknown(input, KNOWN, HARMLESS)
      const connectivity = connectivityOf(input)
      const tags = parseTagSpecifications(input.TagSpecifications, [KIND]).get(KIND) ?? new Map()
      const token = input.ClientToken ?? ''
      const use = { context, action: 'CreateNatGateway', token }
      const id = await state.update(async (tx) => {
        const before = await answeredBefore(tx, use)
        if (before !== null && (await tx.get(KIND, before)) !== null) return before
        const subnet = await oneInStore(tx, 'subnet', subnetId, account)
        checkSubnet(subnet)
        await holdNetwork(tx, state, subnet, connectivity)
        const made = { id: await newId(tx, parts.randomHex, KIND), account, nowMs, token }
        await createRecords(tx, parts, made, { subnet, connectivity, input })
        await addTags(tx, { kind: KIND, id: made.id, account }, tags)
        await keepAnswer(tx, use, made.id)
        endDryRun(input)
        return made.id
      })
      const view = await state.fresh()
      const record = view.get(KIND, id)
      return {
        ClientToken: token === '' ? undefined : token,
        NatGateway: record === null ? undefined : natGatewayOf(view, record),
      }
    },

    DeleteNatGateway: async ({ caller, nowMs }, input) => {
      const id = required('NatGatewayId', input.NatGatewayId)
      await state.update(async (tx) => {
        const nat = await oneInStore(tx, KIND, id, caller.account)
        endDryRun(input)
        if (nat.state !== 'pending' && nat.state !== 'available') return
        const one = await tx.get('interface', nat.interface)
        if (one !== null) await removeInterface(tx, one)
        await tx.put(KIND, [id], { ...nat, state: 'deleting', deletedAtMs: nowMs })
      })
      return { NatGatewayId: id }
    },
  }
}

function connectivityOf(input: Ec2Inputs['CreateNatGateway']): 'public' | 'private' {
  const { ConnectivityType: connectivity = 'public', AllocationId: allocation } = input
  if (connectivity !== 'public' && connectivity !== 'private') {
    throw badValue('ConnectivityType', connectivity, 'Expecting public or private.')
  }
  if (connectivity === 'public') required('AllocationId', allocation)
  else if (allocation !== undefined) {
    const text = `A private NAT gateway has no elastic IP; the request names ${allocation}`
    throw new ApiError('InvalidParameterCombination', text)
  }
  return connectivity
}

function checkSubnet({ id, rack, ipv4Cidr }: SubnetRecord): void {
  if (ipv4Cidr === '') throw badValue('SubnetId', id, 'It is IPv6-native: nothing is translated.')
  if (rack !== EVERY_RACK) return
  throw badValue('SubnetId', id, 'A NAT gateway is in one zone, and this subnet is in all of them.')
}

/** After this neither the VPC nor its internet gateway goes without seeing the NAT gateway. */
async function holdNetwork(
  tx: Transaction,
  state: State,
  subnet: SubnetRecord,
  connectivity: NatGatewayRecord['connectivity'],
): Promise<void> {
  const vpc = await oneInStore(tx, 'vpc', subnet.vpc, subnet.account)
  await holdVpc(tx, vpc)
  const view = await state.fresh()
  checkLimit(view, vpc.id)
  if (connectivity === 'private' || view.by('internet-gateway', 'vpc', vpc.id).length > 0) return
  const text = `Network ${vpc.id} has no Internet gateway attached`
  throw new ApiError('Gateway.NotAttached', text)
}

function checkLimit(view: View, vpc: string): void {
  const alive = view
    .by(KIND, 'vpc', vpc)
    .filter((nat) => nat.state === 'pending' || nat.state === 'available')
  if (alive.length < MAX_NAT_GATEWAYS) return
  const text = `${vpc} has ${alive.length} NAT gateways; at most ${MAX_NAT_GATEWAYS} are allowed.`
  throw new ApiError('NatGatewayLimitExceeded', text)
}

async function createRecords(
  tx: Transaction,
  { randomHex, region }: { randomHex: RandomHex; region: string },
  { id, account, nowMs, token }: Made,
  {
    subnet,
    connectivity,
    input,
  }: {
    subnet: SubnetRecord
    connectivity: NatGatewayRecord['connectivity']
    input: Ec2Inputs['CreateNatGateway']
  },
): Promise<void> {
  const wished = input.PrivateIpAddress ?? ''
  const wish = { ipv4: wished, ipv4More: [], ipv4MoreCount: 0, ipv6: [], ipv6Count: 0 }
  const made = await newInterface(tx, {
    id: await newId(tx, randomHex, 'interface'),
    account,
    subnet,
    groups: [],
    wish,
    description: `Interface for NAT Gateway ${id}`,
    nowMs,
  })
  const one = { ...made, type: KIND, sourceDestCheck: false } as const
  await tx.put('interface', [one.id], one)
  const allocation = connectivity === 'private' ? '' : (input.AllocationId ?? '')
  if (allocation !== '') {
    const address = await addressNamed(tx, { id: allocation, publicIp: undefined }, account)
    if (address.association !== '') {
      const text = `resource ${allocation} is already associated with associate-id ${address.association}`
      throw new ApiError('Resource.AlreadyAssociated', text)
    }
    const pool = await tx.get('public-pool', address.pool)
    if (pool === null || !isAnnouncedIn(pool, subnet.rack)) {
      const text = `${address.publicIp} is of pool ${address.pool}, which is not announced in ${zoneName(region, subnet.rack)}, where ${subnet.id} is`
      throw new ApiError('InvalidParameterCombination', text)
    }
    const to = { interface: one.id, privateIp: one.ipv4 }
    await associateAddress(tx, { randomHex }, address, to)
  }
  await tx.put(KIND, [id], {
    id,
    account,
    vpc: subnet.vpc,
    subnet: subnet.id,
    rack: subnet.rack,
    connectivity,
    interface: one.id,
    allocation,
    state: 'pending',
    clientToken: token,
    createdAtMs: nowMs,
    deletedAtMs: null,
  })
}
