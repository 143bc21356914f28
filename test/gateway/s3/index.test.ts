// What the index of objects promises, over both stores: versions as S3 has them, order, pages.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Versioning } from '../../../gateway/s3/index/objects.ts'
import { redisMaker, type StoreMaker, sqliteMaker } from '../store/stores.ts'
import {
  all,
  allVersions,
  BUCKET,
  type IndexGround,
  indexOver,
  large,
  plain,
  shown,
  small,
  versionsOf,
} from './index-support.ts'

for (const [name, makerOf] of [
  ['SQLite', sqliteMaker],
  ['Redis', redisMaker],
] as const) {
  describe(`index over ${name}`, () => {
    let maker: StoreMaker
    before(async () => {
      maker = await makerOf()
    })
    after(() => maker.stop())
    const fresh = async (): Promise<IndexGround> => indexOver(await maker.make({ keep: 1 }))

    test('an object is there with its bytes, then replaced, then gone', async () => {
      const { index, store } = await fresh()
      assert.equal(await index.read(BUCKET, 'a', null), null)
      const first = await index.put(small('a', 'one'), { versioning: 'off' })
      assert.equal(first.replaced, null)
      assert.equal(first.version.versionId, 'null')
      const read = await index.read(BUCKET, 'a', null)
      assert.deepEqual(read?.version, first.version)
      assert.equal(Buffer.from(read?.inline ?? []).toString(), 'one')
      const second = await index.put(large('a', 'two'), { versioning: 'off' })
      assert.equal(second.replaced?.etag, 'one')
      assert.deepEqual(await index.version(BUCKET, 'a', 'null'), second.version)
      const gone = await index.remove(BUCKET, 'a', plain('off'))
      assert.equal(gone.removed?.etag, 'two')
      assert.equal(gone.marker, null)
      assert.equal(await index.current(BUCKET, 'a'), null)
      assert.equal(await index.isEmpty(BUCKET), true)
      // What is left is the blob that somebody may still read.
      const rows = (await store.list('')).entries.map(({ key }) => key.split('/')[0])
      assert.deepEqual(rows, ['blob', 'garbage'])
    })

    test('versions are kept, the newest first, and a removed one brings back the one before', async () => {
      const { index, pass } = await fresh()
      const ids: string[] = []
      for (const etag of ['one', 'two', 'three']) {
        const { version, replaced } = await index.put(small('a', etag), { versioning: 'enabled' })
        assert.equal(replaced, null)
        ids.push(version.versionId)
      }
      pass(-60_000)
      const { marker } = await index.remove(BUCKET, 'a', plain('enabled'))
      assert.equal((await index.current(BUCKET, 'a'))?.isDeleteMarker, true)
      assert.deepEqual((await index.list(BUCKET, all())).entries, [])
      assert.deepEqual(await shown(index), ['a marker latest', 'a three', 'a two', 'a one'])
      assert.equal(await index.isEmpty(BUCKET), false)

      for (const [remove, current] of [
        [marker?.versionId, 'three'],
        [ids[2], 'two'],
        [ids[0], 'two'],
      ] as const) {
        const versionId = remove ?? ''
        const { removed } = await index.remove(BUCKET, 'a', { ...plain('enabled'), versionId })
        assert.equal(removed?.versionId, versionId)
        assert.equal((await index.current(BUCKET, 'a'))?.etag, current)
        assert.equal(await index.version(BUCKET, 'a', versionId), null)
      }
      assert.deepEqual(await shown(index), ['a two latest'])
      const { entries } = await index.list(BUCKET, all())
      assert.deepEqual(
        entries.map(({ versionId }) => versionId),
        [ids[1]],
      )
      const last = { ...plain('enabled'), versionId: ids[1] ?? '' }
      assert.equal((await index.remove(BUCKET, 'a', last)).removed?.etag, 'two')
      assert.equal((await index.remove(BUCKET, 'a', last)).removed, null)
      assert.equal(await index.isEmpty(BUCKET), true)
    })

    test('the null version is one, wherever it is', async () => {
      const { index } = await fresh()
      const put = async (etag: string, versioning: Versioning) =>
        (await index.put(small('a', etag), { versioning })).replaced?.etag ?? null
      assert.equal(await put('plain', 'off'), null)
      assert.equal(await put('first', 'enabled'), null)
      assert.deepEqual(await shown(index), ['a first latest', 'a plain null'])
      assert.equal(await put('second', 'suspended'), 'plain')
      assert.deepEqual(await shown(index), ['a second null latest', 'a first'])
      assert.equal(await put('third', 'suspended'), 'second')
      assert.equal(await put('fourth', 'enabled'), null)
      assert.deepEqual(await shown(index), ['a fourth latest', 'a third null', 'a first'])
      const covered = await index.remove(BUCKET, 'a', plain('suspended'))
      assert.equal(covered.removed?.etag, 'third')
      assert.equal(covered.marker?.versionId, 'null')
      assert.deepEqual(await shown(index), ['a marker null latest', 'a fourth', 'a first'])
      assert.equal(await put('fifth', 'suspended'), '')
      assert.deepEqual(await shown(index), ['a fifth null latest', 'a fourth', 'a first'])
      const removed = await index.remove(BUCKET, 'a', { ...plain('suspended'), versionId: 'null' })
      assert.equal(removed.removed?.etag, 'fifth')
      assert.deepEqual(await shown(index), ['a fourth latest', 'a first'])
      assert.equal(await index.version(BUCKET, 'a', 'null'), null)
      // In a bucket that never had versions: a delete leaves no marker, twice.
      await index.put(small('b', 'x'), { versioning: 'off' })
      for (const expected of ['x', undefined]) {
        const { removed: gone, marker } = await index.remove(BUCKET, 'b', plain('off'))
        assert.equal(gone?.etag, expected)
        assert.equal(marker, null)
      }
    })

    test('a delete of what is not there leaves a marker where versions are kept', async () => {
      const { index } = await fresh()
      const { removed, marker } = await index.remove(BUCKET, 'a', plain('enabled'))
      assert.equal(removed, null)
      assert.equal((await index.current(BUCKET, 'a'))?.versionId, marker?.versionId)
    })

    test('keys are bytes, in order of their UTF-8', async () => {
      const { index } = await fresh()
      const keys = [
        '\u0001',
        '\u0001\u0001',
        '\u0001\u0002',
        ' ',
        '..',
        '../a',
        '/',
        '//',
        'a',
        'a\u0001',
        'a\u0001\u0001',
        'a\u0001b',
        'a\u0002',
        'a/',
        'a//b',
        'a/b',
        'a0',
        'e\u0301',
        '\u00e9',
        '\ue000',
        '\uffff',
        '\u{10000}',
        '\u{10ffff}',
        '\u0001'.repeat(1024),
        'k'.repeat(1024),
        '\u{10ffff}'.repeat(256),
      ].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
      const shuffled = [...keys].reverse()
      for (const key of shuffled) await index.put(small(key, 'x'), { versioning: 'enabled' })
      const listed: string[] = []
      for (let more = true; more; ) {
        const page = await index.list(BUCKET, { prefix: '', after: listed.at(-1) ?? '', limit: 4 })
        listed.push(...page.entries.map(({ key }) => key))
        more = page.more
      }
      assert.deepEqual(listed, keys)
      const versions = await versionsOf(index, 3)
      assert.deepEqual(
        versions.map(({ key }) => key),
        keys,
      )
      assert.ok(versions.every(({ isLatest }) => isLatest))
      for (const prefix of ['a', 'a/', 'a\u0001', '\u0001', '\u{10ffff}', 'nothing']) {
        const want = keys.filter((key) => key.startsWith(prefix))
        const { entries } = await index.list(BUCKET, { ...all(), prefix })
        assert.deepEqual(
          entries.map(({ key }) => key),
          want,
        )
        const found = await index.listVersions(BUCKET, { ...allVersions(), prefix })
        assert.deepEqual(
          found.entries.map(({ key }) => key),
          want,
        )
      }
      for (const key of ['', 'a\0b', '\ud800', 'k'.repeat(1025), 'é'.repeat(513)]) {
        await assert.rejects(index.put(small(key, 'x'), { versioning: 'off' }), /key of an object/)
      }
    })

    test('all pages of versions are all versions, also of keys older than versioning', async () => {
      const { index } = await fresh()
      const want: string[] = []
      for (const key of ['a', 'b', 'c', 'd', 'e']) {
        const etags: string[] = []
        const put = async (etag: string, versioning: Versioning) => {
          await index.put(small(key, etag), { versioning })
          etags.unshift(`${key} ${etag}`)
        }
        if (key !== 'b') await put('plain', 'off')
        if (key < 'd') for (const etag of ['1', '2', '3']) await put(etag, 'enabled')
        want.push(...etags)
      }
      for (const limit of [1, 2, 3, 4, 100]) {
        const versions = await versionsOf(index, limit)
        assert.deepEqual(
          versions.map(({ key, etag }) => `${key} ${etag}`),
          want,
          `by ${limit}`,
        )
        const latest = versions.filter(({ isLatest }) => isLatest).map(({ etag }) => etag)
        assert.deepEqual(latest, ['3', '3', '3', 'plain', 'plain'], `by ${limit}`)
      }
      const rest = await index.listVersions(BUCKET, { ...allVersions(), afterKey: 'c' })
      assert.deepEqual(
        rest.entries.map(({ key }) => key),
        ['d', 'e'],
      )
    })

    test('tags change and nothing else does', async () => {
      const { index } = await fresh()
      const { version } = await index.put(small('a', 'x'), { versioning: 'enabled' })
      const tags = { colour: 'red' }
      const amended = await index.amend(BUCKET, 'a', null, (one) => ({ ...one, tags, key: 'b' }))
      assert.deepEqual(amended?.tags, tags)
      assert.deepEqual(await index.current(BUCKET, 'a'), { ...version, tags })
      assert.deepEqual(await index.version(BUCKET, 'a', version.versionId), { ...version, tags })
      assert.equal(await index.amend(BUCKET, 'none', null, (one) => one), null)
    })

    test('a bucket is retired when it is empty, and takes nothing afterwards', async () => {
      const { index, pass } = await fresh()
      await index.put(small('a', 'x'), { versioning: 'off' })
      assert.equal(await index.retire(BUCKET), false)
      await index.put(small('a', 'y'), { versioning: 'off' })
      await index.remove(BUCKET, 'a', plain('off'))
      const { uploadId } = await index.uploads.create(small('u', ''))
      assert.equal(await index.retire(BUCKET), true)
      assert.equal(await index.uploads.get(BUCKET, 'u', uploadId), null)
      pass(24 * 60 * 60_000)
      await assert.rejects(index.put(small('a', 'z'), { versioning: 'off' }), /being deleted/)
      assert.equal(await index.retire(BUCKET), true)
      await index.reopen(BUCKET)
      await index.put(small('a', 'z'), { versioning: 'off' })
    })
  })
}
