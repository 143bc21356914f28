// Two gateways over one Redis: each holds the sessions of some racks, both answer for all of them.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import {
  AttachVolumeCommand,
  CreateNatGatewayCommand,
  CreateVolumeCommand,
  DeleteVolumeCommand,
  DescribeSubnetsCommand,
  DescribeVolumesCommand,
  DetachVolumeCommand,
  type EC2Client,
  EnableSerialConsoleAccessCommand,
  GetConsoleOutputCommand,
  GetSerialConsoleAccessStatusCommand,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2'
import { until } from '../../sandbox/until.ts'
import { lastFirst, startCloud, startSecondGateway } from '../support/cloud.ts'
import { startRedis } from '../support/redis.ts'
import { serialUser, serialWish } from '../support/serial-client.ts'
import { addHost, connected } from '../support/simulated-rack.ts'
import { describe, idsOf, keeps, makeImage, natState, reach, run } from './support.ts'

const end = lastFirst({ after })
const redis = await startRedis()
end.after(() => redis.stop())
const first = await startCloud(end, { store: redis.url })
const second = await startSecondGateway(end, first)
// Each rack knows both gateways and dials its own one first.
const a = await addHost(first, {
  rack: 'a',
  host: 'a-cc',
  roles: ['cc', 'nc', 'sc'],
  others: [second],
})
const b = await addHost(second, { rack: 'b', host: 'b-cc', roles: ['cc', 'nc'], others: [first] })
await connected(first, [a, b])
const [ec2, otherEc2] = [first.ec2(), second.ec2()]
const image = await makeImage(first, ec2)
let ids: string[] = []

test('instances that one gateway runs are seen at the other one at once', async () => {
  ids = idsOf(await run(ec2, { ImageId: image, count: 4 }))
  assert.deepEqual(idsOf(await describe(otherEc2, ids)).sort(), [...ids].sort())
  await reach(otherEc2, ids, 'running')
  assert.deepEqual(
    [a, b].map((host) => host.roles.statuses().filter(isInstance).length),
    [2, 2],
  )
})

test('GetConsoleOutput reaches racks whose session is at the other gateway', async () => {
  for (const client of [ec2, otherEc2]) {
    for (const id of ids) {
      const { Output = '' } = await client.send(new GetConsoleOutputCommand({ InstanceId: id }))
      assert.match(Buffer.from(Output, 'base64').toString(), new RegExp(`^simulated guest ${id} `))
    }
  }
})

test('a serial console opens at either gateway, whichever has the session of the rack', async () => {
  await ec2.send(new EnableSerialConsoleAccessCommand())
  await until('both know', async () => {
    const { SerialConsoleAccessEnabled } = await otherEc2.send(
      new GetSerialConsoleAccessStatusCommand(),
    )
    return SerialConsoleAccessEnabled === true
  })
  for (const cloud of [first, second]) {
    for (const [n, instance] of ids.entries()) {
      const user = await serialUser(serialWish(cloud, { instance }))
      const text = `${n}`.repeat(300_000)
      user.send(text.slice(0, 60_000))
      for (let at = 60_000; at < text.length; at += 60_000) user.send(text.slice(at, at + 60_000))
      await until('all came back', () => user.heard().length === text.length)
      assert.equal(user.heard() === text, true)
      user.socket.close()
      await user.closed
    }
  }
})

test('concurrent RunInstances at both gateways double nothing', async () => {
  const clients = [ec2, otherEc2, ec2, otherEc2, ec2, otherEc2]
  const made = await Promise.all(clients.map((client) => run(client, { ImageId: image, count: 3 })))
  const instances = made.flat()
  for (const field of ['InstanceId', 'PrivateIpAddress', 'Ipv6Address'] as const) {
    assert.equal(new Set(instances.map((one) => one[field])).size, 18, field)
  }
  const token = { ImageId: image, ClientToken: 'at-both' }
  const same = await Promise.all(clients.map((client) => run(client, token)))
  assert.equal(new Set(same.flatMap(idsOf)).size, 1)
  const all = [...idsOf(instances), ...idsOf(same[0] ?? [])]
  await reach(ec2, all, 'running')
  await otherEc2.send(new TerminateInstancesCommand({ InstanceIds: all }))
  await reach(ec2, all, 'terminated')
})

