// CreateNetworkInterface, DeleteNetworkInterface, DescribeNetworkInterfaces.

import type { RandomHex } from '../../common/clock.ts'
import { ApiError } from '../aws/api-error.ts'
import type { CallContext, Ec2Handlers, Ec2Inputs, Ec2Outputs } from '../aws/handlers.ts'
import type { InterfaceRecord } from '../store/records.ts'
import type { State, Transaction } from '../store/state.ts'
import { parseAddressWish } from './address-wish.ts'
import { notPermitted } from './attaching.ts'
import { answeredBefore, keepAnswer, parseClientToken } from './client-tokens.ts'
import { matching } from './filters.ts'
import { namedInStore, namedInView, newId, notFound } from './ids.ts'
import { badValue, endDryRun, refuseUnknown, required } from './input.ts'
import { INTERFACE_FILTERS } from './interface-filters.ts'
import { groupsFor, parseGroups } from './interface-groups.ts'
import { interfaceOf } from './interface-shape.ts'
import { newInterface } from './new-interface.ts'
import { pageOf } from './paging.ts'
import { checkQuota } from './quotas.ts'
import { removeInterface } from './release.ts'
import { addTags, parseTagSpecifications } from './tagging.ts'
import { ownedOrNamed } from './vpcs.ts'

type InterfaceHandlers = Required<
  Pick<
    Ec2Handlers,
    'CreateNetworkInterface' | 'DeleteNetworkInterface' | 'DescribeNetworkInterfaces'
  >
>

export interface InterfaceParts {
  readonly state: State
  readonly randomHex: RandomHex
  readonly region: string
}

const MAX_DESCRIPTION_CHARS = 255

const KNOWN = new Set([
  'SubnetId',
  'Description',
  'PrivateIpAddress',
  'PrivateIpAddresses',
  'SecondaryPrivateIpAddressCount',
  'Ipv6Addresses',
  'Ipv6AddressCount',
  'Groups',
  'TagSpecifications',
  'ClientToken',
  'DryRun',
])
const HARMLESS = new Map<string, readonly unknown[]>([
  ['InterfaceType', ['interface']],
  ['EnablePrimaryIpv6', [false]],
  ['Ipv4PrefixCount', [0]],
  ['Ipv6PrefixCount', [0]],
])

export function interfaceHandlers(parts: InterfaceParts): InterfaceHandlers {
  const { state, region } = parts
  return {
    CreateNetworkInterface: (context, input) => createInterface(parts, context, input),

    DeleteNetworkInterface: async ({ caller }, input) => {
      const id = required('NetworkInterfaceId', input.NetworkInterfaceId)
      await state.update(async (tx) => {
        const one = await interfaceNamed(tx, id, caller.account)
        if (one.type !== 'interface') throw notPermitted(one)
        if (one.attachment !== '') {
          const text = `Network interface '${id}' is currently in use: detach it from ${one.instance}.`
          throw new ApiError('InvalidNetworkInterface.InUse', text)
        }
        endDryRun(input)
        await removeInterface(tx, one)
      })
      return {}
    },

    DescribeNetworkInterfaces: async (context, input) => {
      const view = await state.fresh()
      const { account } = context.caller
      const records = ownedOrNamed(view, 'interface', input.NetworkInterfaceIds, account)
      endDryRun(input)
      const shown = records.map((one) => interfaceOf(view, region, one))
      const found = matching(shown, input.Filters, INTERFACE_FILTERS)
      const action = 'DescribeNetworkInterfaces'
      const { items, nextToken } = pageOf(
        context,
        action,
        input,
        found,
        (one) => one.NetworkInterfaceId ?? '',
      )
      return { NetworkInterfaces: [...items], NextToken: nextToken }
    },
  }
}

/** The account's interface. Throws InvalidNetworkInterfaceID.NotFound. */
export async function interfaceNamed(
  tx: Transaction,
  id: string,
  account: string,
): Promise<InterfaceRecord> {
  const [one] = await namedInStore(tx, 'interface', [id], account)
  if (one === undefined) throw notFound('interface', [id])
  return one
}

/** An interface that its owner, not a NAT gateway, may change. */
export async function ownInterface(
  tx: Transaction,
  id: string,
  account: string,
): Promise<InterfaceRecord> {
  const one = await interfaceNamed(tx, id, account)
  if (one.type !== 'interface') throw notPermitted(one)
  return one
}

export function parseDescription(text: string): string {
  if ([...text].length <= MAX_DESCRIPTION_CHARS) return text
  throw badValue('description', text, `Expecting at most ${MAX_DESCRIPTION_CHARS} characters.`)
}

async function createInterface(
  { state, randomHex, region }: InterfaceParts,
  context: CallContext,
  input: Ec2Inputs['CreateNetworkInterface'],
): Promise<Ec2Outputs['CreateNetworkInterface']> {
  const subnetId = required('SubnetId', input.SubnetId)
  refuseUnknown(input, KNOWN, HARMLESS)
  const wish = parseAddressWish(input)
  const groups = { ids: parseGroups(input.Groups), names: [] }
  const description = parseDescription(input.Description ?? '')
  const token = parseClientToken(input.ClientToken)
  const tags = parseTagSpecifications(input.TagSpecifications, ['interface'])
  const { account } = context.caller
  const use = { context, action: 'CreateNetworkInterface', token }
  const id = await state.update(async (tx) => {
    const known = await answeredBefore(tx, use)
    if (known !== null) {
      endDryRun(input)
      return known
    }
    const [subnet] = await namedInStore(tx, 'subnet', [subnetId], account)
    if (subnet === undefined) throw notFound('subnet', [subnetId])
    const view = await state.fresh()
    await checkQuota(tx, state, account, 'interfaces')
    const eni = await newId(tx, randomHex, 'interface')
    const record = await newInterface(tx, {
      id: eni,
      account,
      subnet,
      groups: await groupsFor(tx, view, account, subnet.vpc, groups),
      wish,
      description,
      nowMs: context.nowMs,
    })
    endDryRun(input)
    await tx.put('interface', [eni], record)
    await addTags(tx, { kind: 'interface', id: eni, account }, tags.get('interface') ?? new Map())
    await keepAnswer(tx, use, eni)
    return eni
  })
  const view = await state.fresh()
  const [record] = namedInView(view, 'interface', [id], account)
  if (record === undefined) throw notFound('interface', [id])
  return {
    NetworkInterface: interfaceOf(view, region, record),
    ClientToken: token === '' ? undefined : token,
  }
}
