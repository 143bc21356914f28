// The gateway dies between any two writes of a move of an elastic IP: the next one finds the
// address at the old place or at the new one, never at both or at none, and so do the racks.

import assert from 'node:assert/strict'
import { after, type TestContext, test } from 'node:test'
import { silentLog } from '../../../common/log.ts'
import { rackDesired } from '../../../gateway/control/desired.ts'
import { openRedis } from '../../../gateway/store/redis.ts'
import { openSqlite } from '../../../gateway/store/sqlite.ts'
import type { View } from '../../../gateway/store/state.ts'
import type { Store } from '../../../gateway/store/store.ts'
import { startRedis } from '../../support/redis.ts'
import { SECRETS } from '../control/records.ts'
import { fileImages, inImage } from '../store/file-images.ts'
import { storeWith } from '../store/store-with.ts'
import { addPublicPool } from './network-support.ts'
import { ACCOUNT, type Cloud, openCloud, registerImage, run, setHost } from './support.ts'

const [FIRST, SECOND] = ['203.0.113.1', '203.0.113.2']
/** What no step writes fewer of: the record of the address, twice, and its rows of the log. */
const FEWEST_WRITES = 4

interface Ground {
  readonly cloud: Cloud
  /** Allocations. */
  readonly first: string
  readonly second: string
  /** An instance in each of the racks a and b. */
  readonly a: string
  readonly b: string
}

interface Step {
  readonly name: string
  readonly run: (ground: Ground) => Promise<unknown>
  /** Where both addresses are afterwards: a rack, '' for nowhere, null when released. */
  readonly places: Places
}

type Places = readonly [first: string | null, second: string | null]

const STEPS: readonly Step[] = [
  {
    name: 'an association in rack a',
    run: ({ cloud, first, a }) =>
      cloud.call('AssociateAddress', { AllocationId: first, InstanceId: a }),
    places: ['a', ''],
  },
  {
    name: 'a move to rack b',
    run: ({ cloud, first, b }) =>
      cloud.call('AssociateAddress', {
        ...{ AllocationId: first, InstanceId: b },
        AllowReassociation: true,
      }),
    places: ['b', ''],
  },
  {
    name: 'a second address in the place of the first one',
    run: ({ cloud, second, b }) =>
      cloud.call('AssociateAddress', { AllocationId: second, InstanceId: b }),
    places: ['', 'b'],
  },
  {
    name: 'a disassociation',
    run: ({ cloud }) => cloud.call('DisassociateAddress', { PublicIp: SECOND }),
    places: ['', ''],
  },
  {
    name: 'a release',
    run: ({ cloud, first }) => cloud.call('ReleaseAddress', { AllocationId: first }),
    places: [null, ''],
  },
]
const START: Places = ['', '']

async function openGround(
  t: TestContext,
  openStore?: (file: string) => Promise<Store>,
): Promise<Ground> {
  const cloud = await openCloud(t, openStore === undefined ? {} : { openStore })
  await addPublicPool(cloud.state, { cidr: '203.0.113.0/29' })
  for (const rack of ['a', 'b']) {
    // A CC that has a key does the rack's work.
    await setHost(cloud.state, rack, `${rack}0`, { wireguardPublicKey: rack })
  }
  const view = await cloud.state.fresh()
  const ImageId = await registerImage(cloud)
  const runIn = async (rack: string): Promise<string> => {
    const subnet = view.subnetsOf('account', ACCOUNT).find((one) => one.rack === rack)
    assert.ok(subnet)
    const [id = ''] = await run(cloud, { ImageId, SubnetId: subnet.id })
    return id
  }
  const [a, b] = [await runIn('a'), await runIn('b')]
  const allocate = async (Address: string): Promise<string> =>
    (await cloud.call('AllocateAddress', { Address })).AllocationId ?? ''
  const first = await allocate(FIRST)
  const second = await allocate(SECOND)
  return { cloud, first, second, a, b }
}

