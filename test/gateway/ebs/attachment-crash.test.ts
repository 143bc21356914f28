// The gateway dies before or after each of its commits while a volume is attached, detached, forced
// off and given back by an instance that ends: the next one goes on, nobody writes beside another,
// and no generation comes twice.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { silentLog } from '../../../common/log.ts'
import { tendAttachments } from '../../../gateway/control/attachment-housekeeping.ts'
import { isTold, writersOf } from '../../../gateway/ebs/attachment-life.ts'
import { openRedis } from '../../../gateway/store/redis.ts'
import { openSqlite } from '../../../gateway/store/sqlite.ts'
import { startRedis } from '../../support/redis.ts'
import { outcome } from '../ec2/race-support.ts'
import { openCloud } from '../ec2/support.ts'
import { fileImages, inImage } from '../store/file-images.ts'
import { openGround } from './attachment-ground.ts'
import { type Death, liveAndDie, mortalStore } from './mortal.ts'

/** Of one life: an attachment and a detachment, each of its own and by two reports. */
const FEWEST_COMMITS = 6
const MOST_COMMITS = 40

type Ground = Awaited<ReturnType<typeof openGround>>

/** What a user and the hosts do; each step may be done again, and is then no news. */
const LIFE: readonly ((ground: Ground) => Promise<unknown>)[] = [
  async ({ attach, volume }) => {
    const code = await outcome(attach())
    // Its answer was lost: who asks again hears of his own.
    if (code === 'VolumeInUse') assert.equal((await volume())?.attachments.length, 1)
    else assert.equal(code, 'accepted')
  },
  ({ step }) => step('a0'),
  ({ step, hostOf, first }) => step(hostOf(first)),
  ({ call, VolumeId, volume }) => detach({ call, VolumeId, volume }, false),
  ({ step, hostOf, first }) => step(hostOf(first)),
  ({ step }) => step('a0'),
  ({ attach }) => outcome(attach()),
  ({ step }) => step('a0'),
  ({ call, VolumeId, volume }) => detach({ call, VolumeId, volume }, true),
  ({ step }) => step('a0'),
]

async function detach(
  { call, VolumeId, volume }: Pick<Ground, 'call' | 'VolumeId' | 'volume'>,
  Force: boolean,
): Promise<void> {
  const code = await outcome(call('DetachVolume', { VolumeId, Force }))
  if (code === 'IncorrectState') assert.deepEqual((await volume())?.attachments, [])
  else assert.equal(code, 'accepted')
}

async function check({ volume }: Ground, generations: Map<number, string>): Promise<void> {
  const record = await volume()
  assert.ok(record)
  assert.ok(writersOf(record).length <= 1)
  for (const one of record.attachments) {
    const { id, generation, granted } = one
    assert.equal(generations.get(generation) ?? id, id, `generation ${generation} came twice`)
    generations.set(generation, id)
    assert.ok(granted || !isTold(one))
  }
  assert.deepEqual(record.instances, [...new Set(record.attachments.map((one) => one.instance))])
}

const redis = await startRedis()
after(() => redis.stop())

for (const [kind, open] of [
  ['SQLite', (file: string) => openSqlite({ file, log: silentLog })],
  ['Redis', () => openRedis({ url: redis.url, namespace: 'attachments', log: silentLog })],
] as const) {
  test(`a gateway over ${kind} that dies at any commit of a life of attachments`, async (t) => {
    let death: Death | null = null
    const openStore = async (file: string) => mortalStore(await open(file), () => death)
    const ground = await openGround(t, (of) => openCloud(of, { openStore }))
    const { cloud, racks, volume } = ground
    const generations = new Map<number, string>()
    const set = (next: Death | null) => {
      death = next
    }
    const deaths = await liveAndDie(MOST_COMMITS, set, {
      acts: LIFE.map((act) => () => act(ground)),
      check: () => check(ground, generations),
      restart: async () => {
        await cloud.restart()
        await check(ground, generations)
        await tendAttachments({ state: cloud.state, log: silentLog })
      },
      over: async (where) => {
        await racks.settle()
        assert.deepEqual((await volume())?.attachments, [], where)
      },
    })
    assert.ok(deaths >= 2 * FEWEST_COMMITS, `${deaths}`)
  })
}

test('a kill at any write of SQLite leaves an attachment as it was, or as it shall be', async (t) => {
  const ground = await openGround(t)
  const { cloud, VolumeId, volume } = ground
  const images = await fileImages(t, cloud.file)
  const turns: { readonly end: number; readonly now: string }[] = []
  for (const step of LIFE) {
    await step(ground)
    images.take()
    turns.push({ end: images.taken.length, now: JSON.stringify(await volume()) })
  }
  images.end()
  let [begin, before] = [0, '']
  for (const [i, { end, now }] of turns.entries()) {
    const seen: string[] = []
    for (const image of images.taken.slice(begin, end)) {
      seen.push(await inImage(image, (view) => JSON.stringify(view.get('volume', VolumeId))))
    }
    const turn = seen.indexOf(now)
    assert.ok(turn >= 0 && seen.length > 1, `step ${i}: ${seen.length} images`)
    before ||= seen[0] ?? ''
    for (const [n, one] of seen.entries()) {
      assert.equal(one, n < turn ? before : now, `step ${i}, image ${n} of ${seen.length}`)
    }
    ;[begin, before] = [end, now]
  }
})
