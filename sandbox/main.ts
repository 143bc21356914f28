// npm start: two racks, one EC2 endpoint, an instance in each, on this machine alone, and with
// --other-cloud a cloud of another owner beside it. Ends with Ctrl-C or SIGTERM and removes all it
// made.

import { basename } from 'node:path'
import { systemClock } from '../common/clock.ts'
import { codeOf, messageOf } from '../common/errors.ts'
import { createLog } from '../common/log.ts'
import { shellLines } from './aws.ts'
import { facts, LiveView } from './live.ts'
import { type OtherCloud, startOtherCloud } from './other-cloud.ts'
import { GATEWAY, gatewayOf, OTHER_PLAN, SANDBOX_PLAN } from './plan.ts'
import { describeInstances, launchEverywhere, pingAcross, type TourInstance } from './tour.ts'
import { defaultNetworkOf, peeringLines, type UserSide } from './two-clouds.ts'
import { startWorld, type World } from './world.ts'

const REFRESH_MS = 2_000
/** The real CLI takes most of a second of processor time. */
const REFRESH_INSTANCES_MS = 10_000

const OTHER_CLOUD = '--other-cloud'
const USAGE = `Usage: npm start [-- ${OTHER_CLOUD}]

Brings up a cloud of two racks on this machine, until Ctrl-C, which leaves nothing.
  ${OTHER_CLOUD}   another owner's cloud on the same internet as well, and how to connect the two
`

const LAST = `Another owner's cloud to connect with: npm start -- ${OTHER_CLOUD}

Ctrl-C ends and removes everything.
`

const print = (line: string): unknown => process.stdout.write(`${line}\n`)

async function main(words: readonly string[]): Promise<void> {
  if (words.includes('--help') || words.includes('-h')) {
    process.stdout.write(USAGE)
    return
  }
  const wrong = words.find((word) => word !== OTHER_CLOUD)
  if (wrong !== undefined) {
    process.stderr.write(`mallee: there is no ${wrong}\n${USAGE}`)
    process.exitCode = 2
    return
  }
  await run(words.includes(OTHER_CLOUD))
}

async function run(hasOther: boolean): Promise<void> {
  const end = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    // Repeated ones change nothing: npm passes a terminal's Ctrl-C on a second time.
    process.on(signal, () => end.abort(new Error(`stopped by ${signal}`)))
  }
  // Whoever reads our output is gone (`npm start | head`).
  process.stdout.on('error', () => end.abort(new Error('standard output was closed')))

  let world: World | null = null
  let other: OtherCloud | null = null
  let made = true
  try {
    const log = createLog('warn', { program: 'sandbox' })
    world = await startWorld(SANDBOX_PLAN, { log, progress: print, signal: end.signal })
    const instances = await tour(world, end.signal)
    if (hasOther) {
      other = await startOtherCloud(world, OTHER_PLAN, { log, progress: print })
      for (const line of await connecting(world, instances, other, end.signal)) print(line)
    }
    print(hasOther ? 'Ctrl-C ends and removes everything.\n' : LAST)
    await follow(world, end.signal)
  } catch (error) {
    // Another sandbox runs: nothing here is ours.
    made = codeOf(error) !== 'Conflict'
    if (!end.signal.aborted) {
      process.stderr.write(`mallee: ${messageOf(error)}\n`)
      process.exitCode = 1
    }
  }
  await other?.stop()
  await world?.stop()
  if (made) print('\nRemoved: all processes, namespaces, interfaces and files of the sandbox.')
}

async function tour(world: World, signal: AbortSignal): Promise<readonly TourInstance[]> {
  const instances = await launchEverywhere(world, print, signal)
  const [first, second] = instances
  if (first !== undefined && second !== undefined) await pingAcross(world, first, second, print)
  for (const line of summary(world, instances)) print(line)
  return instances
}

/** An instance there too, and what connects the two. */
async function connecting(
  world: World,
  instances: readonly TourInstance[],
  other: OtherCloud,
  signal: AbortSignal,
): Promise<string[]> {
  const { plan } = other
  const imageId = await other.registerImage()
  const there = { ...other, imageId, plan }
  const [guest] = await launchEverywhere(there, print, signal)
  const sideOf = async (
    { target, aws }: Pick<World, 'target' | 'aws'>,
    instance: TourInstance | undefined,
    hosts: Pick<UserSide, 'gatewayHost' | 'instanceHost'>,
  ): Promise<UserSide> => ({
    ...(await defaultNetworkOf(aws)),
    ...{ account: target.credentials.account, region: target.region, ...hosts },
    instance: { id: instance?.id ?? '', ipv6: instance?.ipv6 ?? '' },
    shell: shellLines(target),
  })
  // The rack's only host.
  const instanceHost = world.plan.racks.at(-1)?.hosts[0].name ?? ''
  const first = await sideOf(world, instances.at(-1), { gatewayHost: GATEWAY, instanceHost })
  const hosts = { gatewayHost: gatewayOf(plan), instanceHost: plan.racks[0]?.hosts[0].name ?? '' }
  return peeringLines(plan.name, first, await sideOf(other, guest, hosts))
}

async function follow(world: World, signal: AbortSignal): Promise<void> {
  const view = new LiveView(process.stdout)
  let instances = await describeInstances(world.aws)
  let askedMs = systemClock.nowMs()
  while (!signal.aborted) {
    if (systemClock.nowMs() - askedMs > REFRESH_INSTANCES_MS) {
      // While the gateway is away the last answer stands; facts() says that it is away.
      instances = await describeInstances(world.aws).catch(() => instances)
      askedMs = systemClock.nowMs()
    }
    const parts = {
      status: () => world.gateway.status(),
      instances: async () => instances,
      nowMs: systemClock.nowMs,
    }
    view.show(await facts(parts))
    await systemClock.sleep(REFRESH_MS, signal)
  }
}

function summary(world: World, [first]: readonly TourInstance[]): string[] {
  const { plan, target, adminUrl, imageId, imageFile } = world
  const zone = `${plan.region}-${plan.racks.at(-1)?.name}`
  return [
    '',
    `The cloud runs. EC2, S3, IAM: ${target.endpoint}   Health and metrics: ${adminUrl}/metrics`,
    '',
    'In another shell, as any user of this machine:',
    ...shellLines(target).map((line) => `  ${line}`),
    '  aws ec2 describe-instances --output table',
    `  aws ec2 run-instances --image-id ${imageId} --instance-type t3.nano \\`,
    `    --placement AvailabilityZone=${zone}`,
    `  aws ec2 create-volume --size 1 --volume-type gp3 --availability-zone ${plan.region}-a`,
    `  aws ec2 attach-volume --volume-id VOLUME --instance-id ${first?.id ?? 'ID'} --device /dev/sdf`,
    `  aws s3api create-bucket --bucket photos \\`,
    `    --create-bucket-configuration LocationConstraint=${zone}`,
    `  aws ec2 get-console-output --latest --instance-id ${first?.id ?? 'ID'} --output text`,
    '  aws s3 mb s3://images',
    `  aws s3 cp ${imageFile} s3://images/`,
    `  aws ec2 register-image --name mine --image-location images/${basename(imageFile)}`,
    '',
    'On the hosts, as root, in this folder (hosts: gateway, a1, a2, a3, b1, internet, outside):',
    '  npm run -s enter -- gateway mallee status',
    '  npm run -s enter -- a1 wg show',
    '  npm run -s enter -- internet tcpdump -ni any',
    '',
  ]
}

await main(process.argv.slice(2))
