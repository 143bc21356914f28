// The network interfaces of one instance that is launched: new ones with their addresses, and ones
// that are there already.

import type { RandomHex } from '../../common/clock.ts'
import { ApiError } from '../aws/api-error.ts'
import type { CallContext } from '../aws/handlers.ts'
import type { VolumeTransaction } from '../ebs/new-volume.ts'
import type { Sealer } from '../secrets.ts'
import type { InstanceRecord, InterfaceRecord, SubnetRecord } from '../store/records.ts'
import type { State } from '../store/state.ts'
import { attached } from './attaching.ts'
import { newId, randomId } from './ids.ts'
import { newInterface } from './new-interface.ts'
import { takePublicAddress } from './public-addresses.ts'
import { releaseAddresses } from './release.ts'
import type { RunRequest } from './run-request.ts'
import type { CardTarget } from './run-targets.ts'
import { addTags, type Tags } from './tagging.ts'
import { holdVpc } from './vpc-records.ts'

export interface RunParts {
  readonly state: State
  readonly randomHex: RandomHex
  readonly sealer: Sealer
  readonly region: string
  /** As chooseVolumePlace has it. */
  readonly overcommit?: number | undefined
}

/** One try of the transaction. */
export interface Launch extends RunParts, VolumeTransaction {
  readonly context: CallContext
  readonly request: RunRequest
  /** Tags of the cloud's own making, `aws:…`, that instances get. */
  readonly systemTags: Tags
}

type Place = Pick<InstanceRecord, 'id' | 'account' | 'rack' | 'host'>

/** By device index. null, and nothing is taken, when a subnet there has no address left. */
export async function launchCards(
  parts: Launch,
  targets: readonly CardTarget[],
  place: Place,
): Promise<InterfaceRecord[] | null> {
  const cards: InterfaceRecord[] = []
  for (const target of targets) {
    const subnet = target.subnets.get(place.rack)
    if (subnet === undefined) throw new RangeError(`rack ${place.rack} was not asked for`)
    const card = target.existing ?? (await newCard(parts, target, subnet, place))
    if (card === null) {
      for (const [i, one] of cards.entries()) {
        if (targets[i]?.existing === null) await releaseAddresses(parts.tx, one)
      }
      return null
    }
    if (target.existing === null) {
      await givePublic(parts, card, place.rack, publicWish(targets, target, subnet))
    }
    const { deviceIndex, deleteOnTermination } = target.request
    const hostnameType = parts.request.settings.hostnameType || subnet.hostnameType
    cards.push(
      attached(card, { ...subnet, hostnameType }, place, {
        attachment: randomId(parts.randomHex, 'eni-attach'),
        deviceIndex,
        deleteOnTermination,
        nowMs: parts.context.nowMs,
      }),
    )
  }
  for (const [i, card] of cards.entries()) {
    await parts.tx.put('interface', [card.id], card)
    if (targets[i]?.existing === null) await tagNew(parts, card)
  }
  return cards
}

async function newCard(
  { tx, randomHex, context }: Launch,
  { request, groups }: CardTarget,
  subnet: SubnetRecord,
  { account }: Place,
): Promise<InterfaceRecord | null> {
  try {
    return await newInterface(tx, {
      id: await newId(tx, randomHex, 'interface'),
      account,
      subnet,
      groups,
      wish: request.wish,
      description: request.description,
      nowMs: context.nowMs,
    })
  } catch (error) {
    if (error instanceof ApiError && error.code === 'InsufficientFreeAddressesInSubnet') return null
    throw error
  }
}

/** Why a new interface gets a public address; null: it gets none. */
export function publicWish(
  targets: readonly CardTarget[],
  { existing, request }: CardTarget,
  subnet: SubnetRecord,
): 'asked' | 'subnet' | null {
  if (existing !== null) return null
  const asked = request.publicAddress
  if (asked !== null) return asked ? 'asked' : null
  return targets.length === 1 && subnet.mapPublicIpOnLaunch ? 'subnet' : null
}

/** Who asks for a public address gets one or an error; for the subnet's sake only a free one. */
export async function givePublic(
  { tx, state, randomHex, context }: Pick<Launch, 'tx' | 'state' | 'randomHex' | 'context'>,
  { id, account, ipv4, subnet, vpc: vpcId }: InterfaceRecord,
  rack: string,
  wish: 'asked' | 'subnet' | null,
): Promise<void> {
  if (wish === null) return
  if (ipv4 === '') {
    if (wish === 'subnet') return
    const text = `The subnet '${subnet}' is IPv6-native: no public IPv4 address is associated there`
    throw new ApiError('InvalidParameterCombination', text)
  }
  const vpc = await tx.get('vpc', vpcId)
  if (vpc === null) throw new RangeError(`${subnet} is in no VPC`)
  const parts = { view: await state.fresh(), randomHex, nowMs: context.nowMs }
  try {
    await takePublicAddress(tx, parts, { account, rack, interface: id, privateIp: ipv4 })
    // Who detaches the internet gateway meanwhile finds the VPC changed, and this address in it.
    await holdVpc(tx, vpc)
  } catch (error) {
    const isShort = error instanceof ApiError && error.code === 'InsufficientAddressCapacity'
    if (!isShort || wish === 'asked') throw error
  }
}

async function tagNew({ tx, request }: Launch, { id, account }: InterfaceRecord): Promise<void> {
  await addTags(tx, { kind: 'interface', id, account }, request.tags.get('interface') ?? new Map())
}
