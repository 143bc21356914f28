// Objects through other clients: s3cmd, rclone and s3fs of Debian take a tree with odd names there
// and back, boto3 does what its users do with large objects, presigned URLs, pages and versions.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { S3 } from '@aws-sdk/client-s3'
import { exec } from '../../common/exec.ts'
import { lastFirst, startCloud } from '../support/cloud.ts'
import { clientEnv } from './support.ts'

const MIB = 1 << 20
const LONG_MS = 60_000
const cloud = await startCloud(lastFirst({ after }))
const { accessKeyId, secretAccessKey, region } = cloud.init
const host = `127.0.0.1:${cloud.config.apiPort}`
const endpoint = `http://${host}`
const s3 = new S3({
  ...{ endpoint, region, maxAttempts: 1, forcePathStyle: true },
  credentials: { accessKeyId, secretAccessKey },
})
after(() => s3.destroy())

/** Names that clients, signatures and XML each have to escape in their own way. */
const NAMES = [
  'a',
  'empty',
  '.hidden',
  'dir/ü ñ 日本 😀',
  'dir/sub/..deep..',
  "dir/it's+50%&more;=@:,$",
  'dir/%41 %2F',
  'dir/~!*()[]{}^|`"<>',
  'dir/#?\\',
  'dir/ spaces  around ',
]
const BIG = 'dir/big'
const tree = join(cloud.dir, 'tree')
const big = randomBytes(11 * MIB)
for (const name of [...NAMES, BIG]) {
  await mkdir(dirname(join(tree, name)), { recursive: true })
  await writeFile(join(tree, name), name === 'empty' ? '' : name === BIG ? big : name)
}

async function keysOf(Bucket: string, Prefix: string): Promise<string[]> {
  const { Contents = [] } = await s3.listObjectsV2({ Bucket, Prefix })
  return Contents.map(({ Key = '' }) => Key.slice(Prefix.length)).toSorted()
}

async function assertSame(dir: string): Promise<void> {
  for (const name of [...NAMES, BIG]) {
    assert.deepEqual(await readFile(join(dir, name)), await readFile(join(tree, name)), name)
  }
}

test('s3cmd syncs a tree there and back, copies, and removes', async () => {
  const config = join(cloud.dir, 's3cfg')
  const lines = [
    ...['[default]', `access_key = ${accessKeyId}`, `secret_key = ${secretAccessKey}`],
    ...[`host_base = ${host}`, `host_bucket = ${host}`, 'use_https = False'],
    `bucket_location = ${region}`,
  ]
  await writeFile(config, lines.join('\n'), { mode: 0o600 })
  const env = { HOME: cloud.dir, LC_ALL: 'C.UTF-8', PATH: process.env['PATH'] ?? '' }
  const s3cmd = async (...args: string[]): Promise<string> => {
    const argv = ['s3cmd', '--config', config, '--no-progress', ...args]
    return (await exec(argv, { env, timeoutMs: LONG_MS })).stdout
  }
  await s3cmd('mb', 's3://s3cmd')
  const parts = '--multipart-chunk-size-mb=5'
  await s3cmd('sync', parts, `${tree}/`, 's3://s3cmd/x/')
  assert.deepEqual(await keysOf('s3cmd', 'x/'), [...NAMES, BIG].toSorted())
  const back = join(cloud.dir, 's3cmd-back')
  await mkdir(back)
  await s3cmd('sync', 's3://s3cmd/x/', `${back}/`)
  await assertSame(back)
  assert.doesNotMatch(await s3cmd('sync', parts, `${tree}/`, 's3://s3cmd/x/'), /upload:/)
  await s3cmd('cp', `s3://s3cmd/x/${BIG}`, 's3://s3cmd/y')
  await s3cmd('modify', '--add-header=Content-Type: text/z', 's3://s3cmd/y')
  const head = await s3.headObject({ Bucket: 's3cmd', Key: 'y' })
  assert.deepEqual([head.ContentLength, head.ContentType], [big.length, 'text/z'])
  assert.match(await s3cmd('info', 's3://s3cmd/y'), /File size: 11534336/)
  await s3cmd('del', '--recursive', '--force', 's3://s3cmd')
  assert.deepEqual(await keysOf('s3cmd', ''), [])
  await s3cmd('rb', 's3://s3cmd')
})

