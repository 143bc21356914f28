// What operators, users and guests of two connected clouds do in the benchmark of peerings.

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  AcceptVpcPeeringConnectionCommand,
  CreateRouteCommand,
  CreateVpcPeeringConnectionCommand,
  DeleteRouteCommand,
  DescribeRouteTablesCommand,
  type EC2Client,
} from '@aws-sdk/client-ec2'
import { callLocal, type LocalCall } from '../gateway/cli/client.ts'
import { DEFAULT_SOCKET } from '../gateway/files.ts'
import type { GuestShell } from '../sandbox/guest.ts'
import type { OtherCloud } from '../sandbox/other-cloud.ts'
import { until } from '../sandbox/until.ts'
import type { World } from '../sandbox/world.ts'
import { LAST_PEER_NUMBER, PEER_PORT } from '../topology/ranges.ts'
import { peering, type Vpc } from './peering-users.ts'

/** A ping of 56 bytes within WireGuard: IPv4 and ICMP headers, padded, and 32 bytes more. */
const PING_LENGTH = 128
/** Nothing is sent for so long after the last ping that got through. */
const SILENCE_MS = 2_000

export interface Sides {
  readonly own: EC2Client
  readonly theirs: EC2Client
  readonly here: Vpc
  readonly there: Vpc
}

/** Both operators. */
export async function agree(world: World, west: OtherCloud): Promise<void> {
  const invited = (await world.gateway.mallee(['peer', 'invite', 'west'])) as { invitation: string }
  await west.gateway.mallee(['peer', 'accept', invited.invitation, '--yes'])
}

/** What a `mallee` command asks of the gateway, without the start of a program before it. */
export function asked({ gateway }: World, call: LocalCall): Promise<unknown> {
  return callLocal(`/proc/${gateway.host.pid}/root${DEFAULT_SOCKET}`, call)
}

/** Users of both sides until the first packet, without a pause; `answered` asks with the prefix. */
export async function connect(
  west: OtherCloud,
  { own, theirs, here, there }: Sides,
  answered: (seenAs: string) => Promise<boolean>,
): Promise<{ readonly pcx: string; readonly seenAs: string }> {
  const { VpcPeeringConnection: made } = await own.send(
    new CreateVpcPeeringConnectionCommand({
      ...{ VpcId: here.id, PeerVpcId: there.id, PeerRegion: west.plan.region },
      PeerOwnerId: west.gateway.credentials.account,
    }),
  )
  const pcx = made?.VpcPeeringConnectionId ?? ''
  const stateIs = async (client: EC2Client, state: string): Promise<boolean> =>
    (await peering(client, pcx))?.Status?.Code === state
  const fast = { everyMs: 10 }
  await until('it is known there', () => stateIs(theirs, 'pending-acceptance'), fast)
  await theirs.send(new AcceptVpcPeeringConnectionCommand({ VpcPeeringConnectionId: pcx }))
  await until('it is active here', () => stateIs(own, 'active'), fast)
  await until('it is active there', () => stateIs(theirs, 'active'), fast)
  const seenHere = (await peering(own, pcx))?.AccepterVpcInfo
  const seenThere = (await peering(theirs, pcx))?.RequesterVpcInfo
  for (const [client, { table }, info] of [
    [own, here, seenHere],
    [theirs, there, seenThere],
  ] as const) {
    const route = { RouteTableId: table, VpcPeeringConnectionId: pcx }
    const six = info?.Ipv6CidrBlockSet?.[0]?.Ipv6CidrBlock
    await client.send(new CreateRouteCommand({ ...route, DestinationCidrBlock: info?.CidrBlock }))
    await client.send(new CreateRouteCommand({ ...route, DestinationIpv6CidrBlock: six }))
  }
  const seenAs = seenHere?.CidrBlock ?? ''
  await until('the first packet comes back', () => answered(seenAs), { everyMs: 10 })
  return { pcx, seenAs }
}

/** The users' routes to peerings that are no more. */
export async function dropRoutes({ own, theirs, here, there }: Sides): Promise<void> {
  for (const [client, { table }] of [
    [own, here],
    [theirs, there],
  ] as const) {
    const input = { RouteTableIds: [table] }
    const { RouteTables: tables } = await client.send(new DescribeRouteTablesCommand(input))
    for (const one of tables?.[0]?.Routes ?? []) {
      if (one.VpcPeeringConnectionId === undefined) continue
      const { DestinationCidrBlock, DestinationIpv6CidrBlock } = one
      const to =
        DestinationCidrBlock === undefined ? { DestinationIpv6CidrBlock } : { DestinationCidrBlock }
      await client.send(new DeleteRouteCommand({ RouteTableId: table, ...to }))
    }
  }
}

/** ms from the call to the last ping on the wire; pings go out 50 times a second. */
export async function cut(
  world: World,
  shell: GuestShell,
  to: string,
  end: () => Promise<unknown>,
): Promise<number> {
  const internet = world.host('internet')
  const logFile = join(internet.dir, 'cut.log')
  const filter = ['udp', 'and', 'portrange', `${PEER_PORT}-${PEER_PORT + LAST_PEER_NUMBER}`]
  const argv = ['tcpdump', '-ttlnni', 'any', '-Q', 'in', ...filter]
  const capture = await internet.start(argv, { logFile })
  const text = (): Promise<string> => readFile(logFile, 'utf8').catch(() => '')
  const times = async (): Promise<number[]> =>
    [...(await text()).matchAll(/^(\d+\.\d+) .*length (\d+)$/gm)]
      .filter(([, , length]) => Number(length) === PING_LENGTH)
      .map(([, time]) => Number(time) * 1_000)
  await until('tcpdump listens', async () => (await text()).includes('listening on'))
  await shell.run(`ping -i 0.02 ${to} >/dev/null 2>&1 & echo $! >/tmp/ping`)
  await until('pings are on the wire', async () => (await times()).length > 20)
  const beginMs = Date.now()
  await end()
  const isOver = async (): Promise<boolean> =>
    Date.now() - Math.max(beginMs, (await times()).at(-1) ?? 0) > SILENCE_MS
  await until('the last ping is over', isOver, { timeoutMs: 60_000 })
  await shell.run('kill $(cat /tmp/ping)')
  await capture.stop('SIGINT')
  return Math.max(0, ((await times()).at(-1) ?? 0) - beginMs)
}

export async function answers(shell: GuestShell, to: string): Promise<boolean> {
  const ping = to.includes(':') ? 'ping6' : 'ping'
  return (await shell.run(`${ping} -c 1 -W 1 ${to} >/dev/null`)).code === 0
}

/** MiB/s of a file of so many. */
export async function download(
  shell: GuestShell,
  from: string,
  mib: number,
  file = 'file',
): Promise<number> {
  const host = from.includes(':') ? `[${from}]` : from
  const get = `wget -qO /dev/null http://${host}/${file}`
  const { output } = await shell.run(
    `b=$(cut -d' ' -f1 /proc/uptime); ${get} && echo $b $(cut -d' ' -f1 /proc/uptime)`,
    120_000,
  )
  const [begin = Number.NaN, end = Number.NaN] = output.trim().split(' ').map(Number)
  return mib / (end - begin)
}
