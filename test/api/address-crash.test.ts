// kill -9 of the gateway while elastic IPs move between two racks: afterwards all of them are
// there, each at one place, and the racks agree.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import {
  type Address,
  AllocateAddressCommand,
  AssociateAddressCommand,
  DescribeAddressesCommand,
} from '@aws-sdk/client-ec2'
import { chance, systemClock } from '../../common/clock.ts'
import { until } from '../../sandbox/until.ts'
import { startCloud } from '../support/cloud.ts'
import { addHost, connected, type RackHost } from '../support/simulated-rack.ts'
import { idsOf, keeps, makeImage, reach, run } from './support.ts'

const KILLS = 2
const ADDRESSES = 4

const cloud = await startCloud({ after }, { child: true })
const others = [cloud, cloud, cloud]
const ccOf = (rack: string): Promise<RackHost> =>
  addHost(cloud, { rack, host: `${rack}-all`, roles: ['cc', 'nc'], others })
const hosts = [await ccOf('a'), await ccOf('b')]
await connected(cloud, hosts)
await cloud.local({
  ...{ method: 'POST', path: '/v1/pools' },
  body: { cidr: '203.0.113.0/28', racks: [], exclude: [] },
})
const ec2 = cloud.ec2()
const image = await makeImage(cloud, ec2)

test('kill -9 of the gateway leaves every elastic IP at one place, the last that was answered or asked for', async () => {
  const pairs = await Promise.all(Array.from({ length: ADDRESSES }, oneAddress))
  await reach(
    ec2,
    pairs.flatMap(({ instances }) => instances),
    'running',
  )
  const moves = pairs.map(() => ({ answered: '', asked: '', count: 0 }))
  let going = true
  const movers = pairs.map(async ({ allocation, instances }, i) => {
    const move = moves[i]
    assert.ok(move)
    while (going) {
      move.asked = instances[move.count % instances.length] ?? ''
      if (!(await associate(allocation, move.asked))) continue
      move.answered = move.asked
      move.count += 1
    }
  })
  for (let kills = 0; kills < KILLS; kills += 1) {
    const wanted = moves.map(({ count }) => count + 2)
    await until('every address moves', () =>
      moves.every(({ count }, i) => count >= (wanted[i] ?? 0)),
    )
    await systemClock.sleep(chance() * 50)
    await cloud.kill()
    await cloud.start()
    const there = await addresses()
    assert.deepEqual(there.map(idOf).sort(), pairs.map(({ allocation }) => allocation).sort())
  }
  going = false
  await Promise.all(movers)
  // The last thing before the end: no request is under way any more, and no answer is missing.
  await cloud.kill()
  await cloud.start()
  await connected(cloud, hosts)
  const there = await addresses()
  assert.equal(there.length, ADDRESSES)
  for (const [i, { allocation, instances }] of pairs.entries()) {
    const at = there.filter((one) => idOf(one) === allocation).map((one) => one.InstanceId ?? '')
    const { answered, asked } = moves[i] ?? { answered: '', asked: '' }
    assert.equal(at.length, 1, `${allocation} has one association`)
    assert.ok([answered, asked].includes(at[0] ?? ''), `${at} is none of ${answered}, ${asked}`)
    const want = instances.map((id) => id === at[0])
    await until('the racks agree', () => {
      const held = hosts.map((host) => keeps(host, `elastic/${allocation}`))
      return held.every((one, n) => one === want[n])
    })
  }
})

/** An elastic IP, and an instance in each rack that it may go to. */
async function oneAddress(): Promise<{ allocation: string; instances: string[] }> {
  const { AllocationId: allocation = '' } = await ec2.send(new AllocateAddressCommand({}))
  const made = await Promise.all(
    ['a', 'b'].map((rack) =>
      run(ec2, { ImageId: image, Placement: { AvailabilityZone: `mallee-1-${rack}` } }),
    ),
  )
  return { allocation, instances: idsOf(made.flat()) }
}

/** False when nobody answered: then it is done or not. */
async function associate(AllocationId: string, InstanceId: string): Promise<boolean> {
  const wish = { AllocationId, InstanceId, AllowReassociation: true }
  try {
    await ec2.send(new AssociateAddressCommand(wish))
    return true
  } catch (error) {
    const { $metadata: answer } = error as { $metadata?: { httpStatusCode?: number } }
    if ((answer?.httpStatusCode ?? 500) < 500) throw error
    await systemClock.sleep(20)
    return false
  }
}

async function addresses(): Promise<Address[]> {
  const { Addresses = [] } = await ec2.send(new DescribeAddressesCommand({}))
  return Addresses
}

function idOf({ AllocationId: id = '' }: Address): string {
  return id
}
