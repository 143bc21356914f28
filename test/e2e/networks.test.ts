// Sixty networks at once: six guests with an interface in ten subnets each get all of their
// addresses by DHCP, from one dnsmasq in each rack.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  type _InstanceType,
  CreateSubnetCommand,
  CreateVpcCommand,
  EC2Client,
  RebootInstancesCommand,
  RunInstancesCommand,
} from '@aws-sdk/client-ec2'
import { silentLog } from '../../common/log.ts'
import { until } from '../../sandbox/until.ts'
import { startWorld, type World } from '../../sandbox/world.ts'
import { inGuest, ready, roomyPlan } from './tenant.ts'

const NETWORKS = 60
/** A type of the operator's making: with AWS's small ones more guests boot, which takes minutes. */
const PER_GUEST = 10
const TYPE = 'test.wide'
const SIZE = ['--vcpus', '1', '--memory-mib', '512', '--disk-gib', '1']
const LEASES_MS = 120_000

interface Guest {
  readonly id: string
  readonly addresses: readonly string[]
}

let world: World
let ec2: EC2Client
const guests: Guest[] = []

before(async () => {
  world = await startWorld(roomyPlan('networks'), {
    log: silentLog,
    progress: (line) => console.error(line),
  })
  const create = ['type', 'create', TYPE, ...SIZE, '--interfaces', String(PER_GUEST)]
  await world.gateway.mallee(create)
  const { endpoint, region, credentials } = world.target
  ec2 = new EC2Client({ endpoint, region, credentials })
  const { Vpc } = await ec2.send(new CreateVpcCommand({ CidrBlock: '10.70.0.0/16' }))
  const subnets: string[] = []
  for (let n = 0; n < NETWORKS; n += 1) {
    const zone = `${world.plan.region}-${n < NETWORKS / 2 ? 'a' : 'b'}`
    const where = { VpcId: Vpc?.VpcId, AvailabilityZone: zone, CidrBlock: `10.70.${n}.0/24` }
    const { Subnet } = await ec2.send(new CreateSubnetCommand(where))
    subnets.push(Subnet?.SubnetId ?? '')
  }
  for (let n = 0; n < NETWORKS; n += PER_GUEST) {
    guests.push(await launch(subnets.slice(n, n + PER_GUEST)))
  }
  for (const guest of guests) await boot(guest)
})

after(async () => {
  ec2?.destroy()
  await world?.stop()
})

test('sixty networks with DHCP work at once, by one dnsmasq in each rack', async () => {
  let missing: string[] = []
  const haveAll = async (): Promise<boolean> => {
    const lacks = await fromEach(async (guest) => {
      const { output } = await inGuest(world, guest, 'ip -4 -o address show')
      return guest.addresses.filter((one) => !output.includes(` ${one}/24`))
    })
    missing = lacks.flat()
    return missing.length === 0
  }
  await until('all guests have all addresses', haveAll, {
    timeoutMs: LEASES_MS,
    everyMs: 2_000,
  }).catch((error: unknown) => assert.deepEqual(missing, [], String(error)))
  assert.equal(new Set(guests.flatMap(({ addresses }) => addresses)).size, NETWORKS)
  for (const name of ['a1', 'b1']) {
    const { stdout } = await world.host(name).exec(['pgrep', '-c', 'dnsmasq'])
    assert.equal(stdout.trim(), '1', `dnsmasq on ${name}`)
  }
})

test('in each of them the gateway answers', async () => {
  await fromEach(async (guest) => {
    const gateways = guest.addresses.map((one) => one.replace(/\d+$/, '1')).join(' ')
    const line = `for g in ${gateways}; do ping -c 1 -W 5 $g >/dev/null || echo "no $g"; done`
    assert.equal((await inGuest(world, guest, line)).output, '')
  })
})

/** Each guest has a console of its own: all of them at once. */
function fromEach<T>(body: (guest: Guest) => Promise<T>): Promise<T[]> {
  return Promise.all(guests.map(body))
}

/** Of several that boot on few processors one may hang early, which is not what is tested here. */
async function boot(guest: Guest): Promise<void> {
  await ready(world, [guest]).catch(async (error: unknown) => {
    console.error(`${guest.id} is rebooted: ${String(error)}`)
    await ec2.send(new RebootInstancesCommand({ InstanceIds: [guest.id] }))
    await ready(world, [guest])
  })
}

async function launch(subnets: readonly string[]): Promise<Guest> {
  const cards = subnets.map((SubnetId, DeviceIndex) => ({ SubnetId, DeviceIndex }))
  const { Instances } = await ec2.send(
    new RunInstancesCommand({
      ImageId: world.imageId,
      InstanceType: TYPE as _InstanceType,
      MinCount: 1,
      MaxCount: 1,
      NetworkInterfaces: cards,
    }),
  )
  const [one] = Instances ?? []
  const addresses = (one?.NetworkInterfaces ?? []).map((card) => card.PrivateIpAddress ?? '')
  return { id: one?.InstanceId ?? '', addresses }
}
