// The whole life of an agreement of two clouds and of a VPC peering in it, as operators and users
// make it; each step may be done again, as people do who were not told how it ended.

import { ApiError } from '../../../gateway/aws/api-error.ts'
import { acceptPeer } from '../../../gateway/peering/accepting.ts'
import {
  changePeer,
  peerNamed,
  removePeer,
  resumePeer,
  suspendPeer,
} from '../../../gateway/peering/acts.ts'
import { mintPeerInvitation } from '../../../gateway/peering/invitations.ts'
import { isRemote, type RemoteRecord } from '../../../gateway/peering/negotiation.ts'
import type { PeerTerms } from '../../../gateway/store/peer-records.ts'
import { ACCOUNT, OTHER_ACCOUNT, registerImage } from '../ec2/support.ts'
import { OPEN_TERMS } from './clouds.ts'
import type { Half } from './half.ts'
import type { World } from './lives.ts'

const HOUR_MS = 3_600_000
const BLOCK = '10.200.0.0/16'

/** What the users of a cloud have: a VPC to be peered, and two of which no other cloud hears. */
export interface Ground {
  readonly vpc: string
  readonly table: string
  /** Peered with each other. */
  readonly own: readonly [string, string]
}

export interface Life {
  readonly world: World
  readonly east: Ground
  readonly west: Ground
  invitation: string
}

export interface Stage {
  readonly name: string
  readonly act: (life: Life) => Promise<void>
  /** Whether packets pass between the two VPCs when all of it is done. */
  readonly passes: boolean
  /** Only who answers within seconds hears of it. */
  readonly mayGoUntold?: boolean
}

export const STAGES: readonly Stage[] = [
  { name: 'one operator invites', act: invite, passes: false },
  { name: 'the other accepts', act: accept, passes: false },
  { name: 'borders come up', act: reportLinks, passes: false },
  { name: 'a user asks for a peering', act: ask, passes: false },
  { name: 'a user of the other accepts it', act: acceptVpc, passes: true },
  { name: 'both add routes', act: addRoutes, passes: true },
  { name: 'a VPC gets another block', act: addBlock, passes: true },
  { name: 'and gives it back', act: removeBlock, passes: true },
  { name: 'one narrows its prefixes', act: limit(['192.168.0.0/16']), passes: false },
  { name: 'and widens them', act: limit([]), passes: true },
  { name: 'one lets other accounts only', act: allow([OTHER_ACCOUNT]), passes: false },
  { name: 'and all of them', act: allow(null), passes: true },
  { name: 'the other suspends', act: ({ world }) => suspend(world.west), passes: false },
  { name: 'and resumes', act: ({ world }) => resume(world.west), passes: true },
  { name: 'a user deletes the peering', act: ({ world }) => deleteVpc(world.west), passes: false },
  {
    name: 'one operator removes the other',
    act: ({ world }) => remove(world, 'east'),
    mayGoUntold: true,
    passes: false,
  },
  { name: 'and the other that one', act: ({ world }) => remove(world, 'west'), passes: false },
]

/** Before anything: VPCs with instances in both clouds, with the same addresses. */
export async function prepare(world: World): Promise<Life> {
  const [east, west] = [await groundOf(world.east), await groundOf(world.west)]
  return { world, east, west, invitation: '' }
}

/** The peering with the other cloud; null when there is none. */
export function remoteOf({ view }: Half): RemoteRecord | null {
  return view.all('peering').find(isRemote) ?? null
}

async function groundOf(half: Half): Promise<Ground> {
  const { cloud } = half
  const vpcOf = async (CidrBlock: string): Promise<string> =>
    (await cloud.call('CreateVpc', { CidrBlock })).Vpc?.VpcId ?? ''
  const [vpc, a, b] = [
    await vpcOf(BLOCK),
    await vpcOf('10.201.0.0/16'),
    await vpcOf('10.202.0.0/16'),
  ]
  const ImageId = await registerImage(cloud)
  for (const [index, one] of [vpc, a, b].entries()) {
    const CidrBlock = `10.${200 + index}.1.0/24`
    const at = { VpcId: one, CidrBlock, AvailabilityZone: 'mallee-1-a' }
    const { Subnet } = await cloud.call('CreateSubnet', at)
    const of = { ImageId, MinCount: 1, MaxCount: 1, InstanceType: 't3.nano' as const }
    await cloud.call('RunInstances', { ...of, SubnetId: Subnet?.SubnetId })
  }
  const made = await cloud.call('CreateVpcPeeringConnection', { VpcId: a, PeerVpcId: b })
  const VpcPeeringConnectionId = made.VpcPeeringConnection?.VpcPeeringConnectionId
  await cloud.call('AcceptVpcPeeringConnection', { VpcPeeringConnectionId })
  const { view } = half
  const table = view.by('route-table', 'vpc', vpc)[0]?.id ?? ''
  return { vpc, table, own: [a, b] }
}

