// Blobs in an S3 engine: another cloud of ours stands for it.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { S3 } from '@aws-sdk/client-s3'
import { randomHex, systemClock } from '../../common/clock.ts'
import { openEngine } from '../../gateway/s3/blobs/engine.ts'
import { parseEngineUrl } from '../../gateway/s3/blobs/engine-client.ts'
import { lastFirst, startCloud } from '../support/cloud.ts'
import { allOf, inPieces, testEngine } from './engine-support.ts'

const cloud = await startCloud(lastFirst({ after }))
const { accessKeyId, secretAccessKey, region } = cloud.init
const s3 = new S3({
  endpoint: `http://127.0.0.1:${cloud.config.apiPort}`,
  region,
  credentials: { accessKeyId, secretAccessKey },
  forcePathStyle: true,
})
after(() => s3.destroy())
const Bucket = 'engine'
await s3.createBucket({ Bucket })
const secret = encodeURIComponent(secretAccessKey)
const host = `127.0.0.1:${cloud.config.apiPort}`
const address = parseEngineUrl(`http://${accessKeyId}:${secret}@${host}/${Bucket}?region=${region}`)
const engine = openEngine({ name: 'engine', address, clock: systemClock, randomHex })
after(() => engine.close())

testEngine({ engine, s3, Bucket })

test('an engine that is away or refuses says so without its secret', async () => {
  const ref = await engine.write(inPieces(Buffer.from('x')))
  const wrong = { ...address, secret: 'wrong' }
  const stranger = openEngine({ name: 'engine', address: wrong, clock: systemClock, randomHex })
  const refused = { code: 'StoreUnavailable', message: /answered SignatureDoesNotMatch/ }
  await assert.rejects(stranger.write(inPieces(Buffer.from('x'))), refused)
  stranger.close()
  await cloud.stop()
  await assert.rejects(allOf(engine, ref), { code: 'StoreUnavailable', message: /ECONNREFUSED/ })
  await cloud.start()
  assert.equal((await allOf(engine, ref)).toString(), 'x')
})

for (const text of ['', 'http://host/bucket', 'ftp://a:b@host/bucket', 'http://a:geheim@host/']) {
  test(`${text || 'an empty text'} is no address of an engine`, () => {
    assert.throws(
      () => parseEngineUrl(text),
      (error: Error) => !error.message.includes('geheim'),
    )
  })
}
