// Image files that go again: not while there is an image of them, and never one that comes back.

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { CHUNK_BYTES, isChunk, parseChunkList } from '../../common/chunk-list.ts'
import { randomHex } from '../../common/clock.ts'
import { silentLog } from '../../common/log.ts'
import { forgetBlob, makeChunkList, takeBlob } from '../../gateway/blobs.ts'
import { startChunkLists } from '../../gateway/chunk-lists.ts'
import { imageAt } from '../../gateway/control/desired-rack.ts'
import { gatewayBlobs } from '../../gateway/federation/blobs.ts'
import { removeImageFile } from '../../gateway/image-files.ts'
import { until } from '../../sandbox/until.ts'
import { openRaceCloud } from './ec2/race-support.ts'
import { DIGEST, openCloud, registerImage, report, run } from './ec2/support.ts'
import { localApi } from './local/support.ts'

async function folder(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'mallee-files-'))
  t.after(() => rm(dir, { recursive: true }))
  await mkdir(dir, { recursive: true })
  await writeFile(join(dir, DIGEST), 'bytes')
  return dir
}

test('a file goes when its image is deregistered and nothing runs from it', async (t) => {
  const blobsDir = await folder(t)
  const cloud = await openCloud(t, { racks: ['a'] })
  const { call } = localApi(t, cloud, { blobsDir })
  const remove = () => call('DELETE', `/v1/blobs/${DIGEST}`)
  const ImageId = await registerImage(cloud)
  const [id = ''] = await run(cloud, { ImageId })
  const used = await remove()
  assert.deepEqual([used.status, used.body['code']], [409, 'Conflict'])
  assert.match(
    String(used.body['message']),
    new RegExp(`^${ImageId} is made .*deregister it first`),
  )
  await cloud.call('DeregisterImage', { ImageId })
  assert.match(String((await remove()).body['message']), /instances have it still$/)
  assert.deepEqual(await readdir(blobsDir), [DIGEST])
  await report(cloud.state, id, 'terminated')
  await cloud.state.update((tx) => tx.delete('image', ImageId))
  const { status, body } = await remove()
  assert.deepEqual([status, body['names']], [200, ['debian.qcow2']])
  assert.deepEqual(await readdir(blobsDir), [])
  const gone = await remove()
  assert.deepEqual([gone.status, gone.body['code']], [404, 'NotFound'])
  assert.equal((await call('DELETE', '/v1/blobs/debian')).status, 400)
})

test('of an image that is made and its file that goes at once only one happens', async (t) => {
  for (const imageFirst of [true, false]) {
    const blobsDir = await folder(t)
    const { cloud, other, race } = await openRaceCloud(t, { racks: ['a'] })
    const parts = { state: cloud.state, randomHex, blobsDir }
    const register = () =>
      other('RegisterImage', { Name: 'debian', ImageLocation: `sha256:${DIGEST}` })
    const own = () =>
      cloud.call('RegisterImage', { Name: 'debian', ImageLocation: `sha256:${DIGEST}` })
    const remove = () => removeImageFile(parts, DIGEST)
    const codes = await (imageFirst ? race(own, remove) : race(remove, register))
    const view = await cloud.state.fresh()
    const images = view.all('image').length
    assert.equal(view.get('blob', DIGEST) !== null, images > 0, codes.join())
    assert.equal((await readdir(blobsDir)).length, images, codes.join())
  }
})

test('a file comes with its chunk list, of which its record has the digest', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'mallee-files-'))
  t.after(() => rm(dir, { recursive: true }))
  const bytes = Buffer.concat([randomBytes(CHUNK_BYTES + 512), Buffer.alloc(2 * CHUNK_BYTES)])
  const about = { nowMs: 0, unique: 'x' }
  const pieces = async function* () {
    yield bytes.subarray(0, 777)
    yield bytes.subarray(777)
  }
  const { sha256, chunkListSha256 } = await takeBlob(dir, 'debian', pieces(), about)
  const files = gatewayBlobs(dir)
  const ref = { sha256, listSha256: chunkListSha256 }
  const list = parseChunkList((await files.chunkList(ref)) ?? Buffer.alloc(0))
  assert.deepEqual([list.sha256, list.count], [chunkListSha256, 4])
  const { signal } = new AbortController()
  for (let index = 0; index < list.count; index++) {
    const chunk = (await files.chunk(ref, index, signal)) ?? Buffer.alloc(0)
    assert.ok(isChunk(list, index, chunk), `chunk ${index}`)
  }
  assert.equal(await files.chunk({ ...ref, sha256: DIGEST }, 0, signal), null)
  assert.equal(await files.chunkList({ ...ref, sha256: DIGEST }), null)
  const none = async function* (): AsyncGenerator<Uint8Array> {}
  await assert.rejects(takeBlob(dir, 'none', none(), about), { code: 'BadArgument' })
  await forgetBlob(dir, sha256, { unique: 'x', isBack: async () => false })
  assert.deepEqual(await readdir(dir), [])
})

test('a file of an older gateway gets its list afterwards, once, and hosts hear of it', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'mallee-files-'))
  t.after(() => rm(dir, { recursive: true }))
  const cloud = await openCloud(t, { racks: ['a'] })
  const bytes = randomBytes(CHUNK_BYTES + 512)
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  await writeFile(join(dir, sha256), bytes)
  const names = ['old']
  const about = { sha256, names, sizeBytes: bytes.length, virtualSizeBytes: bytes.length }
  await cloud.state.update(async (tx) => {
    await tx.put('blob', [sha256], { ...about, format: 'raw', createdAtMs: 0 })
  })
  const registered = await cloud.call('RegisterImage', { Name: 'old', ImageLocation: 'old' })
  const id = String(registered['ImageId'])
  const told = () => {
    const { body } = imageAt(cloud.state.view(), id) ?? {}
    return body?.case === 'image' ? body.value.chunkListSha256 : null
  }
  assert.equal(told(), '')
  const parts = { state: cloud.state, blobsDir: dir, log: silentLog }
  const end = startChunkLists(parts)
  await until('the list is told', () => told() !== '')
  await end()
  const listed = (await gatewayBlobs(dir).chunkList({ sha256, listSha256: '' })) ?? Buffer.alloc(0)
  assert.equal(parseChunkList(listed).sha256, told())
  // Neither the files of other gateways nor what is spoilt get one.
  await writeFile(join(dir, sha256), 'spoilt')
  const { signal } = new AbortController()
  assert.equal(await makeChunkList(dir, sha256, signal), null)
  assert.equal(await makeChunkList(dir, DIGEST, signal), null)
})

test('a file that was brought in again meanwhile stays', async (t) => {
  const dir = await folder(t)
  await forgetBlob(dir, DIGEST, { unique: 'x', isBack: async () => true })
  assert.deepEqual(await readdir(dir), [DIGEST])
  await forgetBlob(dir, DIGEST, { unique: 'x', isBack: async () => false })
  await forgetBlob(dir, DIGEST, { unique: 'x', isBack: async () => false })
  assert.deepEqual(await readdir(dir), [])
})
