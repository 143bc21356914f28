// The operator's hand on racks: drain, take out, let in again.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { DescribeAvailabilityZonesCommand, TerminateInstancesCommand } from '@aws-sdk/client-ec2'
import { readProgress } from '../../cluster-agent/progress.ts'
import { until } from '../../sandbox/until.ts'
import { startCloud } from '../support/cloud.ts'
import { addHost, addTwoRacks, connected } from '../support/simulated-rack.ts'
import { idsOf, makeImage, reach, refusal, run } from './support.ts'

const cloud = await startCloud({ after })
const { cc, node, other } = await addTwoRacks(cloud)
const ec2 = cloud.ec2()
const image = await makeImage(cloud, ec2)
const inB = { ImageId: image, Placement: { AvailabilityZone: 'mallee-1-b' } }
const ids = idsOf(await run(ec2, inB))
await reach(ec2, ids, 'running')

test('a rack that is drained gets no new instances until it is undrained', async () => {
  await cloud.local({ method: 'POST', path: '/v1/racks/b/drain' })
  assert.deepEqual(await zones(), ['a available', 'b constrained'])
  assert.equal(await refusal(run(ec2, inB)), 'InsufficientInstanceCapacity')
  const made = await run(ec2, { ImageId: image, count: 2 })
  assert.ok(made.every((one) => one.Placement?.AvailabilityZone === 'mallee-1-a'))
  await reach(ec2, [...ids, ...idsOf(made)], 'running')
  await cloud.local({ method: 'POST', path: '/v1/racks/b/undrain' })
  assert.deepEqual(await zones(), ['a available', 'b available'])
})

test('racks and hosts with instances cannot be taken out', async () => {
  for (const path of ['/v1/racks/b', '/v1/racks/a/hosts/a-cc', '/v1/racks/b/hosts/b-all']) {
    await assert.rejects(cloud.local({ method: 'DELETE', path }), { code: 'Conflict' })
  }
  assert.equal((await cloud.status()).racks.length, 2)
})

test('a rack that is taken out has no session, no tunnel, no certificate, and may come again', async () => {
  await until('both racks have a tunnel', () => tunnelsOf(cc) === 1 && tunnelsOf(other) === 1)
  await ec2.send(new TerminateInstancesCommand({ InstanceIds: ids }))
  await reach(ec2, ids, 'terminated')
  await cloud.local({ method: 'DELETE', path: '/v1/racks/b' })
  assert.deepEqual(await zones(), ['a available'])
  await until('its session ends and it is refused', async () => {
    const progress = await readProgress(other.paths)
    return progress?.connected === false && /not in this cloud/.test(progress.connectTrouble)
  })
  await until('rack a has no tunnel to it', () => tunnelsOf(cc) === 0)
  await other.stop()
  const again = await addHost(cloud, { rack: 'b', host: 'b-new', roles: ['cc', 'nc'] })
  await connected(cloud, [again])
  assert.notEqual(again.config.rackIndex, other.config.rackIndex, 'its numbers rest for a day')
  await reach(ec2, idsOf(await run(ec2, inB)), 'running')
  await until('the tunnels are there again', () => tunnelsOf(cc) === 1 && tunnelsOf(again) === 1)
})

test('a node that is taken out loses its session and leaves its rack as it is', async () => {
  const onNode = node.roles.statuses().flatMap(({ body }) => {
    return body.case === 'instance' ? [body.value.id] : []
  })
  if (onNode.length > 0) {
    await ec2.send(new TerminateInstancesCommand({ InstanceIds: onNode }))
    await reach(ec2, onNode, 'terminated')
  }
  await cloud.local({ method: 'DELETE', path: '/v1/racks/a/hosts/a-nc' })
  const { racks } = await cloud.status()
  const rack = racks.find((one) => one.name === 'a')
  assert.deepEqual(
    rack?.hosts.map((one) => [one.host, one.connected]),
    [['a-cc', true]],
  )
  await until('its CC refuses it', async () => {
    const progress = await readProgress(node.paths)
    return progress?.connected === false && /is not in rack a/.test(progress.connectTrouble)
  })
})

async function zones(): Promise<string[]> {
  const { AvailabilityZones = [] } = await ec2.send(new DescribeAvailabilityZonesCommand({}))
  return AvailabilityZones.map((one) => `${one.ZoneName?.replace('mallee-1-', '')} ${one.State}`)
}

function tunnelsOf(host: typeof cc): number {
  return host.roles.statuses().filter(({ key }) => key.startsWith('tunnel/')).length
}