async function invite(life: Life): Promise<void> {
  const terms = { name: 'west', ...OPEN_TERMS }
  const { inviting } = life.world.east
  life.invitation = (await mintPeerInvitation(inviting, { terms, ttlMs: HOUR_MS })).text
}

async function accept({ world, invitation }: Life): Promise<void> {
  await acceptPeer(world.west.inviting, invitation, { ...OPEN_TERMS, name: 'east' })
}

/** As the CC of the only rack of each says it. */
async function reportLinks({ world }: Life): Promise<void> {
  for (const [index, half] of world.halves.entries()) {
    const number = half.peer()?.number
    if (number === undefined) continue
    const link = {
      ...{ number, rack: 'a', host: 'a0', trouble: '', borders: [] },
      publicKey: Buffer.alloc(32, index + 1).toString('base64'),
      endpoints: [`203.0.113.${index + 1}:52001`],
      linkAddress: `fe80::${index + 1}`,
    }
    await half.state.update((tx) => tx.put('peer-link', [String(number), 'a', 'a0'], link))
  }
}

async function ask({ world, east, west }: Life): Promise<void> {
  const wish = { VpcId: east.vpc, PeerVpcId: west.vpc, PeerOwnerId: ACCOUNT, PeerRegion: 'west' }
  await unless(
    'VpcPeeringConnectionAlreadyExists',
    world.east.cloud.call('CreateVpcPeeringConnection', wish, at(world.east)),
  )
}

export async function acceptVpc({ world: { west } }: Life): Promise<void> {
  const there = remoteOf(west)
  if (there?.state !== 'pending-acceptance') return
  const named = { VpcPeeringConnectionId: there.id }
  await west.cloud.call('AcceptVpcPeeringConnection', named, at(west))
}

async function addRoutes({ world, ...life }: Life): Promise<void> {
  for (const half of world.halves) {
    const remote = remoteOf(half)
    const route = {
      RouteTableId: life[half === world.east ? 'east' : 'west'].table,
      DestinationCidrBlock: remote?.remote.theirs[0],
      VpcPeeringConnectionId: remote?.id,
    }
    await unless('RouteAlreadyExists', half.cloud.call('CreateRoute', route, at(half)))
  }
}

const LATER = '10.203.0.0/16'

async function addBlock({ world: { west }, west: { vpc } }: Life): Promise<void> {
  if (west.view.get('vpc', vpc)?.ipv4Cidrs.includes(LATER) === true) return
  await west.cloud.call('AssociateVpcCidrBlock', { VpcId: vpc, CidrBlock: LATER }, at(west))
}

async function removeBlock({ world: { west }, west: { vpc } }: Life): Promise<void> {
  const { Vpcs } = await west.cloud.call('DescribeVpcs', { VpcIds: [vpc] }, at(west))
  const all = Vpcs?.[0]?.CidrBlockAssociationSet ?? []
  const AssociationId = all.find(({ CidrBlock }) => CidrBlock === LATER)?.AssociationId
  if (AssociationId === undefined) return
  await west.cloud.call('DisassociateVpcCidrBlock', { AssociationId }, at(west))
}

function limit(acceptedPrefixes: readonly string[]): Stage['act'] {
  return change((before) => ({ ...before, limits: { ...before.limits, acceptedPrefixes } }))
}

function allow(accounts: readonly string[] | null): Stage['act'] {
  return change((before) => ({ ...before, accounts }))
}

function change(next: (before: PeerTerms) => PeerTerms): Stage['act'] {
  return ({ world }) => changePeer(world.east.inviting, 'west', next)
}

function suspend(half: Half): Promise<void> {
  return suspendPeer(half.inviting, 'east')
}

function resume(half: Half): Promise<void> {
  return resumePeer(half.inviting, 'east')
}

export async function deleteVpc(half: Half): Promise<void> {
  const there = remoteOf(half)
  if (there === null || there.endedAtMs !== null) return
  const named = { VpcPeeringConnectionId: there.id }
  await half.cloud.call('DeleteVpcPeeringConnection', named, at(half))
}

async function remove(world: World, side: 'east' | 'west'): Promise<void> {
  const half = world[side]
  const name = side === 'east' ? 'west' : 'east'
  if (half.peer() === null) return
  peerNamed(half.view, name)
  await removePeer(half.inviting, name, (uid) => world.tell(half, uid))
}

function at(half: Half) {
  return { nowMs: half.clock.nowMs() }
}

async function unless(code: string, call: Promise<unknown>): Promise<void> {
  try {
    await call
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== code) throw error
  }
}
