// An image that a user uploads as an object: it runs, and what is none, or not theirs, is refused.

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, test } from 'node:test'
import {
  DescribeImagesCommand,
  DescribeImportImageTasksCommand,
  EC2Client,
  ImportImageCommand,
  type ImportImageTask,
  RegisterImageCommand,
} from '@aws-sdk/client-ec2'
import { S3 } from '@aws-sdk/client-s3'
import { callLocal } from '../../gateway/cli/client.ts'
import { until } from '../../sandbox/until.ts'
import { kernelFile, ramdiskFile } from '../support/boot-files.ts'
import { type Bundle, makeBundle } from '../support/bundle.ts'
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

const other = await callLocal<typeof credentials & { account: string }>(cloud.config.socket, {
  ...{ method: 'POST', path: '/v1/accounts', body: { name: 'other' } },
})
const theirs = new EC2Client({ endpoint, region, credentials: other, maxAttempts: 1 })
after(() => theirs.destroy())

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
  await assert.rejects(register(theirs, 'theirs', 'images/fine'), /InvalidManifest|AccessDenied/)
  assert.equal(await refusal(register(ec2, 'other', 'images/fine')), 'accepted')
})

test('an instance runs from an image that the aws CLI imported while the gateway restarted', async () => {
  const Body = randomBytes(1 << 20)
  await s3.putObject({ Bucket, Key: 'more.raw', Body })
  const disk = { Format: 'RAW', UserBucket: { S3Bucket: Bucket, S3Key: 'more.raw' } }
  const disks = ['--disk-containers', JSON.stringify([disk])]
  const answer = await cloud.aws(['ec2', 'import-image', '--description', 'mine', ...disks])
  const { ImportTaskId } = answer as { ImportTaskId: string }
  await cloud.stop()
  await cloud.start()
  const task = await imported(ImportTaskId, 'completed')
  const { Images } = await ec2.send(new DescribeImagesCommand({ ImageIds: [task.ImageId ?? ''] }))
  const [image] = Images ?? []
  assert.deepEqual(
    [image?.Name, image?.Description, image?.ImageLocation],
    [ImportTaskId, 'mine', 'images/more.raw'],
  )
  await reach(ec2, idsOf(await run(ec2, { ImageId: task.ImageId })), 'running')
})

