// Programs that are away for a while: what runs goes on, what was missed is made up for, and
// nothing is doubled or removed.

import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { after, test } from 'node:test'
import {
  DeregisterImageCommand,
  DescribeAvailabilityZonesCommand,
  DescribeInstanceStatusCommand,
  GetConsoleOutputCommand,
  RebootInstancesCommand,
  RegisterImageCommand,
} from '@aws-sdk/client-ec2'
import { readProgress } from '../../cluster-agent/progress.ts'
import { until } from '../../sandbox/until.ts'
import { line } from '../proto/cloud.ts'
import { lastFirst, startCloud } from '../support/cloud.ts'
import { recordUpdates } from '../support/recorded-session.ts'
import { addHost, connected, type RackHost } from '../support/simulated-rack.ts'
import { describe, IMAGE_NAME, idsOf, keeps, makeImage, reach, refusal, run } from './support.ts'

const end = lastFirst({ after })
const cloud = await startCloud(end)
const toB = await line(() => cloud.config.sessionPort)
end.after(() => toB.close())
const cc = await addHost(cloud, { rack: 'a', host: 'a-cc', roles: ['cc'] })
await connected(cloud, [cc])
const node = await addHost(cloud, { rack: 'a', host: 'a-nc', roles: ['nc'], parent: cc })
const other = await addHost(cloud, {
  ...{ rack: 'b', host: 'b-all', roles: ['cc', 'nc'] },
  sessionPort: toB.port,
})
const everybody = [cc, node, other]
await connected(cloud, everybody)
const ec2 = cloud.ec2()
const image = await makeImage(cloud, ec2)
const ids = idsOf(await run(ec2, { ImageId: image, count: 4 }))
const inB = (await reach(ec2, ids, 'running'))
  .filter((one) => one.Placement?.AvailabilityZone === 'mallee-1-b')
  .map((one) => one.InstanceId ?? '')

test('with the gateway away guests run on, and a CC serves its nodes from disk', async () => {
  const before = await describe(ec2)
  const guests = everybody.map(guestsOf)
  await cloud.stop()
  await until('the CCs see it', async () => {
    const progress = await Promise.all([cc, other].map((one) => readProgress(one.paths)))
    return progress.every((one) => one?.connected === false)
  })
  await node.stop()
  await cc.stop()
  await rm(node.paths.stateDir, { recursive: true })
  await cc.start()
  await node.start()
  await other.stop()
  await other.start()
  await until('the node has all from its CC', async () => {
    const progress = await Promise.all([cc, node].map((one) => readProgress(one.paths)))
    const [ofCc, ofNode] = progress.map((one) => one?.madeGeneration ?? null)
    return progress[1]?.connected === true && ofNode !== null && ofCc === ofNode
  })
  assert.deepEqual(everybody.map(guestsOf), guests)

  await cloud.start()
  await connected(cloud, everybody)
  const [id = ''] = ids
  await ec2.send(new RebootInstancesCommand({ InstanceIds: [id] }))
  await until('changes arrive again', () =>
    everybody.some((host) => guestsOf(host).some((one) => one === `${id} 1`)),
  )
  assert.deepEqual(await describe(ec2), before)
  assert.deepEqual(
    everybody.map((host) => guestsOf(host).length),
    guests.map((one) => one.length),
  )
})

for (const [what, host, witness] of [
  ['a node from its CC', node, cc],
  ['a CC from the gateway', cc, other],
] as const) {
  test(`${what} gets a delta of what it missed, and removes only then`, async () => {
    const input = { Name: `${IMAGE_NAME} ${host.name}`, ImageLocation: IMAGE_NAME }
    const { ImageId } = await ec2.send(new RegisterImageCommand(input))
    const key = `image/${ImageId}`
    await until('the hosts have the image', () => [host, witness].every((one) => keeps(one, key)))
    await host.stop()
    const inA = ids.find((id) => !inB.includes(id)) ?? ''
    await ec2.send(new RebootInstancesCommand({ InstanceIds: [inA] }))
    await ec2.send(new DeregisterImageCommand({ ImageId }))
    await until('the image is gone elsewhere', () => !keeps(witness, key))

    const session = recordUpdates(host)
    try {
      assert.equal(session.state.desired().has(key), true, 'not removed by itself')
      await session.until((updates) => updates.length > 0)
      const [first] = session.updates
      assert.equal(first?.kind, 'delta')
      if (first?.kind !== 'delta') return
      assert.deepEqual(
        first.upserts.map((one) => one.key),
        [`instance/${inA}`],
      )
      assert.ok(first.removals.includes(key))
      assert.equal(session.state.desired().has(key), false)
      assert.ok(session.state.desired().has(`image/${image}`))
    } finally {
      await session.stop()
      await host.start()
    }
    await connected(cloud, everybody)
  })
}

test('a rack that goes silent is away within the lease, and its guests stay running', async () => {
  toB.freeze()
  await until('rack b is away', () => isAway(other), { timeoutMs: 5_000 })
  assert.deepEqual(await zones(), ['a available', 'b impaired'])
  const found = await describe(ec2, inB)
  assert.ok(found.every((one) => one.State?.Name === 'running'))
  const { InstanceStatuses = [] } = await ec2.send(
    new DescribeInstanceStatusCommand({ InstanceIds: inB }),
  )
  // Of the host it is known that it does not answer; of the guests nothing is.
  const statuses = InstanceStatuses.map(
    (one) => `${one.SystemStatus?.Status} ${one.InstanceStatus?.Status}`,
  )
  assert.deepEqual(new Set(statuses), new Set(['impaired insufficient-data']))
  const console = ec2.send(new GetConsoleOutputCommand({ InstanceId: inB[0] }))
  assert.equal(await refusal(console), 'Unavailable')

  const made = await run(ec2, { ImageId: image, count: 3 })
  const places = made.map((one) => one.Placement?.AvailabilityZone)
  assert.deepEqual(new Set(places), new Set(['mallee-1-a']))
  const inZone = { ImageId: image, Placement: { AvailabilityZone: 'mallee-1-b' } }
  assert.equal(await refusal(run(ec2, inZone)), 'InsufficientInstanceCapacity')

  toB.cut()
  await connected(cloud, [other])
  assert.deepEqual(await zones(), ['a available', 'b available'])
  await reach(ec2, idsOf(await run(ec2, inZone)), 'running')
  assert.equal(guestsOf(other).length, inB.length + 1)
})

/** `id reboots` of everything that runs on a host. */
function guestsOf(host: RackHost): string[] {
  return host.roles
    .statuses()
    .flatMap(({ body }) => (body.case === 'instance' ? [body.value] : []))
    .map(({ id, rebootCount }) => `${id} ${rebootCount}`)
    .sort()
}

async function isAway(host: RackHost): Promise<boolean> {
  const { racks } = await cloud.status()
  const rack = racks.find((one) => one.name === host.config.rack)
  return rack?.hosts.find((one) => one.host === host.name)?.connected === false
}

async function zones(): Promise<string[]> {
  const { AvailabilityZones = [] } = await ec2.send(new DescribeAvailabilityZonesCommand({}))
  return AvailabilityZones.map((one) => `${one.ZoneName?.replace('mallee-1-', '')} ${one.State}`)
}