test('a volume that both gateways attach at once is attached to one instance', async () => {
  const inA = a.roles
    .statuses()
    .filter(isInstance)
    .map(({ key }) => key.replace('instance/', ''))
  const zone = { AvailabilityZone: 'mallee-1-a', Size: 1 }
  const { VolumeId = '' } = await otherEc2.send(new CreateVolumeCommand(zone))
  const [one = '', two = ''] = ids.filter((id) => inA.includes(id))
  await volumeIs(ec2, VolumeId, ['available'])
  const attach = async (client: EC2Client, InstanceId: string): Promise<string> => {
    const asked = client.send(new AttachVolumeCommand({ VolumeId, InstanceId, Device: '/dev/sdf' }))
    return await asked.then(
      () => InstanceId,
      (error: Error) => error.name,
    )
  }
  for (let round = 0; round < 3; round += 1) {
    const answers = await Promise.all([attach(ec2, one), attach(otherEc2, two)])
    const [winner = '', ...more] = answers.filter((answer) => answer !== 'VolumeInUse')
    assert.deepEqual(more, [])
    assert.ok([one, two].includes(winner), winner)
    await volumeIs(otherEc2, VolumeId, ['in-use', winner, 'attached'])
    await otherEc2.send(new DetachVolumeCommand({ VolumeId }))
    await volumeIs(ec2, VolumeId, ['available'])
  }
  await ec2.send(new DeleteVolumeCommand({ VolumeId }))
  await volumeIs(otherEc2, VolumeId, [])
})

test('a NAT gateway that one gateway makes waits for its CC at the other one', async () => {
  await b.stop()
  const { Subnets = [] } = await ec2.send(new DescribeSubnetsCommand())
  const createIn = async (zone: string): Promise<string> => {
    const SubnetId = Subnets.find((one) => one.AvailabilityZone === zone)?.SubnetId
    const input = { SubnetId, ConnectivityType: 'private' } as const
    const { NatGateway } = await ec2.send(new CreateNatGatewayCommand(input))
    return NatGateway?.NatGatewayId ?? ''
  }
  const [inB, inA] = [await createIn('mallee-1-b'), await createIn('mallee-1-a')]
  const isAvailable = async (id: string): Promise<boolean> => {
    const states = await Promise.all([ec2, otherEc2].map((client) => natState(client, id)))
    return states.every((one) => one === 'available')
  }
  await until('the one whose CC is there is available at both', () => isAvailable(inA))
  assert.equal(await natState(ec2, inB), 'pending')
  await b.start()
  await until('the one whose CC came back is available at both', () => isAvailable(inB))
  assert.ok(keeps(b, `nat/${inB}`))
})

test('when a gateway is killed, its racks go on at the other one', async () => {
  await second.kill()
  // What the agent last wrote of itself may be from before it noticed: only an answer tells.
  const answers = async (): Promise<boolean> => {
    const asked = ids.map((id) => ec2.send(new GetConsoleOutputCommand({ InstanceId: id })))
    return (await Promise.allSettled(asked)).every(({ status }) => status === 'fulfilled')
  }
  await until('all racks answer at the gateway that is left', answers, { timeoutMs: 60_000 })
  const inB = { ImageId: image, Placement: { AvailabilityZone: 'mallee-1-b' } }
  const [id = ''] = idsOf(await run(ec2, inB))
  await reach(ec2, [id], 'running')
  const { Output = '' } = await ec2.send(new GetConsoleOutputCommand({ InstanceId: id }))
  assert.match(Buffer.from(Output, 'base64').toString(), /on b-cc since/)
  await reach(ec2, ids, 'running')
})

/** Its state, and who has it in which state. */
async function volumeIs(client: EC2Client, id: string, want: readonly string[]): Promise<void> {
  const Filters = [{ Name: 'volume-id', Values: [id] }]
  await until(`${id} is ${want}`, async () => {
    const { Volumes = [] } = await client.send(new DescribeVolumesCommand({ Filters }))
    const seen = Volumes.flatMap(({ State, Attachments = [] }) => [
      State,
      ...Attachments.flatMap((one) => [one.InstanceId, one.State]),
    ])
    return seen.join() === want.join()
  })
}

function isInstance({ key }: { key: string }): boolean {
  return key.startsWith('instance/')
}