test('a task says why an object is no image, and a foreign one begins none', async () => {
  const begin = async (S3Key: string, Format?: string, by = ec2) => {
    const disk = { UserBucket: { S3Bucket: Bucket, S3Key }, ...(Format && { Format }) }
    const { ImportTaskId = '' } = await by.send(new ImportImageCommand({ DiskContainers: [disk] }))
    return ImportTaskId
  }
  await s3.putObject({ Bucket, Key: 'vmdk', Body: Buffer.from(`KDMV${'\0'.repeat(1020)}`) })
  await s3.putObject({ Bucket, Key: 'short', Body: Buffer.alloc(700) })
  for (const [key, format, text] of [
    ['vmdk', undefined, /VMDK: convert it to raw or qcow2/],
    ['short', 'raw', /multiple of 512 bytes/],
    ['fine', 'qcow2', /it is a disk of the format raw, not qcow2/],
  ] as const) {
    const { StatusMessage } = await imported(await begin(key, format), 'deleted')
    assert.match(StatusMessage ?? '', /^ClientError: Disk validation failed \[/)
    assert.match(StatusMessage ?? '', text)
  }
  assert.match(await refusal(begin('fine', 'raw', theirs)), /InvalidParameter|AccessDenied/)
  assert.equal(await refusal(begin('nobody')), 'InvalidParameter')
})

test('images are made of bundles, for the account that they were bundled for', async () => {
  const call = { method: 'GET', path: '/v1/bundle-certificate' } as const
  const { certificate } = await cloud.local<{ certificate: string }>(call)
  const wish = { image: randomBytes(3 << 20), certificatePem: certificate, partBytes: 1 << 20 }
  const { account } = cloud.init
  const place = await upload('own', await makeBundle({ ...wish, account }))
  assert.equal(await refusal(register(ec2, 'bundled', place, true)), 'DryRunOperation')
  const { ImageId } = await register(ec2, 'bundled', place)
  await reach(ec2, idsOf(await run(ec2, { ImageId })), 'running')
  const { blobs } = await cloud.local<{ blobs: { sha256: string }[] }>({
    ...{ method: 'GET', path: '/v1/blobs' },
  })
  const sha256 = createHash('sha256').update(wish.image).digest('hex')
  assert.ok(blobs.some((blob) => blob.sha256 === sha256))
  const disk = { Url: `s3://${place}`, Format: 'raw' }
  const { ImportTaskId = '' } = await ec2.send(new ImportImageCommand({ DiskContainers: [disk] }))
  const { SnapshotDetails } = await imported(ImportTaskId, 'completed')
  assert.equal(SnapshotDetails?.[0]?.DiskImageSize, wish.image.length / 2 ** 30)

  const foreign = await upload('foreign', await makeBundle({ ...wish, account: other.account }))
  await assert.rejects(register(ec2, 'foreign', foreign), /bundled for the account/)
  // They may read the manifest alone.
  const allow = async (path: string): Promise<void> => {
    const what = { Action: 's3:GetObject', Resource: `arn:aws:s3:::${path}` }
    const Statement = [{ Effect: 'Allow', Principal: { AWS: other.account }, ...what }]
    const Policy = JSON.stringify({ Version: '2012-10-17', Statement })
    await s3.putBucketPolicy({ Bucket, Policy })
  }
  await allow(foreign)
  await assert.rejects(register(theirs, 'foreign', foreign), /AccessDenied/)
  await allow(`${Bucket}/foreign/*`)
  assert.equal(await refusal(register(theirs, 'foreign', foreign)), 'accepted')
  await s3.deleteObject({ Bucket, Key: 'own/image.part.1' })
  await assert.rejects(register(ec2, 'again', place), /InvalidManifest|NoSuchKey|no part/)
})

test('an instance starts from a kernel and a ramdisk that were uploaded as bundles', async () => {
  const call = { method: 'GET', path: '/v1/bundle-certificate' } as const
  const { certificate } = await cloud.local<{ certificate: string }>(call)
  const { account } = cloud.init
  const bundled = async (at: string, image: Buffer, machine: string): Promise<string> => {
    const wish = { image, account, certificatePem: certificate, machine }
    return await upload(at, await makeBundle(wish))
  }
  const kernel = await bundled('kernel', kernelFile(), '<kernel_id>true</kernel_id>')
  const { ImageId: KernelId = '' } = await register(ec2, 'kernel', kernel)
  const ramdisk = await bundled('ramdisk', ramdiskFile(), '<ramdisk_id>true</ramdisk_id>')
  const { ImageId: RamdiskId = '' } = await register(ec2, 'ramdisk', ramdisk)
  assert.deepEqual([KernelId.slice(0, 4), RamdiskId.slice(0, 4)], ['aki-', 'ari-'])
  const ids = `<kernel_id>${KernelId}</kernel_id><ramdisk_id>${RamdiskId}</ramdisk_id>`
  const disk = await bundled('disk', randomBytes(1 << 20), ids)
  const { ImageId } = await register(ec2, 'with a kernel', disk)
  const [instance] = idsOf(await run(ec2, { ImageId }))
  assert.ok(instance)
  const [shown] = await reach(ec2, [instance], 'running')
  assert.deepEqual([shown?.KernelId, shown?.RamdiskId], [KernelId, RamdiskId])

  const plain = await bundled('plain', randomBytes(2_048), '<kernel_id>true</kernel_id>')
  await assert.rejects(register(ec2, 'plain', plain), /is no kernel/)
  const foreign = await bundled('eki', randomBytes(512), '<kernel_id>eki-12345678</kernel_id>')
  assert.equal(await refusal(register(ec2, 'eki', foreign)), 'InvalidAMIID.Malformed')
  const task = { DiskContainers: [{ Url: `s3://${disk}` }] }
  const { ImportTaskId = '' } = await ec2.send(new ImportImageCommand(task))
  const { StatusMessage } = await imported(ImportTaskId, 'deleted')
  assert.match(StatusMessage ?? '', /RegisterImage takes it/)
})

/** The place of its manifest. */
async function upload(at: string, { manifest, parts }: Bundle): Promise<string> {
  for (const [name, Body] of parts) await s3.putObject({ Bucket, Key: `${at}/${name}`, Body })
  await s3.putObject({ Bucket, Key: `${at}/image.manifest.xml`, Body: manifest })
  return `${Bucket}/${at}/image.manifest.xml`
}

async function imported(id: string, state: 'completed' | 'deleted'): Promise<ImportImageTask> {
  let task: ImportImageTask = {}
  await until(`${id} is ${state}`, async () => {
    const ask = new DescribeImportImageTasksCommand({ ImportTaskIds: [id] })
    task = (await ec2.send(ask)).ImportImageTasks?.[0] ?? {}
    return task.Status === 'completed' || task.Status === 'deleted'
  })
  assert.equal(task.Status, state, task.StatusMessage)
  return task
}
