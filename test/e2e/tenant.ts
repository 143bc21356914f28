// An AWS user of a world, with the stock aws CLI: what tests of tenants' networks do and look at.

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { exec } from '../../common/exec.ts'
import { type Aws, type AwsTarget, awsCli } from '../../sandbox/aws.ts'
import type { Credentials } from '../../sandbox/gateway.ts'
import type { GuestShell } from '../../sandbox/guest.ts'
import { OUTSIDE, SANDBOX_PLAN, type WorldPlan } from '../../sandbox/plan.ts'
import { until } from '../../sandbox/until.ts'
import type { World } from '../../sandbox/world.ts'

const BOOT_MS = 300_000
/** What guests' user data write: the front page is the image's own, with the host's name. */
export const PAGE = '/tier.html'
const CAPACITY = '64,131072,4000'

/** The sandbox's plan with room for many small guests. */
export function roomyPlan(world: string): WorldPlan {
  const racks = SANDBOX_PLAN.racks.map(({ hosts, ...rack }) => {
    const [edge, ...nodes] = hosts.map((host) =>
      host.roles.includes('nc') ? { ...host, capacity: CAPACITY } : host,
    )
    if (edge === undefined) throw new RangeError('a rack has an edge')
    return { ...rack, hosts: [edge, ...nodes] as const }
  })
  return { ...SANDBOX_PLAN, world, apiPort: 0, adminPort: 0, racks }
}

/** Answers of the API, looked into by path: `at(answer, 'Vpc.VpcId')`. */
export function at(answer: unknown, path: string): string {
  let value: unknown = answer
  for (const part of path.split('.')) {
    value = (value as Record<string, unknown> | undefined)?.[part]
  }
  if (typeof value !== 'string') throw new Error(`no ${path} in ${JSON.stringify(answer)}`)
  return value
}

export interface Guest {
  readonly id: string
  readonly ipv4: string
  readonly ipv6: string
  readonly eni: string
}

/** A user: aws with their keys, and the words of one line as a test writes them. */
export class Tenant {
  readonly account: string
  readonly aws: Aws
  readonly target: AwsTarget

  constructor(world: Pick<World, 'target'>, credentials: Credentials) {
    this.account = credentials.account
    this.target = { ...world.target, credentials }
    this.aws = awsCli(this.target)
  }

  /** `ec2('create-vpc --cidr-block 10.0.0.0/16', 'Vpc.VpcId')`. */
  async ec2(line: string, path: string): Promise<string> {
    return at(await this.ask(line), path)
  }

  async ask(line: string): Promise<unknown> {
    return this.aws(['ec2', ...line.split(' ')])
  }

  /** The AWS code that a line is refused with; `accepted` when it is not. */
  async refusal(line: string): Promise<string> {
    return this.ask(line).then(
      () => 'accepted',
      (error: Error) => /\((\w[\w.]+)\)/.exec(error.message)?.[1] ?? error.message,
    )
  }

  /** A security group that lets nothing in yet. */
  async createGroup(vpc: string, name: string): Promise<string> {
    const line = `create-security-group --group-name ${name} --description ${name} --vpc-id ${vpc}`
    return this.ec2(line, 'GroupId')
  }

  /** Lets something in, in the CLI's shorthand. */
  async allow(groupId: string, permissions: string): Promise<void> {
    const line = 'authorize-security-group-ingress'
    await this.ask(`${line} --group-id ${groupId} --ip-permissions ${permissions}`)
  }

  /** The ids of a VPC's route tables. */
  async tablesOf(vpc: string): Promise<string[]> {
    const answer = await this.ask(`describe-route-tables --filters Name=vpc-id,Values=${vpc}`)
    const { RouteTables } = answer as { RouteTables: { RouteTableId: string }[] }
    return RouteTables.map(({ RouteTableId }) => RouteTableId)
  }

  /** Runs an instance with what `line` says of it, and tells of its first interface. */
  async run(line: string, userData?: string): Promise<Guest> {
    const data = userData === undefined ? [] : ['--user-data', userData]
    const answer = await this.aws(['ec2', 'run-instances', ...line.split(' '), ...data])
    return guestOf((answer as { Instances: Described[] }).Instances[0])
  }
}

interface Described {
  readonly InstanceId: string
  readonly PrivateIpAddress?: string
  readonly NetworkInterfaces: readonly {
    readonly NetworkInterfaceId: string
    readonly Ipv6Addresses?: readonly { readonly Ipv6Address: string }[]
  }[]
}

function guestOf(instance: Described | undefined): Guest {
  const card = instance?.NetworkInterfaces[0]
  if (instance === undefined || card === undefined) throw new Error('no instance')
  return {
    id: instance.InstanceId,
    ipv4: instance.PrivateIpAddress ?? '',
    ipv6: card.Ipv6Addresses?.[0]?.Ipv6Address ?? '',
    eni: card.NetworkInterfaceId,
  }
}

/** Waits until the guests' consoles say that they are up. */
export async function ready(
  world: Pick<World, 'consoleLog'>,
  guests: readonly { id: string }[],
): Promise<void> {
  for (const { id } of guests) {
    const isReady = async (): Promise<boolean> =>
      (await world.consoleLog(id).catch(() => '')).includes('MALLEE-GUEST ready')
    await until(`${id} is up`, isReady, { timeoutMs: BOOT_MS, everyMs: 500 })
  }
}

