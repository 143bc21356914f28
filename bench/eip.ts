// How long somebody on the internet gets no answer from an elastic IP while it moves from an
// instance in one rack to an instance in the other: a ping every 10 ms, and the longest silence.

import {
  AllocateAddressCommand,
  AssociateAddressCommand,
  AssociateRouteTableCommand,
  AttachInternetGatewayCommand,
  CreateInternetGatewayCommand,
  CreateRouteCommand,
  CreateRouteTableCommand,
  type EC2Client,
} from '@aws-sdk/client-ec2'
import { MalleeError } from '../common/errors.ts'
import { OUTSIDE } from '../sandbox/plan.ts'
import { until } from '../sandbox/until.ts'
import type { World } from '../sandbox/world.ts'
import { type Emit, median } from './harness.ts'
import { clientOf } from './instances.ts'
import { booted, type Launched, launch, makeGroup, makeSubnet, makeVpc, named } from './user.ts'
import { planOf, say, withWorld } from './worlds.ts'

const BENCH = 'eip'
const MOVES = 10
const GOAL_MS = 1_000
const PING_EVERY_S = 0.01
/** Of one move: long enough for pings before, between and after. */
const PINGS = 600
/** After so many answers the address moves. */
const MOVE_AFTER_MS = 1_500
const ANSWER_MS = 30_000
const COMMAND_MS = 60_000
const CAPACITY = '8,16384,100'
const PLAN = planOf('bench-eip', [
  {
    name: 'a',
    joinsOver: 'ipv4',
    hosts: [{ name: 'a1', roles: ['cc', 'nc'], capacity: CAPACITY }],
  },
  {
    name: 'b',
    joinsOver: 'ipv6',
    hosts: [{ name: 'b1', roles: ['cc', 'nc'], capacity: CAPACITY }],
  },
])

interface Address {
  readonly allocation: string
  readonly ip: string
}

export function run(emit: Emit): Promise<void> {
  return withWorld(PLAN, async (world, signal) => {
    const ec2 = clientOf(world)
    try {
      const guests = await launchGuests(world, ec2)
      await booted(world, guests, signal)
      const address = await allocate(ec2)
      await associate(ec2, address, guests[0])
      await reachable(world, address, signal)
      const gaps: number[] = []
      for (let move = 1; move <= MOVES; move++) {
        signal.throwIfAborted()
        const next = guests[move % 2]
        gaps.push(await measure(world, ec2, address, next))
        say(`move ${move} of ${MOVES}: ${gaps.at(-1)} ms without an answer`)
      }
      const line = { bench: BENCH, unit: 'ms', goal: GOAL_MS, higher_is_better: false }
      const name = 'longest silence of a 10 ms ping while an elastic IP changes racks'
      emit({ ...line, case: `${name}, median of ${MOVES}`, value: median(gaps) })
      emit({ ...line, case: `${name}, the longest`, value: Math.max(...gaps) })
    } finally {
      ec2.destroy()
    }
  })
}

/** Milliseconds. The first and the last ping must be answered, or the address did not move. */
async function measure(
  world: World,
  ec2: EC2Client,
  address: Address,
  to: Launched | undefined,
): Promise<number> {
  const options = ['-n', '-D', '-c', `${PINGS}`, '-i', `${PING_EVERY_S}`, '-W', '1']
  const pinging = world.host(OUTSIDE).exec(['ping', ...options, address.ip], {
    timeoutMs: COMMAND_MS,
    okCodes: [0, 1],
  })
  const moved = new Promise((resolve) => setTimeout(resolve, MOVE_AFTER_MS)).then(() =>
    associate(ec2, address, to),
  )
  const [{ stdout }] = await Promise.all([pinging, moved])
  const heard = parseAnswers(stdout)
  if (!heard.some(({ sequence }) => sequence > PINGS - 20)) {
    throw new MalleeError('CommandTimeout', `${address.ip} answers nobody after its move`)
  }
  return longestSilence(heard)
}

export interface Answer {
  readonly sequence: number
  readonly atMs: number
}

/** The answers that `ping -D` tells of, as they came. */
export function parseAnswers(stdout: string): Answer[] {
  return [...stdout.matchAll(/^\[([\d.]+)\] \d+ bytes from .* icmp_seq=(\d+) /gm)].map(
    ([, atS, sequence]) => ({ sequence: Number(sequence), atMs: Number(atS) * 1000 }),
  )
}

/** Between two answers, rounded; NaN when there are not two. */
export function longestSilence(answers: readonly Answer[]): number {
  const gaps = answers.slice(1).map(({ atMs }, n) => atMs - (answers[n]?.atMs ?? Number.NaN))
  return gaps.length === 0 ? Number.NaN : Math.round(Math.max(...gaps))
}

async function launchGuests(world: World, ec2: EC2Client): Promise<Launched[]> {
  const vpc = await makeVpc(ec2, '10.61.0.0/16')
  const group = await makeGroup(ec2, vpc, 'pinged', [
    { IpProtocol: 'icmp', FromPort: -1, ToPort: -1, IpRanges: [{ CidrIp: '0.0.0.0/0' }] },
  ])
  const table = await openTable(ec2, vpc)
  const guests: Launched[] = []
  for (const [index, { name }] of PLAN.racks.entries()) {
    const place = { zone: `${PLAN.region}-${name}`, cidr: `10.61.${index}.0/24` }
    const subnet = await makeSubnet(ec2, vpc, place)
    await ec2.send(new AssociateRouteTableCommand({ RouteTableId: table, SubnetId: subnet }))
    const wish = { ImageId: world.imageId, SubnetId: subnet, SecurityGroupIds: [group] }
    guests.push(...(await launch(ec2, wish)))
  }
  return guests
}

/** A table with a default route to the internet. */
async function openTable(ec2: EC2Client, VpcId: string): Promise<string> {
  const { InternetGateway } = await ec2.send(new CreateInternetGatewayCommand({}))
  const InternetGatewayId = named('InternetGatewayId', InternetGateway?.InternetGatewayId)
  await ec2.send(new AttachInternetGatewayCommand({ VpcId, InternetGatewayId }))
  const { RouteTable } = await ec2.send(new CreateRouteTableCommand({ VpcId }))
  const RouteTableId = named('RouteTableId', RouteTable?.RouteTableId)
  const route = { RouteTableId, DestinationCidrBlock: '0.0.0.0/0', GatewayId: InternetGatewayId }
  await ec2.send(new CreateRouteCommand(route))
  return RouteTableId
}

async function allocate(ec2: EC2Client): Promise<Address> {
  const answer = await ec2.send(new AllocateAddressCommand({ Domain: 'vpc' }))
  return {
    allocation: named('AllocationId', answer.AllocationId),
    ip: named('PublicIp', answer.PublicIp),
  }
}

async function associate(
  ec2: EC2Client,
  { allocation }: Address,
  to: Launched | undefined,
): Promise<void> {
  const InstanceId = named('InstanceId', to?.id)
  const wish = { AllocationId: allocation, InstanceId, AllowReassociation: true }
  await ec2.send(new AssociateAddressCommand(wish))
}

async function reachable(world: World, { ip }: Address, signal: AbortSignal): Promise<void> {
  const argv = ['ping', '-n', '-c', '1', '-W', '1', ip]
  const answered = async (): Promise<boolean> =>
    (await world.host(OUTSIDE).exec(argv, { okCodes: [0, 1, 2] })).code === 0
  await until(`${ip} answers outside`, answered, { timeoutMs: ANSWER_MS, everyMs: 100, signal })
}
