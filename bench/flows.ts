// How long after the API's answer a host's switch knows a new member of a group that its guest's
// rules name, and what that one change costs, with more and more members in the group. The guest
// and its host are real; the members are instances of a simulated host in a rack of its own.

import type { EC2Client } from '@aws-sdk/client-ec2'
import { type HostPlan, OUTSIDE, type RackPlan } from '../sandbox/plan.ts'
import { createToken, rackJoin } from '../sandbox/racks.ts'
import { until } from '../sandbox/until.ts'
import { GATEWAY_UPLINK } from '../sandbox/wiring.ts'
import type { World } from '../sandbox/world.ts'
import { FlowWatch } from './flow-watch.ts'
import { type Emit, percentile } from './harness.ts'
import { clientOf } from './instances.ts'
import { launch, makeGroup, makeSubnet, makeVpc, terminate } from './user.ts'
import { planOf, say, withWorld } from './worlds.ts'

const BENCH = 'flows'
const COUNTS = [10, 100, 1_000] as const
const CHANGES = 50
/** Of the time with the most members to the time with the fewest. */
const GROWTH_GOAL = 1.5
const HOST = 'a1'
const PLAN = planOf('bench-flows', [
  { name: 'a', joinsOver: 'ipv4', hosts: [{ name: HOST, roles: ['cc', 'nc'] }] },
])
/** Where the members are: twice as many as there shall be find room. */
const MODEL: HostPlan = { name: 's1', roles: ['cc', 'nc'], capacity: '4000,4000000,40000' }
const MODEL_RACK: RackPlan = { name: 's', joinsOver: 'ipv4', hosts: [MODEL] }

interface Members {
  readonly imageId: string
  readonly subnet: string
  readonly group: string
}

interface Sample {
  readonly addedMs: number
  readonly flows: number
  /** Processor time of the host's agent and switch for the member's coming and going. */
  readonly cpuMs: number
}

export function run(emit: Emit): Promise<void> {
  return withWorld(PLAN, async (world, signal) => {
    await joinModel(world)
    const ec2 = clientOf(world)
    try {
      const members = await makeGuestAndGroup(world, ec2)
      const watch = await FlowWatch.open(world.host(HOST), signal)
      try {
        await measure(emit, { world, ec2, watch, members, signal })
      } finally {
        watch.close()
      }
    } finally {
      ec2.destroy()
    }
  })
}

interface Parts {
  readonly world: World
  readonly ec2: EC2Client
  readonly watch: FlowWatch
  readonly members: Members
  readonly signal: AbortSignal
}

async function measure(emit: Emit, parts: Parts): Promise<void> {
  const line = { bench: BENCH, unit: 'ms', higher_is_better: false }
  let first: { count: number; p50: number; cpu: number } | null = null
  let there = 0
  for (const count of COUNTS) {
    await grow(parts, count - there)
    there = count
    const samples = await changes(parts)
    const added = samples.map(({ addedMs }) => addedMs)
    const [p50, p99] = [rounded(percentile(added, 50)), rounded(percentile(added, 99))]
    const cpu = rounded(samples.reduce((sum, { cpuMs }) => sum + cpuMs, 0) / samples.length)
    const flows = percentile(
      samples.map((one) => one.flows),
      50,
    )
    const name = (what: string): string => `${what}, ${count} members`
    const against = (value: number) =>
      first === null ? {} : { peer: `${first.count} members`, peer_value: value, goal: GROWTH_GOAL }
    emit({ ...line, case: name('answer to flow, p50'), value: p50, ...against(first?.p50 ?? 0) })
    emit({ ...line, case: name('answer to flow, p99'), value: p99 })
    const spent = 'processor time of agent and switch for one to come and go'
    emit({ ...line, case: name(spent), value: cpu, ...against(first?.cpu ?? 0) })
    emit({ ...line, unit: 'flows', case: name('flows changed for one more'), value: flows })
    first ??= { count, p50, cpu }
  }
}

