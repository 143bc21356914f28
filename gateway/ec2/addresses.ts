// AllocateAddress and ReleaseAddress, and how a request names an elastic IP.

import { formatAddress, parseAddress } from '../../topology/cidr.ts'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers } from '../aws/handlers.ts'
import type { AddressRecord, PublicPoolRecord } from '../store/network-records.ts'
import type { Transaction, View } from '../store/state.ts'
import type { NetworkParts } from './create-vpc.ts'
import { notFound, oneInStore } from './ids.ts'
import { badValue, endDryRun, refuseUnknown, required } from './input.ts'
import { allocateAddress, releaseAddress } from './public-addresses.ts'
import { unknownPool } from './public-pools.ts'
import { checkQuota } from './quotas.ts'
import { addTags, parseTagSpecifications } from './tagging.ts'

type AddressHandlers = Required<Pick<Ec2Handlers, 'AllocateAddress' | 'ReleaseAddress'>>

const KNOWN = new Set([
  'Domain',
  'Address',
  'PublicIpv4Pool',
  'NetworkBorderGroup',
  'TagSpecifications',
  'DryRun',
])
/** What AWS calls its own addresses: here it is any pool. */
const ANY_POOL = 'amazon'

export function addressHandlers({ state, randomHex, region }: NetworkParts): AddressHandlers {
  return {
    AllocateAddress: async ({ caller, nowMs }, input) => {
      const { account } = caller
      const { Domain: domain = 'vpc', Address: wished = '' } = input
      refuseUnknown(input, KNOWN, new Map())
      if (domain !== 'vpc') throw badValue('Domain', domain, 'Expecting vpc.')
      checkBorderGroup(input.NetworkBorderGroup, region)
      const tags = parseTagSpecifications(input.TagSpecifications, ['address']).get('address')
      const record = await state.update(async (tx) => {
        const view = await state.fresh()
        const pools = poolsAsked(view, input.PublicIpv4Pool ?? ANY_POOL)
        await checkQuota(tx, state, account, 'elastic-ips')
        const parts = { view, randomHex, nowMs }
        const made = await allocateAddress(tx, parts, { account, auto: false, wished, pools })
        await addTags(tx, { kind: 'address', id: made.id, account }, tags ?? new Map())
        endDryRun(input)
        return made
      })
      return {
        AllocationId: record.id,
        PublicIp: record.publicIp,
        PublicIpv4Pool: record.pool,
        NetworkBorderGroup: region,
        Domain: 'vpc',
      }
    },

    ReleaseAddress: async ({ caller }, input) => {
      const { AllocationId: id, PublicIp: publicIp } = input
      checkBorderGroup(input.NetworkBorderGroup, region)
      if (id === undefined) required('AllocationId', publicIp)
      await state.update(async (tx) => {
        const address = await addressNamed(tx, { id, publicIp }, caller.account)
        if (address.association !== '') {
          const text = `The address with allocation id '${address.id}' cannot be released because it is in use by ${address.interface}`
          throw new ApiError('InvalidIPAddress.InUse', text)
        }
        endDryRun(input)
        await releaseAddress(tx, address)
      })
      return {}
    },
  }
}

/** An elastic IP of the account. Automatic ones are nobody's to name. */
export async function addressNamed(
  tx: Transaction,
  { id, publicIp }: { readonly id: string | undefined; readonly publicIp: string | undefined },
  account: string,
): Promise<AddressRecord> {
  if (id !== undefined && publicIp !== undefined) {
    const text = 'You may specify public IP or allocation id, but not both in the same call'
    throw new ApiError('InvalidParameterCombination', text)
  }
  if (id !== undefined) {
    const address = await oneInStore(tx, 'address', id, account)
    if (address.auto) throw notFound('address', [id])
    return address
  }
  const ip = required('PublicIp', publicIp)
  const parsed = parseAddress(ip)
  if (!parsed.ok) throw badValue('PublicIp', ip, 'Expecting an IPv4 address.')
  const holder = await tx.get('public-address', formatAddress(parsed.value))
  const address = holder === null ? null : await tx.get('address', holder.allocation)
  if (address !== null && address.account === account && !address.auto) return address
  throw unknownAddress(ip)
}

export function unknownAddress(publicIp: string): ApiError {
  return new ApiError('InvalidAddress.NotFound', `Address '${publicIp}' not found.`)
}

function checkBorderGroup(group: string | undefined, region: string): void {
  if (group === undefined || group === region) return
  throw badValue('NetworkBorderGroup', group, `This cloud has one, ${region}.`)
}

function poolsAsked(view: View, asked: string): readonly PublicPoolRecord[] {
  const pools = view.all('public-pool').filter((pool) => !pool.closing)
  if (asked === ANY_POOL) return pools
  const found = pools.filter(({ id }) => id === asked)
  if (found.length === 0) throw unknownPool(asked)
  return found
}
