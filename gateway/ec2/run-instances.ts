// RunInstances: one transaction looks up what is asked for, chooses hosts, takes addresses and
// writes the instances down as pending. The hosts learn of them from the store.

import type { Place } from '../../topology/placement.ts'
import { ApiError } from '../aws/api-error.ts'
import type { CallContext, Ec2Handlers, Ec2Inputs, Ec2Outputs } from '../aws/handlers.ts'
import { hostGib } from '../ebs/host-disks.ts'
import { launchVolumes, racksWithStores } from '../ebs/launch-volumes.ts'
import type { InstanceProfileRecord } from '../store/iam-records.ts'
import type { InstanceRecord } from '../store/records.ts'
import type { Transaction, View } from '../store/state.ts'
import { chooseHosts } from './capacity.ts'
import { answeredBefore, keepAnswer, parseClientToken } from './client-tokens.ts'
import { newId, randomId } from './ids.ts'
import { endDryRun } from './input.ts'
import { reservationsOf, shownOf } from './instance-shape.ts'
import { typeInStore } from './instance-types.ts'
import { type Launch, launchCards, publicWish, type RunParts } from './launch-cards.ts'
import { templateRun } from './launch-template-launch.ts'
import { launchOptions } from './metadata-options.ts'
import { groupFor } from './placement-wish.ts'
import { putAssociation } from './profile-associations.ts'
import { profileFor } from './profile-wish.ts'
import { instancesAllowed } from './quotas.ts'
import { keepFromRemoval } from './removal.ts'
import { parseRun, type RunRequest, typeNamed } from './run-request.ts'
import { findTargets, type Targets } from './run-targets.ts'
import { freeAddresses } from './subnet-records.ts'
import { addTags, type Tags } from './tagging.ts'

type RunInput = Ec2Inputs['RunInstances']

export function runInstancesHandler(parts: RunParts): NonNullable<Ec2Handlers['RunInstances']> {
  return async (context, input) => {
    const reservation = await startInstances(parts, context, input)
    return answerOf(await parts.state.fresh(), parts.region, context.caller.account, reservation)
  }
}

/**
 * Starts what a RunInstances request asks for; answers the id of the reservation. The instances get
 * `ownTags`, which are the cloud's, as well.
 */
export async function startInstances(
  parts: RunParts,
  context: CallContext,
  input: RunInput,
  ownTags: Tags = new Map(),
): Promise<string> {
  const token = parseClientToken(input.ClientToken)
  return await parts.state.update((tx) => launch(parts, tx, { context, input, token, ownTags }))
}

/** The id of the reservation, of an earlier request with this client token or of a new one. */
async function launch(
  parts: RunParts,
  tx: Transaction,
  asked: RunAsked & { readonly token: string },
): Promise<string> {
  const { context, input, token } = asked
  const use = { context, action: 'RunInstances', token }
  const known = await answeredBefore(tx, use)
  if (known !== null) {
    endDryRun(input)
    return known
  }
  const { reservation } = await launchIn(tx, parts, asked)
  await keepAnswer(tx, use, reservation)
  endDryRun(input)
  return reservation
}

export interface RunAsked {
  readonly context: CallContext
  readonly input: RunInput
  /** Tags of the cloud's own making. */
  readonly ownTags: Tags
}

/** Everything that a request names, without a look at what is free. Throws what AWS answers. */
export async function checkRun(
  tx: Transaction,
  parts: RunParts,
  { context, input, ownTags }: RunAsked,
) {
  const { state, region } = parts
  const { account } = context.caller
  const view = await state.fresh()
  const template = templateRun(view, account, input, context.authorized)
  const systemTags = new Map([...template.systemTags, ...ownTags])
  const parsed = parseRun(template.input, view)
  const { name } = parsed.type
  const request = { ...parsed, type: typeNamed(await typeInStore(tx, name), name) }
  await keepFromRemoval(tx, 'instance-type', [name])
  const one: Launch = { ...parts, tx, context, request, systemTags, made: [] }
  const targets = await findTargets(tx, view, { region, account }, request)
  const group = await groupFor(tx, account, request.group)
  const profile =
    request.profile === null ? null : await profileFor(tx, view, context, request.profile)
  return { one, view, request, targets, group, profile }
}

/** Starts instances within a transaction of somebody else's. */
export async function launchIn(
  tx: Transaction,
  parts: RunParts,
  asked: RunAsked,
): Promise<{ reservation: string; instances: readonly InstanceRecord[] }> {
  const { state, randomHex } = parts
  const { account } = asked.context.caller
  const { one, view, request, targets, group, profile } = await checkRun(tx, parts, asked)
  const served = racksWithStores(view, targets.racks, targets.devices, parts.overcommit)
  const racks = racksWithAddresses(view, { ...targets, racks: served }, request)
  const { type: need, minCount, isSpot } = request
  const wanted = { type: need, isSpot, least: minCount, wanted: request.maxCount }
  const maxCount = await instancesAllowed(tx, state, account, wanted)
  const room = { ...need, diskGib: hostGib(targets.disks) }
  const places = await chooseHosts(tx, state, { need: room, minCount, maxCount, racks, group })
  const reservation = randomId(randomHex, 'r')
  const instances: InstanceRecord[] = []
  for (const place of places) {
    const inGroup = group === null ? null : { id: group.record.id, partition: place.partition }
    const about = { reservation, launchIndex: instances.length, group: inGroup, profile }
    const made = await launchOne(one, targets, place, about)
    if (made !== null) instances.push(made)
  }
  if (instances.length < minCount) {
    const subnets = targets.cards.flatMap((card) => [...card.subnets.values()])
    throw addressesShort(
      subnets.map(({ id }) => id),
      instances.length,
    )
  }
  return { reservation, instances }
}