/** One more at a time, which goes again. */
async function changes({ world, ec2, watch, members, signal }: Parts): Promise<Sample[]> {
  const samples: Sample[] = []
  for (let n = 1; n <= CHANGES; n++) {
    const before = { flows: watch.changes, cpuMs: await cpuOf(world) }
    const [one] = await launch(ec2, wishOf(members))
    const answeredMs = performance.now()
    if (one === undefined) throw new RangeError('RunInstances made nothing')
    const addedAtMs = await watch.when({ kind: 'added', address: one.ipv4 })
    const flows = watch.changes - before.flows
    await terminate(ec2, [one.id], signal)
    await watch.when({ kind: 'deleted', address: one.ipv4 })
    const cpuMs = (await cpuOf(world)) - before.cpuMs
    samples.push({ addedMs: Math.max(0, addedAtMs - answeredMs), flows, cpuMs })
  }
  return samples
}

async function grow({ ec2, watch, members }: Parts, count: number): Promise<void> {
  say(`${count} members more`)
  const made = await launch(ec2, wishOf(members), count)
  for (const { ipv4: address } of made) await watch.when({ kind: 'added', address })
}

function wishOf({ imageId, subnet, group }: Members) {
  return { ImageId: imageId, SubnetId: subnet, SecurityGroupIds: [group] }
}

/** A rack of one host that is a model: its instances cost nothing, and everybody hears of them. */
async function joinModel({ gateway, host }: World): Promise<void> {
  const token = await createToken(gateway, MODEL_RACK, MODEL)
  const flags = ['--host', 'simulated', '--capacity', MODEL.capacity ?? '']
  await rackJoin(host(OUTSIDE), MODEL, `${token}@${GATEWAY_UPLINK.ipv4}`, flags)
}

async function makeGuestAndGroup(world: World, ec2: EC2Client): Promise<Members> {
  const { region } = world.plan
  const vpc = await makeVpc(ec2, '10.60.0.0/16')
  const near = await makeSubnet(ec2, vpc, { zone: `${region}-a`, cidr: '10.60.0.0/24' })
  const subnet = await makeSubnet(ec2, vpc, { zone: `${region}-s`, cidr: '10.60.16.0/20' })
  const group = await makeGroup(ec2, vpc, 'members')
  const permission = { IpProtocol: 'tcp', FromPort: 80, ToPort: 80 }
  const guarded = await makeGroup(ec2, vpc, 'guarded', [
    { ...permission, UserIdGroupPairs: [{ GroupId: group }] },
  ])
  const { imageId } = world
  await launch(ec2, wishOf({ imageId, subnet: near, group: guarded }))
  await until('the guest has a port', async () => (await flowsOf(world)).includes('conj_id='), {
    timeoutMs: 60_000,
    everyMs: 200,
  })
  return { imageId, subnet, group }
}

async function flowsOf(world: World): Promise<string> {
  const mgmt = 'unix:/run/mallee/ovs/br-int.mgmt'
  const argv = ['ovs-ofctl', '-O', 'OpenFlow15', '--no-names', 'dump-flows', mgmt]
  return (await world.host(HOST).exec(argv, { okCodes: [0, 1] })).stdout
}

/** Milliseconds that the agent, its children that ended, and the switch have used. */
async function cpuOf(world: World): Promise<number> {
  const script = [
    'for file in /run/mallee/cluster-agent.pid /run/mallee/ovs/vs.pid; do',
    'read -r pid rest < $file; cat /proc/$pid/stat; done',
  ].join(' ')
  const { stdout } = await world.host(HOST).exec(['sh', '-c', script])
  return cpuTicks(stdout) * MS_PER_TICK
}

/** USER_HZ: the same on every Linux that Node runs on. */
const MS_PER_TICK = 10

/** The sum of utime, stime, cutime and cstime over the lines of /proc/PID/stat. */
export function cpuTicks(text: string): number {
  return text
    .trim()
    .split('\n')
    .flatMap((line) => {
      // The program's name may have spaces, so count after it: state is field 3, utime 14.
      const fields = line.slice(line.lastIndexOf(')') + 2).split(' ')
      return fields.slice(11, 15).map(Number)
    })
    .reduce((sum, ticks) => sum + ticks, 0)
}

function rounded(ms: number): number {
  return Number(ms.toFixed(1))
}