/** One line of shell in a guest: what it prints, and its exit code. */
export async function inGuest(
  world: Pick<World, 'shell'>,
  { id }: { id: string },
  line: string,
): Promise<{ output: string; code: number }> {
  const shell: GuestShell = await world.shell(id)
  try {
    return await shell.run(line, 60_000)
  } finally {
    shell.close()
  }
}

/** Can the guest ping the address, now or within a quarter of a minute? */
export async function reaches(
  world: Pick<World, 'shell'>,
  from: { id: string },
  to: string,
): Promise<boolean> {
  const shell = await world.shell(from.id)
  const ping = to.includes(':') ? 'ping6' : 'ping'
  try {
    for (let tries = 0; tries < 10; tries += 1) {
      if ((await shell.run(`${ping} -c 1 -W 2 ${to}`)).code === 0) return true
    }
    return false
  } finally {
    shell.close()
  }
}

/** Which of the addresses answer one of three pings of the guest, sent to all at once. */
export async function reachedOf(
  world: Pick<World, 'shell'>,
  from: { id: string },
  addresses: readonly string[],
): Promise<string[]> {
  const ping = 'case $a in *:*) p=ping6;; *) p=ping;; esac; $p -c 3 -W 1 $a >/dev/null 2>&1'
  const line = `for a in ${addresses.join(' ')}; do (${ping} && echo "GOT $a") & done; wait`
  const { output } = await inGuest(world, from, `(${line})`)
  return [...output.matchAll(/^GOT (.*)$/gm)].map(([, address = '']) => address)
}

/** Do three pings of the guest stay without an answer? */
export async function isCutOff(
  world: Pick<World, 'shell'>,
  from: { id: string },
  to: string,
): Promise<boolean> {
  return (await reachedOf(world, from, [to])).length === 0
}

/** What a web server answers to the guest; '' when it does not. */
export async function fetchInGuest(
  world: World,
  from: { id: string },
  address: string,
  port = 80,
): Promise<string> {
  const get = `printf 'GET ${port === 80 ? PAGE : '/'} HTTP/1.0\\r\\n\\r\\n' | nc -w 4 ${address} ${port} 2>/dev/null`
  return (await inGuest(world, from, get)).output
}

/** What a web server answers to somebody on the internet; '' when it does not. */
export async function fetchOutside(world: World, address: string): Promise<string> {
  const host = address.includes(':') ? `[${address}]` : address
  const argv = ['curl', '--silent', '--max-time', '4', `http://${host}${PAGE}`]
  return (await world.host(OUTSIDE).exec(argv, { okCodes: [0, 7, 28] })).stdout
}

/** A web server on the internet, and who asked it so far. */
export async function serveOutside(
  world: World,
  port: number,
): Promise<{ callers: () => Promise<string[]>; stop: () => Promise<void> }> {
  const outside = world.host(OUTSIDE)
  const logFile = join(outside.dir, `http-${port}.log`)
  const server = ['python3', '-u', '-m', 'http.server', `${port}`, '--bind', '::']
  const started = await outside.start(server, { logFile })
  const text = (): Promise<string> => readFile(logFile, 'utf8').catch(() => '')
  await until('the server outside listens', async () => (await text()).includes('Serving'))
  return {
    callers: async () =>
      [...(await text()).matchAll(/^(\S+) - - .*"GET/gm)].map(([, caller = '']) =>
        caller.replace(/^::ffff:/, ''),
      ),
    stop: () => started.stop(),
  }
}

const COUNT = `
import socket, sys
server = socket.create_server(("::", int(sys.argv[1])), family=socket.AF_INET6, dualstack_ipv6=True)
print("listening", flush=True)
while True:
    stream, count = server.accept()[0], 0
    while some := stream.recv(65536):
        count += len(some)
    print(count, flush=True)
    stream.close()
`

/** Somebody on the internet who takes streams; in the end, how many bytes each had. */
export async function countOutside(
  world: World,
  port: number,
): Promise<{ stop: () => Promise<number[]> }> {
  const outside = world.host(OUTSIDE)
  const logFile = join(outside.dir, `count-${port}.log`)
  const started = await outside.start(['python3', '-c', COUNT, `${port}`], { logFile })
  const text = (): Promise<string> => readFile(logFile, 'utf8').catch(() => '')
  await until('somebody outside listens', async () => (await text()).includes('listening'))
  return {
    stop: async () => {
      await started.stop()
      return [...(await text()).matchAll(/^\d+$/gm)].map(([count]) => Number(count))
    },
  }
}

/** The second account's own program, with boto3. */
export async function boto3(
  { endpoint, region, credentials }: AwsTarget,
  args: readonly string[],
): Promise<Record<string, string>> {
  const env = {
    ENDPOINT: endpoint,
    AWS_ACCESS_KEY_ID: credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    AWS_DEFAULT_REGION: region,
    AWS_CONFIG_FILE: '/dev/null',
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
  }
  const script = join(import.meta.dirname, 'second-account.py')
  const argv = ['/usr/bin/python3', script, ...args]
  const { stdout } = await exec(argv, { env, timeoutMs: 120_000 })
  return JSON.parse(stdout) as Record<string, string>
}
