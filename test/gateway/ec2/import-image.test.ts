// ImportImage as a request, and what is shown of its tasks: no gateway does them here.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApiError } from '../../../gateway/aws/api-error.ts'
import type { Ec2Inputs } from '../../../gateway/aws/handlers.ts'
import type { FindObject } from '../../../gateway/ec2/import-image.ts'
import { purgeTerminated } from '../../../gateway/ec2/purge.ts'
import { type Cloud, OTHER_ACCOUNT, openCloud, refusal, refused, START_MS } from './support.ts'

type Wish = Ec2Inputs['ImportImage']

const DISK = { Format: 'raw', UserBucket: { S3Bucket: 'images', S3Key: 'a/disk.raw' } }
const DISKS = { DiskContainers: [DISK] }
const GIB = 2 ** 30
const WEEK_MS = 7 * 86_400_000
/** Quota of AWS. */
const MOST = 20

/** One object, for everybody. */
const findObject: FindObject = async (_, location, refuse) => {
  if (location !== 's3://images/a/disk.raw') throw refuse('NoSuchKey: There is none.')
  const version = { versionId: 'null', etag: 'e', sizeBytes: GIB }
  return { bucket: 'images', bucketId: 'b', key: 'a/disk.raw', ...version }
}

async function begin(cloud: Cloud, wish: Wish = DISKS): Promise<string> {
  const { ImportTaskId } = await cloud.call('ImportImage', wish)
  assert.ok(ImportTaskId)
  return ImportTaskId
}

test('ImportImage begins a task, which DescribeImportImageTasks shows', async (t) => {
  const cloud = await openCloud(t, { findObject })
  const tags = [{ Key: 'a', Value: 'b' }]
  const made = await cloud.call('ImportImage', {
    ...{ ...DISKS, Description: 'mine', Architecture: 'x86_64', Platform: 'Linux' },
    ...{ LicenseType: 'BYOL', RoleName: 'vmimport', ClientData: { Comment: 'x' } },
    TagSpecifications: [{ ResourceType: 'import-image-task', Tags: tags }],
  })
  const id = made.ImportTaskId ?? ''
  assert.match(id, /^import-ami-[0-9a-f]{17}$/)
  const { ImportImageTasks: [task] = [] } = await cloud.call('DescribeImportImageTasks', {})
  assert.deepEqual(task, made)
  const { Status, StatusMessage, Progress, Description, Tags, SnapshotDetails } = made
  assert.deepEqual(
    { Status, StatusMessage, Progress, Description, Tags },
    {
      ...{ Status: 'active', StatusMessage: 'pending', Progress: '0', Description: 'mine' },
      Tags: tags,
    },
  )
  const shown = JSON.parse(JSON.stringify(SnapshotDetails))
  const { UserBucket } = DISK
  const disk = { DiskImageSize: 1, Format: 'RAW', Status: 'active', UserBucket }
  assert.deepEqual(shown, [disk])
  const byUrl = await begin(cloud, { DiskContainers: [{ Url: 's3://images/a/disk.raw' }] })
  const ask = { ImportTaskIds: [byUrl] }
  const { ImportImageTasks: [other] = [] } = await cloud.call('DescribeImportImageTasks', ask)
  assert.equal(other?.SnapshotDetails?.[0]?.Url, 's3://images/a/disk.raw')
})

test('ImportImage with a token answers the same again, also when the object is gone', async (t) => {
  let isThere = true
  const cloud = await openCloud(t, {
    findObject: async (context, location, refuse) =>
      await findObject(context, isThere ? location : 'gone', refuse),
  })
  const wish = { ...DISKS, ClientToken: 'once' }
  const first = await begin(cloud, wish)
  isThere = false
  assert.equal(await begin(cloud, wish), first)
  const other = cloud.call('ImportImage', { ...wish, Description: 'other' })
  assert.equal(await refusal(other), 'IdempotentParameterMismatch')
  const dry = cloud.call('ImportImage', { ...wish, DryRun: true })
  assert.equal(await refusal(dry), 'DryRunOperation')
  assert.equal(cloud.state.view().all('import-task').length, 1)
})

