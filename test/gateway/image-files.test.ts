// Image files that go again: not while there is an image of them, and never one that comes back.

import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { randomHex } from '../../common/clock.ts'
import { forgetBlob } from '../../gateway/blobs.ts'
import { removeImageFile } from '../../gateway/image-files.ts'
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

test('a file that was brought in again meanwhile stays', async (t) => {
  const dir = await folder(t)
  await forgetBlob(dir, DIGEST, { unique: 'x', isBack: async () => true })
  assert.deepEqual(await readdir(dir), [DIGEST])
  await forgetBlob(dir, DIGEST, { unique: 'x', isBack: async () => false })
  await forgetBlob(dir, DIGEST, { unique: 'x', isBack: async () => false })
  assert.deepEqual(await readdir(dir), [])
})
