// kill -9 of the gateway at any moment, while clients run instances: what was acknowledged is
// there, nothing was handed out twice, and the racks come back by themselves.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { type EC2Client, TerminateInstancesCommand } from '@aws-sdk/client-ec2'
import { chance, systemClock } from '../../common/clock.ts'
import type { View } from '../../gateway/store/state.ts'
import { until } from '../../sandbox/until.ts'
import { startCloud } from '../support/cloud.ts'
import { addTwoRacks, connected } from '../support/simulated-rack.ts'
import { describe, idsOf, makeImage, reach, run } from './support.ts'

const KILLS = 4
const CLIENTS = 4
/** Until a request is answered, and until racks are back, at the latest. */
const PATIENCE_MS = 30_000

const cloud = await startCloud({ after }, { child: true })
// A round over all addresses counts as one failure: thus they redial within seconds after many
// kills.
const others = [cloud, cloud, cloud]
const hosts = Object.values(await addTwoRacks(cloud, { vcpus: 400, others }))
const ec2 = cloud.ec2()
const image = await makeImage(cloud, ec2)

test('RunInstances with its client token answers the same after a restart of the gateway', async () => {
  const wish = { ImageId: image, ClientToken: 'before-and-after', count: 2 }
  const before = idsOf(await run(ec2, wish))
  await cloud.stop()
  await cloud.start()
  assert.deepEqual(idsOf(await run(ec2, wish)), before)
  await reach(ec2, before, 'running')
  await ec2.send(new TerminateInstancesCommand({ InstanceIds: before }))
  await reach(ec2, before, 'terminated')
})

test('kill -9 of the gateway loses no instance that a client was told of, and doubles none', async () => {
  const acknowledged = new Map<string, string>()
  let going = true
  const clients = Array.from({ length: CLIENTS }, async (_, client) => {
    for (let n = 0; going; n++) {
      const token = `client-${client}-${n}`
      acknowledged.set(token, await runStubbornly(ec2, token))
    }
  })
  for (let kills = 0; kills < KILLS; kills++) {
    const wanted = acknowledged.size + 2
    await until('clients make progress', () => acknowledged.size >= wanted)
    await systemClock.sleep(chance() * 100)
    await cloud.kill()
    await cloud.start()
  }
  going = false
  await Promise.all(clients)

  const ids = [...acknowledged.values()]
  assert.equal(new Set(ids).size, ids.length, 'two requests, two instances')
  await reach(ec2, ids, 'running', PATIENCE_MS)
  await connected(cloud, hosts)
  const alive = (await describe(ec2)).filter((one) => one.State?.Name !== 'terminated')
  assert.deepEqual(idsOf(alive).sort(), [...ids].sort(), 'no instance that nobody asked for')
  const onHosts = hosts.flatMap((host) =>
    host.roles.statuses().flatMap(({ body }) => (body.case === 'instance' ? [body.value.id] : [])),
  )
  assert.deepEqual(onHosts.sort(), [...ids].sort())

  await cloud.stop()
  await cloud.withState(async (state) => {
    assert.deepEqual(doubles(state.view()), [])
    assert.equal(state.view().all('interface').length, ids.length)
  })
})

/** Repeats one request until it is answered, as an SDK does; each client token is one instance. */
async function runStubbornly(client: EC2Client, token: string): Promise<string> {
  const endMs = systemClock.nowMs() + PATIENCE_MS
  for (;;) {
    try {
      const [id = ''] = idsOf(await run(client, { ImageId: image, ClientToken: token }))
      return id
    } catch (error) {
      if (systemClock.nowMs() > endMs) throw error
      await systemClock.sleep(20)
    }
  }
}

/** What two things have that only one may have. */
function doubles(view: View): string[] {
  const held = [
    ...view.all('interface').flatMap(({ mac, ipv4, ipv6 }) => [mac, ipv4, ipv6]),
    ...view.all('subnet').map((one) => `tag ${one.vlanTag}`),
    ...view.all('subnet').map((one) => `vni ${one.vni}`),
    ...view.all('subnet').flatMap((one) => [one.ipv4Cidr, one.ipv6Cidr]),
  ]
  return held.filter((value, i) => held.indexOf(value) !== i)
}
