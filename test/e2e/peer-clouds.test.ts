// Two clouds of different owners in one world, with overlapping plans: they agree by the real
// commands and nothing else, and either ends it alone.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { silentLog } from '../../common/log.ts'
import { type OtherCloud, startOtherCloud } from '../../sandbox/other-cloud.ts'
import { type OtherPlan, SANDBOX_PLAN } from '../../sandbox/plan.ts'
import { until } from '../../sandbox/until.ts'
import { startWorld, type World } from '../../sandbox/world.ts'

interface Peer {
  readonly name: string
  readonly state: string
  readonly trouble: string | null
}

const WEST: OtherPlan = {
  ...{ name: 'west', region: 'au-west-1', apiPort: 0, site: 100 },
  racks: [
    {
      ...{ name: 'a', joinsOver: 'ipv6' },
      hosts: [{ name: 'west-a1', roles: ['cc', 'nc'], capacity: '2,1024,8' }],
    },
  ],
}

let world: World
let west: OtherCloud
const progress = (line: string): void => console.error(line)

before(async () => {
  const racks = [
    {
      ...{ name: 'a', joinsOver: 'ipv4' as const },
      hosts: [{ name: 'a1', roles: ['cc', 'nc'] as const, capacity: '2,1024,8' }] as const,
    },
  ]
  const plan = { ...SANDBOX_PLAN, world: 'peers', apiPort: 0, adminPort: 0, racks }
  world = await startWorld(plan, { log: silentLog, progress })
  west = await startOtherCloud(world, WEST, { log: silentLog, progress })
})

after(async () => {
  await west?.stop()
  await world?.stop()
})

async function peer(of: Pick<World, 'gateway'>, name: string): Promise<Peer> {
  return (await of.gateway.mallee(['peer', 'show', name])) as Peer
}

test('two owners agree by an invitation, over the internet between them', async () => {
  const invited = await world.gateway.mallee(['peer', 'invite', 'west', '--bandwidth', '500'])
  const { invitation } = invited as { invitation: string }
  const accepted = await west.gateway.mallee(['peer', 'accept', invitation, '--yes'])
  assert.equal((accepted as Peer).name, 'peers')
  await until('both are well', async () => {
    const both = [await peer(world, 'west'), await peer(west, 'peers')]
    return both.every(({ state, trouble }) => state === 'active' && trouble === null)
  })
  for (const [of, name] of [
    [world, 'west'],
    [west, 'peers'],
  ] as const) {
    const check = await of.gateway.mallee(['peer', 'audit', name, '--verify'])
    assert.equal((check as { difference: unknown }).difference, null)
  }
})

test('a gateway that was killed goes on, and one side suspends alone', async () => {
  await world.gateway.stop('SIGKILL')
  const suspended = (await west.gateway.mallee(['peer', 'suspend', 'peers'])) as Peer
  assert.equal(suspended.state, 'suspended')
  await world.gateway.start()
  await until('the other knows', async () => {
    return (await peer(world, 'west')).state === 'suspended-there'
  })
  await west.gateway.mallee(['peer', 'resume', 'peers'])
  await until('both are open', async () => (await peer(world, 'west')).state === 'active')
})

test('removing it at one side leaves nothing there, and the other knows', async () => {
  const removed = await world.gateway.mallee(['peer', 'remove', 'west', '--yes'])
  assert.equal((removed as { isTold: boolean }).isTold, true)
  assert.deepEqual(await world.gateway.mallee(['peer', 'list']), { peers: [] })
  assert.equal((await peer(west, 'peers')).state, 'ended-there')
})
