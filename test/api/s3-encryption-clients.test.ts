// Encryption at rest over TLS through boto3 and Debian's aws CLI: large files in parts, copies,
// presigned URLs, whole folders.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { exec } from '../../common/exec.ts'
import { AWS } from '../../sandbox/aws.ts'
import { lastFirst, startCloud } from '../support/cloud.ts'
import { tlsCertificate } from '../support/tls-certificate.ts'

const MIB = 1 << 20
const LONG_MS = 60_000
const ending = lastFirst({ after })
const { keyFile, certFile } = await tlsCertificate(ending)
const tls = { tlsKey: keyFile, tlsCertificate: certFile }
const cloud = await startCloud(ending, { settings: tls })
const Bucket = 'sealed'
const large = randomBytes(11 * MIB)
const small = Buffer.from('small')

const env = {
  ...{ AWS_ACCESS_KEY_ID: cloud.init.accessKeyId, AWS_CA_BUNDLE: certFile },
  ...{ AWS_SECRET_ACCESS_KEY: cloud.init.secretAccessKey, LC_ALL: 'C.UTF-8' },
  ...{ AWS_DEFAULT_REGION: cloud.init.region, AWS_CONFIG_FILE: '/dev/null', HOME: '/nonexistent' },
}
const endpoint = `https://127.0.0.1:${cloud.config.apiPort}`

const BOTO3 = `
import boto3, json, os, sys, urllib.request, ssl
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError
from botocore.config import Config
s3 = boto3.client('s3', endpoint_url='${endpoint}', config=Config(signature_version='s3v4'))
bucket, dir, found = 'sealed', sys.argv[1], {}
s3.create_bucket(Bucket=bucket)
key = {'SSECustomerAlgorithm': 'AES256', 'SSECustomerKey': os.urandom(32)}
parts = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20)
s3.upload_file(dir + '/big', bucket, 'b', Config=parts, ExtraArgs=key)
s3.download_file(bucket, 'b', dir + '/back', Config=parts, ExtraArgs=key)
found['same'] = open(dir + '/big', 'rb').read() == open(dir + '/back', 'rb').read()
found['etag'] = s3.head_object(Bucket=bucket, Key='b', **key)['ETag'][-3:-1]
try:
    s3.get_object(Bucket=bucket, Key='b')
except ClientError as error:
    found['without'] = error.response['Error']['Code']
s3.copy_object(Bucket=bucket, Key='b2', CopySource=bucket + '/b', ServerSideEncryption='AES256',
    CopySourceSSECustomerAlgorithm='AES256', CopySourceSSECustomerKey=key['SSECustomerKey'])
found['copied'] = s3.head_object(Bucket=bucket, Key='b2')['ServerSideEncryption']
signed = s3.generate_presigned_url('get_object', Params={'Bucket': bucket, 'Key': 'b', **key})
import base64, hashlib
name = 'x-amz-server-side-encryption-customer-'
sent = {name + 'algorithm': 'AES256',
    name + 'key': base64.b64encode(key['SSECustomerKey']).decode(),
    name + 'key-MD5': base64.b64encode(hashlib.md5(key['SSECustomerKey']).digest()).decode()}
trust = ssl.create_default_context(cafile=os.environ['AWS_CA_BUNDLE'])
def status(headers):
    try:
        request = urllib.request.Request(signed, headers=headers)
        return urllib.request.urlopen(request, context=trust).status
    except urllib.error.HTTPError as error:
        return error.code
found['presigned'] = status(sent), status({})
print(json.dumps(found))
`

test('boto3 brings keys for files in parts, copies and presigned URLs', async () => {
  const dir = join(cloud.dir, 'boto3')
  await mkdir(dir)
  await writeFile(join(dir, 'big'), large)
  const argv = ['/usr/bin/python3', '-', dir]
  const { stdout } = await exec(argv, { input: BOTO3, env, timeoutMs: LONG_MS })
  assert.deepEqual(JSON.parse(stdout), {
    ...{ same: true, etag: '-3', without: 'InvalidRequest', copied: 'AES256' },
    presigned: [200, 403],
  })
})

test('the aws CLI copies and syncs files with --sse and --sse-c', async () => {
  const dir = join(cloud.dir, 'cli')
  await mkdir(dir)
  const keyPath = join(cloud.dir, 'cli.key')
  await writeFile(keyPath, randomBytes(32))
  await writeFile(join(dir, 'large'), large)
  await writeFile(join(dir, 'small'), small)
  const run = (...args: string[]) =>
    exec([AWS, '--endpoint-url', endpoint, ...args], { env, timeoutMs: LONG_MS })
  const aws = (...args: string[]) => run('s3', ...args)
  const key = ['--sse-c', 'AES256', '--sse-c-key', `fileb://${keyPath}`]
  await aws('sync', dir, `s3://${Bucket}/cli/`, ...key)
  const back = join(cloud.dir, 'cli-back')
  await aws('sync', `s3://${Bucket}/cli/`, back, ...key)
  assert.deepEqual(await readFile(join(back, 'large')), large)
  assert.deepEqual(await readFile(join(back, 'small')), small)
  await aws('cp', join(dir, 'large'), `s3://${Bucket}/cli-sse`, '--sse', 'AES256')
  const head = ['head-object', '--bucket', 'sealed', '--key', 'cli-sse']
  const { stdout } = await run('s3api', ...head)
  assert.equal(JSON.parse(stdout).ServerSideEncryption, 'AES256')
  await aws('cp', `s3://${Bucket}/cli-sse`, `s3://${Bucket}/cli-sse`, '--sse', 'AES256')
  await aws('cp', `s3://${Bucket}/cli-sse`, join(back, 'again'))
  assert.deepEqual(await readFile(join(back, 'again')), large)
})