const { Format, UserBucket } = DISK
const REFUSED: readonly (readonly [why: string, wish: Wish, code: string, text: RegExp])[] = [
  ['no disk', {}, 'MissingParameter', /DiskContainers/],
  ['two disks', { DiskContainers: [DISK, DISK] }, 'UnsupportedOperation', /2 disks/],
  ['an empty disk', { DiskContainers: [{ Format }] }, 'MissingParameter', /Url/],
  [
    'a bucket alone',
    { DiskContainers: [{ UserBucket: { S3Bucket: 'images' } }] },
    'MissingParameter',
    /S3Key/,
  ],
  [
    'both names',
    { DiskContainers: [{ UserBucket, Url: 's3://images/a/disk.raw' }] },
    'InvalidParameterCombination',
    /exclude/,
  ],
  [
    'an URL of the web',
    { DiskContainers: [{ Url: 'https://example.com/disk.raw' }] },
    'InvalidParameterValue',
    /s3:\/\/bucket\/key/,
  ],
  [
    'a snapshot',
    { DiskContainers: [{ SnapshotId: 'snap-01234567890abcdef' }] },
    'UnsupportedOperation',
    /SnapshotId/,
  ],
  [
    'no format',
    { DiskContainers: [{ UserBucket, Format: 'tar' }] },
    'InvalidParameterValue',
    /tar/,
  ],
  [
    'no object',
    { DiskContainers: [{ UserBucket: { S3Bucket: 'images', S3Key: 'b' } }] },
    'InvalidParameter',
    /NoSuchKey/,
  ],
  ['Windows', { ...DISKS, Platform: 'Windows' }, 'UnsupportedOperation', /Platform/],
  ['another CPU', { ...DISKS, Architecture: 'arm64' }, 'UnsupportedOperation', /Architecture/],
  ['encryption', { ...DISKS, Encrypted: true }, 'UnsupportedOperation', /Encrypted/],
  ['a key', { ...DISKS, KmsKeyId: 'k' }, 'UnsupportedOperation', /KmsKeyId/],
  ['UEFI', { ...DISKS, BootMode: 'uefi' }, 'UnsupportedOperation', /BootMode/],
  ['a long text', { ...DISKS, Description: 'x'.repeat(256) }, 'InvalidParameterValue', /255/],
  [
    'tags of an image',
    { ...DISKS, TagSpecifications: [{ ResourceType: 'image', Tags: [] }] },
    'InvalidParameterValue',
    /image/,
  ],
]

test('ImportImage refuses what it would not do', async (t) => {
  const cloud = await openCloud(t, { findObject })
  const converted = ['OVA', 'vhd', 'VHDX', 'VMDK'].map((one): (typeof REFUSED)[number] => {
    const wish = { DiskContainers: [{ UserBucket, Format: one }] }
    return [`the format ${one}`, wish, 'UnsupportedOperation', /convert it/]
  })
  for (const [why, wish, code, text] of [...REFUSED, ...converted]) {
    const said = await refused(cloud.call('ImportImage', wish))
    assert.equal(said.code, code, why)
    assert.match(said.message, text, why)
  }
  assert.equal(
    await refusal(cloud.call('ImportImage', { ...DISKS, DryRun: true })),
    'DryRunOperation',
  )
  assert.equal(cloud.state.view().all('import-task').length, 0)
})

test('ImportImage refuses more tasks at a time than AWS, of one account', async (t) => {
  const cloud = await openCloud(t, { findObject })
  const all = Array.from({ length: MOST + 2 }, () =>
    cloud.call('ImportImage', DISKS).then(
      () => 'accepted',
      (error: unknown) => (error instanceof ApiError ? error.code : error),
    ),
  )
  const said = await Promise.all(all)
  assert.equal(said.filter((one) => one === 'accepted').length, MOST)
  assert.equal(said.filter((one) => one === 'ResourceCountLimitExceeded').length, 2)
  await cloud.call('ImportImage', DISKS, { account: OTHER_ACCOUNT })
})