/** Racks whose subnets are not full, as far as the mirror knows. */
function racksWithAddresses(
  view: View,
  { cards, racks }: Targets,
  { minCount }: RunRequest,
): ReadonlySet<string> {
  const counts = new Map<string, number>()
  const full: string[] = []
  let sum = 0
  for (const rack of racks) {
    const subnets = cards
      .filter((card) => card.existing === null)
      .map((card) => card.subnets.get(rack))
      .filter((subnet) => subnet !== undefined)
      .filter((subnet) => subnet.ipv4Cidr !== '')
    const free = subnets.map((subnet) => freeAddresses(view, subnet))
    const count = Math.min(Number.POSITIVE_INFINITY, ...free)
    counts.set(rack, count)
    full.push(...subnets.map(({ id }) => id))
    sum += count
  }
  if (sum < minCount) throw addressesShort(full, sum)
  return new Set(racks.filter((rack) => (counts.get(rack) ?? 0) > 0))
}

function addressesShort(subnets: readonly string[], count: number): ApiError {
  const ids = [...new Set(subnets)].join(', ')
  const text = `There are ${count} free addresses in ${ids}, fewer than the request needs`
  return new ApiError('InsufficientFreeAddressesInSubnet', text)
}

/** Null when a subnet there has no address left. */
async function launchOne(
  parts: Launch,
  targets: Targets,
  { rack, host }: Place,
  about: Pick<InstanceRecord, 'reservation' | 'launchIndex'> & {
    readonly group: InstanceRecord['group'] | null
    readonly profile: InstanceProfileRecord | null
  },
): Promise<InstanceRecord | null> {
  const { tx, randomHex, context, request, systemTags } = parts
  const { account } = context.caller
  const id = await newId(tx, randomHex, 'instance')
  const cards = await launchCards(parts, targets.cards, { id, account, rack, host })
  const [first] = cards ?? []
  if (cards === null || first === undefined) return null
  const [target] = targets.cards
  const subnet = target?.subnets.get(rack)
  const wish =
    target === undefined || subnet === undefined ? null : publicWish(targets.cards, target, subnet)
  const instance: InstanceRecord = {
    id,
    account,
    rack,
    host,
    vpc: targets.vpc,
    subnet: first.subnet,
    reservation: about.reservation,
    launchIndex: about.launchIndex,
    ...(about.group != null && { group: about.group }),
    ...(request.isSpot && { spot: { request: randomId(randomHex, 'sir'), cancelledAtMs: null } }),
    image: targets.image.id,
    ...targets.kernels,
    ...diskFields(targets, request),
    type: request.type.name,
    interfaces: cards.map((card) => card.id),
    securityGroups: first.securityGroups,
    userData: request.userData,
    clientToken: request.clientToken,
    keyName: request.keyName,
    publicKey: targets.publicKey,
    metadataOptions: launchOptions(targets.metadataDefaults, request.metadataOptions),
    settings: request.settings,
    ...(wish === null ? {} : { publicAddress: wish }),
    state: 'pending',
    desired: 'running',
    stateReason: null,
    stateTransitionReason: '',
    rebootCount: 0,
    launchedAtMs: context.nowMs,
    terminatedAtMs: null,
    observed: null,
  }
  await tx.put('instance', [id], instance)
  await launchVolumes(parts, instance, targets.devices, {
    tags: request.tags.get('volume') ?? new Map(),
    nowMs: context.nowMs,
  })
  if (about.profile !== null) {
    const association = { account, instance: id, profile: about.profile.id, nowMs: context.nowMs }
    await putAssociation(tx, randomHex, association)
  }
  const tags = new Map([...(request.tags.get('instance') ?? []), ...systemTags])
  await addTags(tx, { kind: 'instance', id, account }, tags)
  return instance
}

/** What its record says of its disks. */
function diskFields(
  { image, disks }: Targets,
  { type }: RunRequest,
): Pick<InstanceRecord, 'rootDevice' | 'diskGib' | 'ephemeral'> {
  return {
    ...(image.rootDevice !== undefined && { rootDevice: image.rootDevice }),
    ...(disks.rootGib !== type.diskGib && { diskGib: disks.rootGib }),
    ...(disks.ephemeral.length > 0 && { ephemeral: disks.ephemeral }),
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
  return reservationsOf(records.map((record) => shownOf(view, region, record)))[0] ?? {}
}
