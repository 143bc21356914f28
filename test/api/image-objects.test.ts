// An image that a user uploads as an object: it runs, and what is none, or not theirs, is refused.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, test } from 'node:test'
import { DescribeImagesCommand, EC2Client, RegisterImageCommand } from '@aws-sdk/client-ec2'
import { S3 } from '@aws-sdk/client-s3'
import { callLocal } from '../../gateway/cli/client.ts'
import { lastFirst, startCloud } from '../support/cloud.ts'
import { addHost, connected } from '../support/simulated-rack.ts'
import { idsOf, reach, refusal, run } from './support.ts'

const cloud = await startCloud(lastFirst({ after }))
const { accessKeyId, secretAccessKey, region } = cloud.init
const endpoint = `http://127.0.0.1:${cloud.config.apiPort}`
const credentials = { accessKeyId, secretAccessKey }
const s3 = new S3({ endpoint, region, credentials, maxAttempts: 1, forcePathStyle: true })
after(() => s3.destroy())
const ec2 = cloud.ec2()

const Bucket = 'images'
await s3.createBucket({ Bucket })

function register(client: EC2Client, Name: string, ImageLocation: string, DryRun = false) {
  return client.send(new RegisterImageCommand({ Name, ImageLocation, DryRun }))
}

test('an instance runs from an image that was uploaded as an object', async () => {
  const host = await addHost(cloud, { rack: 'a', host: 'a-cc', roles: ['cc', 'nc'] })
  await connected(cloud, [host])
  await s3.putObject({ Bucket, Key: 'disk.raw', Body: randomBytes(1 << 20) })
  assert.equal(await refusal(register(ec2, 'mine', 'images/disk.raw', true)), 'DryRunOperation')
  const { ImageId = '' } = await register(ec2, 'mine', 'images/disk.raw')
  const { Images } = await ec2.send(new DescribeImagesCommand({ ImageIds: [ImageId] }))
  assert.equal(Images?.[0]?.ImageLocation, 'images/disk.raw')
  // The image has bytes of its own.
  await s3.deleteObject({ Bucket, Key: 'disk.raw' })
  await reach(ec2, idsOf(await run(ec2, { ImageId })), 'running')
  const again = register(ec2, 'mine', 'images/disk.raw')
  assert.equal(await refusal(again), 'InvalidAMIName.Duplicate')
})

test('what is no disk, not there, or not theirs is no image', async () => {
  await s3.putObject({ Bucket, Key: 'odd', Body: 'abc' })
  await s3.putObject({ Bucket, Key: 'fine', Body: Buffer.alloc(512) })
  for (const location of ['images/odd', 'images/nobody', 'nobody/x', 'nobody', 's3://images/odd']) {
    assert.equal(await refusal(register(ec2, 'other', location)), 'InvalidManifest', location)
  }
  const other = await callLocal<typeof credentials>(cloud.config.socket, {
    ...{ method: 'POST', path: '/v1/accounts', body: { name: 'other' } },
  })
  const theirs = new EC2Client({ endpoint, region, credentials: other, maxAttempts: 1 })
  after(() => theirs.destroy())
  await assert.rejects(register(theirs, 'theirs', 'images/fine'), /InvalidManifest|AccessDenied/)
  assert.equal(await refusal(register(ec2, 'other', 'images/fine')), 'accepted')
})