test('rclone syncs a tree there and back, checks it, moves and purges', async () => {
  const env = {
    ...{ HOME: cloud.dir, LC_ALL: 'C.UTF-8', PATH: process.env['PATH'] ?? '' },
    ...{ RCLONE_CONFIG: join(cloud.dir, 'none.conf'), RCLONE_RETRIES: '1' },
    ...{ RCLONE_CONFIG_W_TYPE: 's3', RCLONE_CONFIG_W_PROVIDER: 'Other' },
    ...{ RCLONE_CONFIG_W_ENDPOINT: endpoint, RCLONE_CONFIG_W_REGION: region },
    ...{ RCLONE_CONFIG_W_ACCESS_KEY_ID: accessKeyId },
    ...{ RCLONE_CONFIG_W_SECRET_ACCESS_KEY: secretAccessKey },
    ...{ RCLONE_S3_UPLOAD_CUTOFF: '5M', RCLONE_S3_CHUNK_SIZE: '5M' },
  }
  const rclone = async (...args: string[]): Promise<string> => {
    // It says on standard error what it did.
    const { stdout, stderr } = await exec(['rclone', ...args], { env, timeoutMs: LONG_MS })
    return stdout === '' ? stderr : stdout
  }
  await rclone('mkdir', 'w:rclone')
  await rclone('sync', tree, 'w:rclone/x')
  assert.match(await rclone('check', tree, 'w:rclone/x'), / 0 differences found/)
  const back = join(cloud.dir, 'rclone-back')
  await rclone('sync', 'w:rclone/x', back)
  await assertSame(back)
  assert.match(await rclone('sync', '-v', tree, 'w:rclone/x'), /There was nothing to transfer/)
  await rm(join(back, 'dir'), { recursive: true })
  await writeFile(join(back, 'a'), 'other')
  await rclone('sync', back, 'w:rclone/x')
  assert.deepEqual(await keysOf('rclone', 'x/'), ['.hidden', 'a', 'empty'])
  await rclone('moveto', 'w:rclone/x/a', 'w:rclone/z/a b')
  assert.equal(await rclone('cat', 'w:rclone/z/a b'), 'other')
  assert.deepEqual(await keysOf('rclone', 'x/'), ['.hidden', 'empty'])
  await rclone('purge', 'w:rclone')
  const { Buckets = [] } = await s3.listBuckets({ Prefix: 'rclone' })
  assert.deepEqual(Buckets, [])
})

const noFuse = existsSync('/dev/fuse') ? false : 'there is no /dev/fuse'

test('s3fs mounts a bucket, and a tree is copied, moved and removed in it', {
  skip: noFuse,
}, async (t) => {
  const Bucket = 's3fs'
  await s3.createBucket({ Bucket })
  const secrets = join(cloud.dir, 's3fs-secrets')
  await writeFile(secrets, `${accessKeyId}:${secretAccessKey}`, { mode: 0o600 })
  const mount = join(cloud.dir, 's3fs')
  await mkdir(mount)
  const env = { HOME: cloud.dir, LC_ALL: 'C.UTF-8', PATH: process.env['PATH'] ?? '' }
  const run = async (...argv: string[]): Promise<string> =>
    (await exec(argv, { env, timeoutMs: LONG_MS })).stdout
  const options = [`url=${endpoint}`, `endpoint=${region}`, `passwd_file=${secrets}`]
  await run('s3fs', Bucket, mount, '-o', [...options, 'use_path_request_style'].join(','))
  // Other programs: this one must answer while they wait for the mount.
  t.after(() => run('umount', '-l', mount))
  await run('cp', '-r', tree, join(mount, 'x'))
  await run('diff', '-r', tree, join(mount, 'x'))
  await run('mv', join(mount, 'x/dir'), join(mount, 'y'))
  await run('diff', '-r', join(tree, 'dir'), join(mount, 'y'))
  await run('rm', '-r', join(mount, 'x'), join(mount, 'y'))
  assert.deepEqual(await keysOf(Bucket, ''), [])
  await s3.deleteBucket({ Bucket })
})

