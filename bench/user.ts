// What benchmarks ask a world's API for, with the official SDK: networks, groups, instances.

import {
  AuthorizeSecurityGroupIngressCommand,
  CreateSecurityGroupCommand,
  CreateSubnetCommand,
  CreateVpcCommand,
  DescribeInstancesCommand,
  type EC2Client,
  type Instance,
  type IpPermission,
  RunInstancesCommand,
  type RunInstancesCommandInput,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2'
import { MalleeError } from '../common/errors.ts'
import { until } from '../sandbox/until.ts'
import type { World } from '../sandbox/world.ts'

/** What RunInstances makes at once. */
const BATCH = 100
const BOOT_MS = 300_000
const END_MS = 120_000

export interface Launched {
  readonly id: string
  readonly ipv4: string
}

export async function makeVpc(ec2: EC2Client, CidrBlock: string): Promise<string> {
  const { Vpc } = await ec2.send(new CreateVpcCommand({ CidrBlock }))
  return named('VpcId', Vpc?.VpcId)
}

export async function makeSubnet(
  ec2: EC2Client,
  VpcId: string,
  { zone, cidr }: { readonly zone: string; readonly cidr: string },
): Promise<string> {
  const command = new CreateSubnetCommand({ VpcId, AvailabilityZone: zone, CidrBlock: cidr })
  return named('SubnetId', (await ec2.send(command)).Subnet?.SubnetId)
}

/** A group that lets in what `permissions` say, and everything out. */
export async function makeGroup(
  ec2: EC2Client,
  VpcId: string,
  name: string,
  permissions: readonly IpPermission[] = [],
): Promise<string> {
  const wish = { VpcId, GroupName: name, Description: name }
  const GroupId = named('GroupId', (await ec2.send(new CreateSecurityGroupCommand(wish))).GroupId)
  if (permissions.length > 0) {
    const ingress = { GroupId, IpPermissions: [...permissions] }
    await ec2.send(new AuthorizeSecurityGroupIngressCommand(ingress))
  }
  return GroupId
}

/** Runs `count` instances of the smallest type. */
export async function launch(
  ec2: EC2Client,
  wish: Omit<RunInstancesCommandInput, 'MinCount' | 'MaxCount'>,
  count = 1,
): Promise<Launched[]> {
  const launched: Launched[] = []
  for (let left = count; left > 0; left -= BATCH) {
    const some = Math.min(BATCH, left)
    const counts = { MinCount: some, MaxCount: some }
    const command = new RunInstancesCommand({ InstanceType: 't3.nano', ...counts, ...wish })
    const { Instances = [] } = await ec2.send(command)
    launched.push(...Instances.map(launchedOf))
  }
  return launched
}

export async function terminate(
  ec2: EC2Client,
  InstanceIds: string[],
  signal: AbortSignal,
): Promise<void> {
  await ec2.send(new TerminateInstancesCommand({ InstanceIds }))
  const ended = async (): Promise<boolean> => {
    const { Reservations = [] } = await ec2.send(new DescribeInstancesCommand({ InstanceIds }))
    const all = Reservations.flatMap(({ Instances = [] }) => Instances)
    return all.every(({ State }) => State?.Name === 'terminated')
  }
  const options = { timeoutMs: END_MS, everyMs: 100, signal }
  await until(`${InstanceIds} are terminated`, ended, options)
}

/** Waits until guests' consoles say that they are up. */
export async function booted(
  world: World,
  guests: readonly Launched[],
  signal: AbortSignal,
): Promise<void> {
  for (const { id } of guests) {
    const isReady = async (): Promise<boolean> =>
      (await world.consoleLog(id).catch(() => '')).includes('MALLEE-GUEST ready')
    await until(`${id} is up`, isReady, { timeoutMs: BOOT_MS, everyMs: 500, signal })
  }
}

function launchedOf({ InstanceId, PrivateIpAddress }: Instance): Launched {
  return {
    id: named('InstanceId', InstanceId),
    ipv4: named('PrivateIpAddress', PrivateIpAddress),
  }
}

export function named(what: string, value: string | undefined): string {
  if (value === undefined) throw new MalleeError('NotFound', `the answer has no ${what}`)
  return value
}
