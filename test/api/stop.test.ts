// Instances that are stopped and started again through the official SDK, on simulated hosts.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import {
  DescribeInstanceAttributeCommand,
  DescribeInstanceStatusCommand,
  GetConsoleScreenshotCommand,
  type Instance,
  SendDiagnosticInterruptCommand,
  StartInstancesCommand,
  StopInstancesCommand,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2'
import { InstanceState } from '../../proto/gen/mallee/v1/observed_pb.js'
import { until } from '../../sandbox/until.ts'
import { startCloud } from '../support/cloud.ts'
import { addTwoRacks, type RackHost } from '../support/simulated-rack.ts'
import { describe, idsOf, makeImage, reach, run } from './support.ts'

const cloud = await startCloud({ after })
const { cc, node, other } = await addTwoRacks(cloud)
const ec2 = cloud.ec2()
const image = await makeImage(cloud, ec2)

test('instances on a CC host, a node and in another rack stop and start on their hosts', async () => {
  const made = await run(ec2, { ImageId: image, count: 4 })
  const ids = idsOf(made)
  const before = await reach(ec2, ids, 'running')
  const homes = ids.map(hostOf)
  assert.deepEqual(new Set(homes), new Set([cc, node, other]))
  for (const turn of [1, 2]) {
    await ec2.send(new StopInstancesCommand({ InstanceIds: ids }))
    const stopped = await reach(ec2, ids, 'stopped')
    for (const { StateReason } of stopped) {
      assert.equal(StateReason?.Code, 'Client.UserInitiatedShutdown')
    }
    for (const id of ids) assert.equal(statusOf(id)?.state, InstanceState.STOPPED)
    await ec2.send(new StartInstancesCommand({ InstanceIds: ids }))
    const running = await reach(ec2, ids, 'running')
    assert.deepEqual(running.map(addresses), before.map(addresses))
    assert.deepEqual(ids.map(hostOf), homes)
    await until('their hosts have counted', () =>
      ids.every((id) => statusOf(id)?.startCount === turn),
    )
  }
  await end(ids)
})

test('a guest that powers itself off is stopped or terminated as its launch says', async () => {
  const wish = { ImageId: image, Placement: { AvailabilityZone: 'mallee-1-b' } }
  const [stays = ''] = idsOf(await run(ec2, wish))
  const behavior = { InstanceInitiatedShutdownBehavior: 'terminate' } as const
  const [goes = ''] = idsOf(await run(ec2, { ...wish, ...behavior }))
  await reach(ec2, [stays, goes], 'running')
  const shown = await ec2.send(
    new DescribeInstanceAttributeCommand({
      ...{ InstanceId: goes, Attribute: 'instanceInitiatedShutdownBehavior' },
    }),
  )
  assert.equal(shown.InstanceInitiatedShutdownBehavior?.Value, 'terminate')
  for (const id of [stays, goes]) other.roles.powerOff(id)
  for (const [id, state] of [
    [stays, 'stopped'],
    [goes, 'terminated'],
  ] as const) {
    const [one] = await reach(ec2, [id], state)
    assert.equal(one?.StateReason?.Code, 'Client.InstanceInitiatedShutdown')
  }
  await ec2.send(new StartInstancesCommand({ InstanceIds: [stays] }))
  await reach(ec2, [stays], 'running')
  await end([stays])
})

test('a guest that dies on its host is started again from its disk', async () => {
  const wish = { ImageId: image, Placement: { AvailabilityZone: 'mallee-1-b' } }
  const [id = ''] = idsOf(await run(ec2, wish))
  await reach(ec2, [id], 'running')
  other.roles.fail(id)
  await until('its host has started it once more', () => statusOf(id)?.startCount === 1)
  await reach(ec2, [id], 'running')
  await end([id])
})

test('what was stopped before its host was away starts when the host is back', async () => {
  const wish = { ImageId: image, Placement: { AvailabilityZone: 'mallee-1-b' } }
  const [id = ''] = idsOf(await run(ec2, wish))
  await reach(ec2, [id], 'running')
  await other.stop()
  await ec2.send(new StopInstancesCommand({ InstanceIds: [id] }))
  assert.equal((await describe(ec2, [id]))[0]?.State?.Name, 'stopping')
  await other.start()
  await reach(ec2, [id], 'stopped')
  await ec2.send(new StartInstancesCommand({ InstanceIds: [id] }))
  await reach(ec2, [id], 'running')
  await end([id])
})

test('DescribeInstanceStatus says which guest answers no more', async () => {
  const ids = idsOf(await run(ec2, { ImageId: image, count: 2 }))
  await reach(ec2, ids, 'running')
  const [deaf = '', well = ''] = ids
  hostOf(deaf)?.roles.deafen(deaf)
  const statuses = async () => {
    const answer = await ec2.send(new DescribeInstanceStatusCommand({ InstanceIds: ids }))
    const found = (answer.InstanceStatuses ?? []).map((one): [string, string | undefined] => {
      assert.equal(one.SystemStatus?.Status, 'ok')
      return [one.InstanceId ?? '', one.InstanceStatus?.Status]
    })
    return new Map(found)
  }
  await until('one is impaired', async () => (await statuses()).get(deaf) === 'impaired')
  assert.equal((await statuses()).get(well), 'ok')
  await end(ids)
})

test('GetConsoleScreenshot and SendDiagnosticInterrupt reach guests on any host', async () => {
  const ids = idsOf(await run(ec2, { ImageId: image, count: 4 }))
  await reach(ec2, ids, 'running')
  for (const InstanceId of ids) {
    const { ImageData = '' } = await ec2.send(new GetConsoleScreenshotCommand({ InstanceId }))
    assert.equal(Buffer.from(ImageData, 'base64').subarray(6, 10).toString(), 'JFIF')
    await ec2.send(new SendDiagnosticInterruptCommand({ InstanceId }))
    assert.equal(hostOf(InstanceId)?.roles.interrupts(InstanceId), 1)
  }
  await end(ids)
})

async function end(ids: string[]): Promise<void> {
  await ec2.send(new TerminateInstancesCommand({ InstanceIds: ids }))
  await reach(ec2, ids, 'terminated')
}

function addresses({ PrivateIpAddress, Ipv6Address, NetworkInterfaces = [] }: Instance) {
  return [PrivateIpAddress, Ipv6Address, NetworkInterfaces.map((one) => one.MacAddress)]
}

function hostOf(id: string): RackHost | undefined {
  return [cc, node, other].find((host) => host.roles.statuses().some(({ key }) => key.endsWith(id)))
}

function statusOf(id: string) {
  for (const { body } of hostOf(id)?.roles.statuses() ?? []) {
    if (body.case === 'instance' && body.value.id === id) return body.value
  }
  return null
}
