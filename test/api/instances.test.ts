// Instances through the official SDK: where they go, how they are found again, how they fail.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import {
  DescribeInstancesCommand,
  type DescribeInstancesCommandInput,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2'
import { messageOf } from '../../common/errors.ts'
import { until } from '../../sandbox/until.ts'
import { startCloud } from '../support/cloud.ts'
import { addHost, addTwoRacks, connected } from '../support/simulated-rack.ts'
import { describe, idsOf, makeImage, reach, refusal, run } from './support.ts'

const cloud = await startCloud({ after })
const { cc, node, other } = await addTwoRacks(cloud)
const ec2 = cloud.ec2()
const image = await makeImage(cloud, ec2)

test('RunInstances without a place spreads over racks and hosts', async () => {
  const made = await run(ec2, { ImageId: image, count: 8 })
  const zones = made.map((one) => one.Placement?.AvailabilityZone)
  assert.equal(zones.filter((zone) => zone === 'mallee-1-a').length, 4)
  assert.equal(zones.filter((zone) => zone === 'mallee-1-b').length, 4)
  await reach(ec2, idsOf(made), 'running')
  const counts = [cc, node, other].map((host) => host.roles.statuses().filter(isInstance).length)
  assert.deepEqual(counts, [2, 2, 4])
  await end(idsOf(made))
})

test('four concurrent RunInstances with one client token make one reservation', async () => {
  const wish = { ImageId: image, count: 2, ClientToken: 'four-at-once' }
  const answers = await Promise.all([1, 2, 3, 4].map(() => run(ec2, wish)))
  const sets = new Set(answers.map((made) => idsOf(made).sort().join(' ')))
  assert.equal(sets.size, 1)
  const [first = []] = answers
  const found = await reach(ec2, idsOf(first), 'running')
  assert.equal(found.length, 2)
  const different = run(ec2, { ...wish, count: 3 })
  assert.equal(await refusal(different), 'IdempotentParameterMismatch')
  await end(idsOf(first))
})

test('DescribeInstances filters 60 instances and hands them out in pages', async () => {
  const small = idsOf(await run(ec2, { ImageId: image, count: 40 }))
  const large = idsOf(await run(ec2, { ImageId: image, count: 20, InstanceType: 't3.micro' }))
  const all = [...small, ...large]
  const running = await reach(ec2, all, 'running')
  for (const field of ['PrivateIpAddress', 'Ipv6Address'] as const) {
    assert.equal(new Set(running.map((one) => one[field])).size, 60, field)
  }
  const macs = running.map((one) => one.NetworkInterfaces?.[0]?.MacAddress)
  assert.equal(new Set(macs).size, 60)

  const alive = { Name: 'instance-state-name', Values: ['pending', 'running'] }
  const pages = await pagesOf({ MaxResults: 25, Filters: [alive] })
  assert.deepEqual(
    pages.map((page) => page.length),
    [25, 25, 10],
  )
  assert.deepEqual(pages.flat().sort(), [...all].sort())

  for (const [name, values, want] of [
    ['instance-type', ['t3.micro'], large],
    ['instance-type', ['t3.*'], all],
    ['availability-zone', ['mallee-1-a', 'mallee-1-b'], all],
    ['private-ip-address', [running[7]?.PrivateIpAddress ?? ''], [running[7]?.InstanceId ?? '']],
    ['image-id', ['ami-00000000000000000'], []],
  ] as const) {
    const byName = { Name: name, Values: [...values] }
    const found = await pagesOf({ MaxResults: 1000, Filters: [alive, byName] })
    assert.deepEqual(found.flat().sort(), [...want].sort(), name)
  }
  await end(all)
})

test('an instance whose guest dies on its host is stopped, with the reason', async () => {
  const wish = { ImageId: image, Placement: { AvailabilityZone: 'mallee-1-b' } }
  const maintenance = { MaintenanceOptions: { AutoRecovery: 'disabled' } } as const
  const [id = ''] = idsOf(await run(ec2, { ...wish, ...maintenance }))
  await reach(ec2, [id], 'running')
  other.roles.fail(id)
  const [stopped] = await reach(ec2, [id], 'stopped')
  assert.equal(stopped?.StateReason?.Code, 'Server.InternalError')
  assert.match(stopped?.StateReason?.Message ?? '', /made to fail/)
  await end([id])
})

test('RunInstances without room says why, and nothing is allocated', async () => {
  const tiny = await addHost(cloud, { rack: 'c', host: 'c-cc', roles: ['cc', 'nc'], vcpus: 4 })
  await connected(cloud, [tiny])
  const wish = { ImageId: image, Placement: { AvailabilityZone: 'mallee-1-c' } }
  const before = (await describe(ec2)).length
  const refused = await run(ec2, { ...wish, count: 3 }).then(
    () => null,
    (error: Error) => error,
  )
  assert.equal(refused?.name, 'InsufficientInstanceCapacity')
  assert.match(messageOf(refused), /c-cc of rack c has room for 2/)
  assert.equal((await describe(ec2)).length, before)
  const made = await run(ec2, { ...wish, count: 2 })
  await reach(ec2, idsOf(made), 'running')
  // The first addresses of the subnet: the refused request took none.
  const addresses = made.map((one) => Number(one.PrivateIpAddress?.split('.')[3]))
  assert.deepEqual(addresses, [4, 5])
  assert.equal(await refusal(run(ec2, wish)), 'InsufficientInstanceCapacity')
  await end(idsOf(made))
  const isEmpty = (): boolean => !tiny.roles.statuses().some(isInstance)
  await until('the host has forgotten them', isEmpty)
})

async function end(ids: string[]): Promise<void> {
  await ec2.send(new TerminateInstancesCommand({ InstanceIds: ids }))
  await reach(ec2, ids, 'terminated')
}

/** The instance ids of each page. */
async function pagesOf(input: DescribeInstancesCommandInput): Promise<string[][]> {
  const pages: string[][] = []
  let next: string | undefined
  do {
    const page: DescribeInstancesCommandInput = { ...input, ...(next ? { NextToken: next } : {}) }
    const { Reservations = [], NextToken } = await ec2.send(new DescribeInstancesCommand(page))
    pages.push(idsOf(Reservations.flatMap(({ Instances = [] }) => Instances)))
    next = NextToken
  } while (next !== undefined)
  return pages
}

function isInstance({ key }: { key: string }): boolean {
  return key.startsWith('instance/')
}