const BOTO3 = `
import boto3, json, os, sys, urllib.request
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
s3 = boto3.client('s3', endpoint_url='${endpoint}', config=Config(signature_version='s3v4'))
bucket, found = 'boto3', {}
s3.create_bucket(Bucket=bucket)
dir = sys.argv[1]
parts = TransferConfig(multipart_threshold=8 << 20, multipart_chunksize=8 << 20, max_concurrency=4)
s3.upload_file(dir + '/big', bucket, 'big', Config=parts, ExtraArgs={'Metadata': {'a': 'b c'}})
s3.download_file(bucket, 'big', dir + '/big-back', Config=parts)
head = s3.head_object(Bucket=bucket, Key='big')
found['parts'] = head['ETag'][-3:-1], head['Metadata']

key = "odd/ü +%41'&"
def url(operation, **more):
    return s3.generate_presigned_url(operation, Params={'Bucket': bucket, 'Key': key, **more})
put = url('put_object', ContentType='text/x')
request = urllib.request.Request(put, b'sent', {'Content-Type': 'text/x'}, method='PUT')
found['put'] = urllib.request.urlopen(request).status
answer = urllib.request.urlopen(url('get_object', ResponseContentType='text/y'))
found['get'] = answer.read().decode(), answer.headers['Content-Type']
other = urllib.request.Request(put, b'sent', {'Content-Type': 'text/z'}, method='PUT')
try:
    urllib.request.urlopen(other)
except urllib.error.HTTPError as error:
    found['other type'] = error.code

for i in range(25):
    s3.put_object(Bucket=bucket, Key=f'page/{i % 5}/{i:02}', Body=b'x')
def pages(name, **more):
    pages = s3.get_paginator(name).paginate(Bucket=bucket, PaginationConfig={'PageSize': 4}, **more)
    return list(pages)
for name in ('list_objects', 'list_objects_v2'):
    all = [one['Key'] for page in pages(name, Prefix='page/') for one in page['Contents']]
    dirs = pages(name, Prefix='page/', Delimiter='/')
    common = [one['Prefix'] for page in dirs for one in page['CommonPrefixes']]
    found[name] = len(all), all == sorted(set(all)), common

s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={'Status': 'Enabled'})
first = s3.put_object(Bucket=bucket, Key='kept', Body=b'one')['VersionId']
s3.put_object(Bucket=bucket, Key='kept', Body=b'two')
marker = s3.delete_object(Bucket=bucket, Key='kept')
try:
    s3.get_object(Bucket=bucket, Key='kept')
except s3.exceptions.NoSuchKey as error:
    found['deleted'] = error.response['ResponseMetadata']['HTTPHeaders']['x-amz-delete-marker']
s3.delete_object(Bucket=bucket, Key='kept', VersionId=marker['VersionId'])
found['restored'] = s3.get_object(Bucket=bucket, Key='kept')['Body'].read().decode()
source = {'Bucket': bucket, 'Key': 'kept', 'VersionId': first}
s3.copy(source, bucket, 'kept')
found['older'] = s3.get_object(Bucket=bucket, Key='kept')['Body'].read().decode()
versions = [one for page in pages('list_object_versions') for one in page['Versions']]
found['versions'] = sum(one['Key'] == 'kept' for one in versions)

boto3.resource('s3', endpoint_url='${endpoint}').Bucket(bucket).object_versions.delete()
found['left'] = s3.list_object_versions(Bucket=bucket).get('Versions', [])
s3.delete_bucket(Bucket=bucket)
print(json.dumps(found))
`

test('boto3 takes large files in parts, presigns, pages, and restores versions', async () => {
  const env = clientEnv(cloud)
  const dir = join(cloud.dir, 'boto3')
  await mkdir(dir)
  await writeFile(join(dir, 'big'), big)
  const argv = ['/usr/bin/python3', '-', dir]
  const { stdout } = await exec(argv, { input: BOTO3, env, timeoutMs: LONG_MS })
  const dirs = ['page/0/', 'page/1/', 'page/2/', 'page/3/', 'page/4/']
  assert.deepEqual(JSON.parse(stdout), {
    parts: ['-2', { a: 'b c' }],
    put: 200,
    get: ['sent', 'text/y'],
    'other type': 403,
    list_objects: [25, true, dirs],
    list_objects_v2: [25, true, dirs],
    deleted: 'true',
    restored: 'two',
    older: 'one',
    versions: 3,
    left: [],
  })
  assert.deepEqual(await readFile(join(dir, 'big-back')), big)
})
