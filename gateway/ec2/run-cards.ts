// The network interfaces that a RunInstances request wants: their form. They stand in
// NetworkInterface.N, or the first and only one in parameters at the top; never in both.

import type { InstanceNetworkInterfaceSpecification } from '@aws-sdk/client-ec2'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Inputs } from '../aws/handlers.ts'
import { type AddressWish, isWish, namesAddresses, parseAddressWish } from './address-wish.ts'
import { checkDeviceIndex } from './attaching.ts'
import { badValue, refuseUnknown } from './input.ts'
import { parseGroups } from './interface-groups.ts'
import { parseDescription } from './interfaces.ts'

type RunInput = Ec2Inputs['RunInstances']

export interface CardRequest {
  readonly deviceIndex: number
  /** An interface that is there already; null: a new one. */
  readonly existing: string | null
  /** null: a default subnet of a rack with room. */
  readonly subnet: string | null
  readonly groupIds: readonly string[]
  readonly groupNames: readonly string[]
  readonly wish: AddressWish
  /** null: what the subnet says. */
  readonly publicAddress: boolean | null
  readonly description: string
  readonly deleteOnTermination: boolean
}

const KNOWN = new Set([
  'NetworkInterfaceId',
  'DeviceIndex',
  'SubnetId',
  'Groups',
  'PrivateIpAddress',
  'PrivateIpAddresses',
  'SecondaryPrivateIpAddressCount',
  'Ipv6AddressCount',
  'Ipv6Addresses',
  'AssociatePublicIpAddress',
  'Description',
  'DeleteOnTermination',
])
const HARMLESS = new Map<string, readonly unknown[]>([
  ['InterfaceType', ['interface']],
  ['NetworkCardIndex', [0]],
  ['PrimaryIpv6', [false]],
  ['AssociateCarrierIpAddress', [false]],
  ['Ipv4PrefixCount', [0]],
  ['Ipv6PrefixCount', [0]],
])

/** By device index, the one with 0 first. `maxCount` instances are to have them. */
export function parseCards(input: RunInput, maxCount: number): CardRequest[] {
  const given = input.NetworkInterfaces ?? []
  const cards = given.length === 0 ? [topCard(input)] : given.map((one, i) => cardOf(one, i, given))
  if (given.length > 0) refuseAtTop(input)
  cards.sort((a, b) => a.deviceIndex - b.deviceIndex)
  if (cards[0]?.deviceIndex !== 0) {
    throw badValue('networkInterface.deviceIndex', cards[0]?.deviceIndex, 'No interface has 0.')
  }
  const twice = cards.find((card, i) => card.deviceIndex === cards[i + 1]?.deviceIndex)
  if (twice !== undefined) {
    const why = 'Each network interface requires a unique device index.'
    throw badValue('networkInterface.deviceIndex', twice.deviceIndex, why)
  }
  checkUnique(cards, maxCount)
  if (cards.length > 1 && cards.some((card) => card.publicAddress === true)) {
    throw combination(
      'The associatePublicIPAddress parameter cannot be specified when launching with ' +
        'multiple network interfaces.',
    )
  }
  return cards
}

function topCard(input: RunInput): CardRequest {
  const subnet = textOrNull(input.SubnetId)
  const groupNames = parseGroups(input.SecurityGroups)
  if (subnet !== null && groupNames.length > 0) {
    throw combination('The parameter groupName cannot be used with the parameter subnet')
  }
  return {
    deviceIndex: 0,
    existing: null,
    subnet,
    groupIds: parseGroups(input.SecurityGroupIds),
    groupNames,
    wish: parseAddressWish({
      PrivateIpAddress: input.PrivateIpAddress,
      Ipv6AddressCount: input.Ipv6AddressCount,
      Ipv6Addresses: input.Ipv6Addresses,
    }),
    publicAddress: null,
    description: '',
    deleteOnTermination: true,
  }
}

function cardOf(
  one: InstanceNetworkInterfaceSpecification,
  i: number,
  all: readonly unknown[],
): CardRequest {
  const path = `NetworkInterface.${i + 1}.`
  refuseUnknown(one, KNOWN, HARMLESS, path)
  if (one.DeviceIndex === undefined && all.length > 1) {
    throw new ApiError('MissingParameter', `The request must contain ${path}DeviceIndex`)
  }
  const deviceIndex = one.DeviceIndex ?? 0
  checkDeviceIndex(deviceIndex)
  const existing = textOrNull(one.NetworkInterfaceId)
  const card = {
    deviceIndex,
    existing,
    subnet: textOrNull(one.SubnetId),
    groupIds: parseGroups(one.Groups),
    groupNames: [],
    wish: parseAddressWish(one),
    publicAddress: one.AssociatePublicIpAddress ?? null,
    description: parseDescription(one.Description ?? ''),
    deleteOnTermination: one.DeleteOnTermination ?? existing === null,
  }
  if (existing !== null) checkExisting(card, existing)
  return card
}

/** What is there already has its subnet, its groups and its addresses. */
function checkExisting(card: CardRequest, id: string): void {
  const asks =
    card.subnet !== null ||
    card.groupIds.length > 0 ||
    isWish(card.wish) ||
    card.publicAddress === true ||
    card.description !== '' ||
    card.deleteOnTermination
  if (!asks) return
  throw combination(
    `The existing network interface '${id}' cannot be given a subnet, groups, addresses, a ` +
      'description or DeleteOnTermination in a launch',
  )
}

function checkUnique(cards: readonly CardRequest[], maxCount: number): void {
  const named = cards.find((card) => card.existing !== null || namesAddresses(card.wish))
  if (named !== undefined && maxCount > 1) {
    throw combination(
      'Addresses and existing network interfaces can be named for one instance only; this ' +
        `request is for up to ${maxCount}`,
    )
  }
  const ids = cards.map((card) => card.existing).filter((id) => id !== null)
  const twice = ids.find((id, i) => ids.indexOf(id) !== i)
  if (twice !== undefined) throw badValue('networkInterfaceId', twice, 'It is named twice.')
}

function refuseAtTop(input: RunInput): void {
  const groups = (input.SecurityGroupIds ?? []).length + (input.SecurityGroups ?? []).length
  if (input.SubnetId !== undefined || groups > 0) {
    throw combination(
      'Network interfaces and an instance-level subnet ID or security groups may not be ' +
        'specified on the same request',
    )
  }
  const addresses = (input.Ipv6Addresses ?? []).length + (input.Ipv6AddressCount ?? 0)
  if (input.PrivateIpAddress !== undefined || addresses > 0) {
    throw combination(
      'Network interfaces and an instance-level private address may not be specified on the ' +
        'same request',
    )
  }
}

function textOrNull(text: string | undefined): string | null {
  return text === undefined || text === '' ? null : text
}

function combination(text: string): ApiError {
  return new ApiError('InvalidParameterCombination', text)
}
