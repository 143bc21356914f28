// NAT gateways of a simulated rack: available when the rack's CC has them on its disk.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import {
  CreateNatGatewayCommand,
  DeleteNatGatewayCommand,
  DescribeSubnetsCommand,
} from '@aws-sdk/client-ec2'
import { until } from '../../sandbox/until.ts'
import { lastFirst, startCloud } from '../support/cloud.ts'
import { addHost, connected } from '../support/simulated-rack.ts'
import { keeps, natState } from './support.ts'

const end = lastFirst({ after })
const cloud = await startCloud(end)
const cc = await addHost(cloud, { rack: 'a', host: 'a-cc', roles: ['cc'] })
await connected(cloud, [cc])
const ec2 = cloud.ec2()
let subnet: string | undefined
await until('the rack has its default subnet', async () => {
  subnet = (await ec2.send(new DescribeSubnetsCommand())).Subnets?.[0]?.SubnetId
  return subnet !== undefined
})

async function create(): Promise<string> {
  const input = { SubnetId: subnet, ConnectivityType: 'private' } as const
  const { NatGateway } = await ec2.send(new CreateNatGatewayCommand(input))
  assert.equal(NatGateway?.State, 'pending')
  return NatGateway.NatGatewayId ?? ''
}

async function reach(id: string, state: string): Promise<void> {
  await until(`${id} is ${state}`, async () => (await natState(ec2, id)) === state)
}

test('a NAT gateway is on the disk of its CC when it is available', async () => {
  const id = await create()
  await reach(id, 'available')
  assert.ok(keeps(cc, `nat/${id}`))
})

test('a NAT gateway waits for a CC that is away, also through a restart of the gateway', async () => {
  await cc.stop()
  const id = await create()
  for (const again of [false, true]) {
    if (again) {
      await cloud.stop()
      await cloud.start()
    }
    const other = await create()
    await ec2.send(new DeleteNatGatewayCommand({ NatGatewayId: other }))
    // What ended this one has looked at the first one, too.
    await reach(other, 'deleted')
    assert.equal(await natState(ec2, id), 'pending')
  }
  await cc.start()
  await reach(id, 'available')
  assert.ok(keeps(cc, `nat/${id}`))
})