/** Where both addresses are; everything that says so must say the same. */
function placesIn(view: View, { first, second }: Ground): Places {
  return [placeOf(view, first, FIRST), placeOf(view, second, SECOND)]
}

function placeOf(view: View, id: string, publicIp: string): string | null {
  const address = view.get('address', id)
  const holders = view.all('private-address').filter((one) => one.publicAddress === id)
  const racks = ['a', 'b'].filter((rack) =>
    rackDesired(view, { rack, host: `${rack}0` }, SECRETS).has(`elastic/${id}`),
  )
  const held = view.get('public-address', publicIp)?.allocation ?? ''
  if (address === null) {
    assert.deepEqual({ holders, racks, held }, { holders: [], racks: [], held: '' })
    return null
  }
  assert.equal(held, id)
  const { association, interface: at, privateIp } = address
  const parts = [association, at, privateIp].filter((part) => part !== '')
  assert.ok(parts.length === 0 || parts.length === 3, 'a whole association or none')
  assert.deepEqual(
    holders.map((one) => [one.interface, one.address]),
    association === '' ? [] : [[at, privateIp]],
  )
  const rack = view.get('interface', at)?.rack
  assert.deepEqual(racks, rack === undefined ? [] : [rack])
  return rack ?? ''
}

test('a kill at any write of SQLite leaves every elastic IP at its old place or its new one', async (t) => {
  const ground = await openGround(t)
  const images = await fileImages(t, ground.cloud.file)
  const ends: number[] = []
  for (const step of STEPS) {
    await step.run(ground)
    images.take()
    ends.push(images.taken.length)
  }
  images.end()

  let before = START
  let begin = 0
  for (const [i, { name, places }] of STEPS.entries()) {
    const seen: Places[] = []
    for (const image of images.taken.slice(begin, ends[i])) {
      seen.push(await inImage(image, (view) => placesIn(view, ground)))
    }
    assert.ok(seen.length > FEWEST_WRITES, `${name}: ${seen.length} images`)
    const turn = seen.findIndex((one) => JSON.stringify(one) === JSON.stringify(places))
    assert.ok(turn > 0, `${name}: first as it was, then as it shall be`)
    for (const [n, one] of seen.entries()) {
      assert.deepEqual(one, n < turn ? before : places, `${name}, image ${n} of ${seen.length}`)
    }
    before = places
    begin = ends[i] ?? 0
  }
})

const redis = await startRedis()
after(() => redis.stop())

for (const [kind, open] of [
  ['SQLite', (file: string) => openSqlite({ file, log: silentLog })],
  ['Redis', () => openRedis({ url: redis.url, namespace: 'crash', log: silentLog })],
] as const) {
  test(`a gateway over ${kind} that dies before or after a commit leaves elastic IPs whole`, async (t) => {
    let dies: 'before' | 'after' | null = null
    const ground = await openGround(t, async (file) => mortal(await open(file), () => dies))
    const { cloud } = ground
    let now = START
    for (const { name, run: take, places } of STEPS) {
      for (const [when, want] of [
        ['before', now],
        ['after', places],
      ] as const) {
        dies = when
        await assert.rejects(take(ground), /the gateway is dead/, name)
        dies = null
        await cloud.restart()
        assert.deepEqual(placesIn(cloud.state.view(), ground), want, `${name}, dead ${when}`)
      }
      now = places
    }
    const { Addresses } = await cloud.call('DescribeAddresses', {})
    assert.deepEqual(
      Addresses?.map((one) => one.PublicIp),
      [SECOND],
    )
  })
}

/** Whose commits are not answered any more from the moment that `dies` says so. */
function mortal(store: Store, dies: () => 'before' | 'after' | null): Store {
  const dead = new Error('the gateway is dead')
  return storeWith(store, {
    txn: async (when, then) => {
      if (dies() === 'before') throw dead
      const result = await store.txn(when, then)
      if (dies() === 'after') throw dead
      return result
    },
  })
}
