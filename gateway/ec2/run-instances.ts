// RunInstances: one transaction looks up what is asked for, chooses hosts, takes addresses and
// writes the instances down as pending. The hosts learn of them from the store.

import type { RandomHex } from '../../common/clock.ts'
import type { Place } from '../../topology/placement.ts'
import { ApiError } from '../aws/api-error.ts'
import type { CallContext, Ec2Handlers, Ec2Inputs, Ec2Outputs } from '../aws/handlers.ts'
import type { InstanceRecord, InterfaceRecord, SubnetRecord } from '../store/records.ts'
import type { State, Transaction, View } from '../store/state.ts'
import { chooseHosts } from './capacity.ts'
import { answeredBefore, keepAnswer } from './client-tokens.ts'
import { newId, randomId } from './ids.ts'
import { endDryRun } from './input.ts'
import { hostnameOf, instanceOf, reservationsOf } from './instance-shape.ts'
import { takeIpv6Beside, takeMac, takePrivateAddress } from './private-addresses.ts'
import { parseRun, type RunRequest } from './run-request.ts'
import { findTargets, type Targets } from './run-targets.ts'
import { freeAddresses } from './subnet-records.ts'
import { addTags } from './tagging.ts'

export interface RunParts {
  readonly state: State
  readonly randomHex: RandomHex
  readonly region: string
}

/** One try of the transaction. */
interface Launch extends RunParts {
  readonly tx: Transaction
  readonly context: CallContext
  readonly request: RunRequest
}

export function runInstancesHandler(parts: RunParts): NonNullable<Ec2Handlers['RunInstances']> {
  return async (context, input) => {
    const request = parseRun(input)
    const reservation = await parts.state.update((tx) =>
      launch({ ...parts, tx, context, request }, input),
    )
    return answerOf(await parts.state.fresh(), parts.region, context.caller.account, reservation)
  }
}

/** The id of the reservation, of an earlier request with this client token or of a new one. */
async function launch(parts: Launch, input: Ec2Inputs['RunInstances']): Promise<string> {
  const { tx, state, region, randomHex, context, request } = parts
  const use = { context, action: 'RunInstances', token: request.clientToken }
  const known = await answeredBefore(tx, use)
  if (known !== null) {
    endDryRun(input)
    return known
  }
  const { account } = context.caller
  const view = await state.fresh()
  const targets = await findTargets(tx, view, { region, account }, request)
  const racks = racksWithAddresses(view, targets, request)
  const { type: need, minCount, maxCount } = request
  const places = await chooseHosts(tx, state, { need, minCount, maxCount, racks })
  const reservation = randomId(randomHex, 'r')
  let count = 0
  for (const one of places) {
    const made = await launchOne(parts, targets, one, { reservation, launchIndex: count })
    if (made) count += 1
  }
  if (count < minCount) throw addressesShort([...targets.subnets.values()], count)
  await keepAnswer(tx, use, reservation)
  endDryRun(input)
  return reservation
}

/** Racks whose subnet is not full, as far as the mirror knows. */
function racksWithAddresses(
  view: View,
  { subnets }: Targets,
  { minCount }: RunRequest,
): ReadonlySet<string> {
  const free = [...subnets].map(([rack, subnet]) => ({ rack, count: freeAddresses(view, subnet) }))
  const sum = free.reduce((total, { count }) => total + count, 0)
  if (sum < minCount) throw addressesShort([...subnets.values()], sum)
  return new Set(free.filter(({ count }) => count > 0).map(({ rack }) => rack))
}

function addressesShort(subnets: readonly SubnetRecord[], count: number): ApiError {
  const ids = subnets.map((subnet) => subnet.id).join(', ')
  const text = `There are ${count} free addresses in ${ids}, fewer than the request needs`
  return new ApiError('InsufficientFreeAddressesInSubnet', text)
}

/** False when the subnet there has no address left. */
async function launchOne(
  { tx, randomHex, context, request }: Launch,
  { image, subnets, groups }: Targets,
  { rack, host }: Place,
  { reservation, launchIndex }: { reservation: string; launchIndex: number },
): Promise<boolean> {
  const subnet = subnets.get(rack)
  if (subnet === undefined) throw new RangeError(`rack ${rack} was not asked for`)
  const { account } = context.caller
  const id = await newId(tx, randomHex, 'instance')
  const eni = await newId(tx, randomHex, 'interface')
  const addresses = await takeAddresses(tx, subnet, eni)
  if (addresses === null) return false
  const where = { account, vpc: subnet.vpc, subnet: subnet.id, rack, host }
  const securityGroups = groups.map((group) => group.id)
  const card: InterfaceRecord = {
    ...where,
    ...addresses,
    id: eni,
    instance: id,
    attachment: randomId(randomHex, 'eni-attach'),
    deviceIndex: 0,
    attachedAtMs: context.nowMs,
    deleteOnTermination: true,
    ipv4More: [],
    ipv6More: [],
    sourceDestCheck: true,
    description: '',
    type: 'interface',
    hostname: hostnameOf(addresses.ipv4),
    securityGroups,
    createdAtMs: context.nowMs,
  }
  const instance: InstanceRecord = {
    ...where,
    id,
    reservation,
    launchIndex,
    image: image.id,
    type: request.type.name,
    interfaces: [eni],
    securityGroups,
    userData: request.userData,
    clientToken: request.clientToken,
    keyName: '',
    publicKey: '',
    metadataOptions: {
      httpEndpoint: false,
      httpProtocolIpv6: false,
      httpTokens: 'required',
      hopLimit: 1,
      instanceTags: false,
    },
    state: 'pending',
    desired: 'running',
    stateReason: null,
    stateTransitionReason: '',
    rebootCount: 0,
    launchedAtMs: context.nowMs,
    terminatedAtMs: null,
    observed: null,
  }
  await tx.put('interface', [eni], card)
  await tx.put('instance', [id], instance)
  for (const [kind, owner] of [
    ['instance', id],
    ['interface', eni],
  ] as const) {
    await addTags(tx, { kind, id: owner, account }, request.tags.get(kind) ?? new Map())
  }
  return true
}

type Addresses = Pick<InterfaceRecord, 'ipv4' | 'ipv6' | 'mac'>

/** null when the subnet is full. */
async function takeAddresses(
  tx: Transaction,
  subnet: SubnetRecord,
  holder: string,
): Promise<Addresses | null> {
  try {
    const ipv4 = await takePrivateAddress(tx, subnet, holder)
    const ipv6 = await takeIpv6Beside(tx, subnet, holder, ipv4)
    return { ipv4, ipv6, mac: await takeMac(tx) }
  } catch (error) {
    if (error instanceof ApiError && error.code === 'InsufficientFreeAddressesInSubnet') return null
    throw error
  }
}

function answerOf(
  view: View,
  region: string,
  account: string,
  reservation: string,
): Ec2Outputs['RunInstances'] {
  const records = view
    .instancesOf('account', account)
    .filter((one) => one.reservation === reservation)
    .sort((a, b) => a.launchIndex - b.launchIndex)
  if (records.every((one) => one.state === 'terminated')) {
    throw new ApiError(
      'IdempotentInstanceTerminated',
      'The client token belongs to a request whose instances are terminated',
    )
  }
  const shown = records.map((record) => ({ record, instance: instanceOf(view, region, record) }))
  return reservationsOf(shown)[0] ?? {}
}