test('tasks are shown by state, tag and page, and only to their account', async (t) => {
  const cloud = await openCloud(t, { findObject })
  const ids = [await begin(cloud), await begin(cloud), await begin(cloud)].sort()
  const [first = '', second = ''] = ids
  await cloud.call('CreateTags', { Resources: [first], Tags: [{ Key: 'k', Value: 'v' }] })
  await cloud.call('CancelImportTask', { ImportTaskId: second })
  const shown = async (input: Ec2Inputs['DescribeImportImageTasks'], account?: string) => {
    const as = account === undefined ? {} : { account }
    const { ImportImageTasks = [] } = await cloud.call('DescribeImportImageTasks', input, as)
    return ImportImageTasks.map(({ ImportTaskId }) => ImportTaskId)
  }
  const filter = (Name: string, ...Values: string[]) => ({ Filters: [{ Name, Values }] })
  assert.deepEqual(await shown(filter('task-state', 'deleted')), [second])
  assert.deepEqual(await shown(filter('tag:k', 'v')), [first])
  assert.equal(await refusal(shown(filter('state', 'active'))), 'InvalidParameterValue')
  assert.deepEqual(await shown({}, OTHER_ACCOUNT), [])
  const page = await cloud.call('DescribeImportImageTasks', { MaxResults: 2 })
  assert.equal(page.ImportImageTasks?.length, 2)
  assert.ok(page.NextToken)
  assert.deepEqual(await shown({ MaxResults: 2, NextToken: page.NextToken }), ids.slice(2))
})

test('CancelImportTask ends a task at once that nobody has, and asks who has it otherwise', async (t) => {
  const cloud = await openCloud(t, { findObject })
  const cancel = (ImportTaskId: string, CancelReason?: string) =>
    cloud.call('CancelImportTask', { ImportTaskId, CancelReason })
  const free = await begin(cloud)
  assert.deepEqual(await cancel(free, 'wrong one'), {
    ...{ ImportTaskId: free, PreviousState: 'active', State: 'deleted' },
  })
  const task = cloud.state.view().get('import-task', free)
  assert.equal(task?.message, 'Cancelled by the user: wrong one')
  assert.equal(await refusal(cancel(free)), 'IncorrectState')
  const held = await begin(cloud)
  await cloud.state.update(async (tx) => {
    const record = await tx.get('import-task', held)
    assert.ok(record)
    const worker = { holder: 'g', untilMs: START_MS + 1 }
    await tx.put('import-task', [held], { ...record, worker })
  })
  assert.equal((await cancel(held)).State, 'deleting')
  assert.equal((await cancel(held)).PreviousState, 'deleting')
  const long = cancel(await begin(cloud), 'x'.repeat(256))
  assert.equal(await refusal(long), 'InvalidParameterValue')
})

test('a task that is over goes after a week, with its tags', async (t) => {
  const cloud = await openCloud(t, { findObject })
  const [gone, stays] = [await begin(cloud), await begin(cloud)]
  const Tags = [{ Key: 'k', Value: 'v' }]
  await cloud.call('CreateTags', { Resources: [gone, stays], Tags })
  await cloud.call('CancelImportTask', { ImportTaskId: gone })
  const left = () =>
    cloud.state
      .view()
      .all('import-task')
      .map(({ id }) => id)
  await purgeTerminated(cloud.state, START_MS + WEEK_MS)
  assert.equal(left().length, 2)
  await purgeTerminated(cloud.state, START_MS + WEEK_MS + 1)
  assert.deepEqual(left(), [stays])
  assert.equal(cloud.state.view().get('tags', gone), null)
})
