// EBS direct APIs through boto3 and raw HTTP: snapshots that clients put together, read, compare.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { randomHex, systemClock } from '../../../common/clock.ts'
import { exec } from '../../../common/exec.ts'
import { silentLog } from '../../../common/log.ts'
import { keepSnapshots } from '../../../gateway/control/snapshot-keeping.ts'
import { directHandlers } from '../../../gateway/ebs/direct/index.ts'
import { testSealer } from '../../support/sealer.ts'
import { memorySnapshots } from '../../support/snapshot-bytes.ts'
import { ACCOUNT, type Cloud, OTHER_ACCOUNT, openCloud, REGION } from '../ec2/support.ts'
import { signedHeadersOf } from '../http/sign.ts'
import { KEY, startEndpoint } from '../http/support.ts'
import { putSnapshot } from './support.ts'

const PYTHON = '/usr/bin/python3'
const BLOCK = 512 << 10
const WALK = `
import base64, boto3, botocore.config, botocore.exceptions, hashlib, json, os, sys
config = botocore.config.Config(retries={'max_attempts': 0})
ebs = boto3.client('ebs', endpoint_url=sys.argv[1], config=config)
size, said = 512 << 10, {}
digest = lambda data: base64.b64encode(hashlib.sha256(data).digest()).decode()

def write(blocks, **more):
    started = ebs.start_snapshot(VolumeSize=1, Description='walk', **more)
    one = started['SnapshotId']
    for index, data in blocks.items():
        put = ebs.put_snapshot_block(
            SnapshotId=one, BlockIndex=index, BlockData=data, DataLength=size,
            Checksum=digest(data), ChecksumAlgorithm='SHA256', Progress=50)
        assert put['Checksum'] == digest(data), put
    together = b''.join(hashlib.sha256(data).digest() for _, data in sorted(blocks.items()))
    done = ebs.complete_snapshot(
        SnapshotId=one, ChangedBlocksCount=len(blocks), Checksum=digest(together),
        ChecksumAlgorithm='SHA256', ChecksumAggregationMethod='LINEAR')
    assert done['Status'] == 'completed', done
    return started

def listed(one):
    found, page = {}, {}
    while True:
        answer = ebs.list_snapshot_blocks(SnapshotId=one, MaxResults=100, **page)
        assert answer['BlockSize'] == size and answer['VolumeSize'] == 1, answer
        found.update({each['BlockIndex']: each['BlockToken'] for each in answer['Blocks']})
        if 'NextToken' not in answer: return found
        page = {'NextToken': answer['NextToken']}

def read(one, index, token):
    answer = ebs.get_snapshot_block(SnapshotId=one, BlockIndex=index, BlockToken=token)
    data = answer['BlockData'].read()
    assert answer['DataLength'] == size and answer['Checksum'] == digest(data), answer
    return data

blocks = {n: bytes([n % 251 + 1]) * size for n in [*range(120), 1500]}
first = write(blocks, Tags=[{'Key': 'by', 'Value': 'boto3'}])
tokens = listed(first['SnapshotId'])
assert sorted(tokens) == sorted(blocks)
for n in (0, 119, 1500):
    assert read(first['SnapshotId'], n, tokens[n]) == blocks[n]
news = {3: b'new' + bytes(size - 3), 5: bytes(size), 2000: b'far' + bytes(size - 3)}
second = write(news, ParentSnapshotId=first['SnapshotId'], ClientToken='again')
changed = ebs.list_changed_blocks(
    FirstSnapshotId=first['SnapshotId'], SecondSnapshotId=second['SnapshotId'])['ChangedBlocks']
sides = {each['BlockIndex']: sorted(key for key in each if 'Token' in key) for each in changed}
assert sides == {3: ['FirstBlockToken', 'SecondBlockToken'], 5: ['FirstBlockToken'],
                 2000: ['SecondBlockToken']}, sides
for each in changed:
    if 'SecondBlockToken' in each:
        data = read(second['SnapshotId'], each['BlockIndex'], each['SecondBlockToken'])
        assert data == news[each['BlockIndex']]
assert sorted(listed(second['SnapshotId'])) == sorted((set(blocks) - {5}) | {2000})

def refused(call, **asked):
    try:
        getattr(ebs, call)(**asked)
        return ['accepted', '']
    except botocore.exceptions.ClientError as error:
        return [error.response['Error']['Code'], error.response.get('Reason', '')]

one, other = first['SnapshotId'], second['SnapshotId']
stranger = dict(SnapshotId='snap-0123456789abcdef0')
block = dict(BlockIndex=0, BlockData=bytes(size), DataLength=size, ChecksumAlgorithm='SHA256')
pending = ebs.start_snapshot(VolumeSize=1)['SnapshotId']
refusals = [
    refused('list_snapshot_blocks', **stranger),
    refused('get_snapshot_block', SnapshotId=one, BlockIndex=1, BlockToken=tokens[0]),
    refused('get_snapshot_block', SnapshotId=other, BlockIndex=0, BlockToken=tokens[0]),
    refused('get_snapshot_block', SnapshotId=one, BlockIndex=0, BlockToken='made+up'),
    refused('list_snapshot_blocks', SnapshotId=one, NextToken='made+up'),
    refused('list_snapshot_blocks', SnapshotId=pending),
    refused('put_snapshot_block', SnapshotId=pending, Checksum=digest(b'x'), **block),
    refused('put_snapshot_block', SnapshotId=pending, Checksum=digest(block['BlockData']),
            **{**block, 'BlockIndex': 2048}),
    refused('put_snapshot_block', SnapshotId=one, Checksum=digest(block['BlockData']), **block),
    refused('put_snapshot_block', Checksum=digest(block['BlockData']), **block, **stranger),
    refused('complete_snapshot', SnapshotId=pending, ChangedBlocksCount=1),
    refused('complete_snapshot', SnapshotId=pending, ChangedBlocksCount=0, Checksum=digest(b'x'),
            ChecksumAlgorithm='SHA256', ChecksumAggregationMethod='LINEAR'),
    refused('start_snapshot', VolumeSize=65537),
    refused('start_snapshot', VolumeSize=1, Timeout=10, Encrypted=True),
    refused('start_snapshot', VolumeSize=2, ClientToken='again'),
    refused('start_snapshot', VolumeSize=1, ParentSnapshotId=pending),
]
print(json.dumps({'first': {**first, 'StartTime': ''}, 'refusals': refusals}, default=str))
`

test('boto3 puts snapshots together, reads them, compares them, and is refused what is wrong', async (t) => {
  const { url, cloud } = await listening(t)
  const home = mkdtempSync(join(tmpdir(), 'mallee-home-'))
  t.after(() => rmSync(home, { recursive: true }))
  const { stdout } = await exec([PYTHON, '-c', WALK, url], {
    env: {
      ...{ HOME: home, AWS_DEFAULT_REGION: REGION, AWS_EC2_METADATA_DISABLED: 'true' },
      AWS_ACCESS_KEY_ID: KEY.accessKeyId,
      AWS_SECRET_ACCESS_KEY: KEY.secretAccessKey,
    },
    timeoutMs: 60_000,
  })
  const { first, refusals } = JSON.parse(stdout)
  assert.equal(first.Status, 'pending')
  assert.deepEqual(first.Tags, [{ Key: 'by', Value: 'boto3' }])
  const NOT_FOUND = ['ResourceNotFoundException', 'SNAPSHOT_NOT_FOUND']
  const invalid = (reason: string) => ['ValidationException', reason]
  assert.deepEqual(refusals, [
    NOT_FOUND,
    invalid('INVALID_BLOCK_TOKEN'),
    invalid('INVALID_BLOCK_TOKEN'),
    invalid('INVALID_BLOCK_TOKEN'),
    invalid('INVALID_PAGE_TOKEN'),
    invalid('INVALID_SNAPSHOT_ID'),
    invalid('INVALID_BLOCK'),
    invalid('INVALID_BLOCK'),
    invalid('INVALID_SNAPSHOT_ID'),
    NOT_FOUND,
    invalid('INVALID_PARAMETER_VALUE'),
    invalid('INVALID_PARAMETER_VALUE'),
    invalid('INVALID_VOLUME_SIZE'),
    invalid('INVALID_PARAMETER_VALUE'),
    ['ConflictException', ''],
    invalid('INVALID_SNAPSHOT_ID'),
  ])
  const { Snapshots } = await cloud.call('DescribeSnapshots', { OwnerIds: ['self'] })
  const sizes = Snapshots?.map((one) => [one.State, one.FullSnapshotSizeInBytes])
  assert.deepEqual(
    sizes
      ?.filter(([state]) => state === 'completed')
      .map(([, size]) => size)
      .sort(),
    [121 * BLOCK, 121 * BLOCK],
  )
})

for (const [what, ask, status, code] of [
  ['another path', { path: '/volumes' }, 404, 'UnknownOperationException'],
  ['another method', { method: 'DELETE' }, 404, 'UnknownOperationException'],
  ['another region', { region: 'eu-west-1' }, 403, 'InvalidSignatureException'],
  ['a secret that is none', { secret: 'wrong' }, 403, 'InvalidSignatureException'],
  ['a key that is none', { accessKeyId: 'AKIANOBODY' }, 403, 'UnrecognizedClientException'],
  ['no JSON', { body: '{' }, 400, 'SerializationException'],
  ['a member of no name', { body: '{"VolumeSize":1,"Speed":2}' }, 400, 'ValidationException'],
  ['a size of no number', { body: '{"VolumeSize":"1"}' }, 400, 'ValidationException'],
  ['no size', { body: '{}' }, 400, 'ValidationException'],
  ['too large a body', { body: ' '.repeat(BLOCK + 1) }, 400, 'ValidationException'],
] as const) {
  test(`a request with ${what} is ${code}`, async (t) => {
    const { url, port } = await listening(t)
    const usual = { service: 'ebs', method: 'POST', path: '/snapshots', body: '{"VolumeSize":1}' }
    const wish = { ...usual, ...ask }
    const isPost = wish.method === 'POST'
    const { host: _, ...headers } = signedHeadersOf(port, isPost ? wish : { ...wish, body: '' })
    const sent = { method: wish.method, headers, ...(isPost && { body: wish.body }) }
    const answer = await fetch(`${url}${wish.path}`, sent)
    assert.deepEqual([answer.status, answer.headers.get('x-amzn-errortype')], [status, code])
    assert.match(answer.headers.get('x-amzn-requestid') ?? '', /^[0-9a-f-]{36}$/)
    assert.ok('Message' in ((await answer.json()) as object))
  })
}

test('a snapshot is read by whom it is shared with', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const { handlers, bytes } = await opened(t, cloud)
  const shared = await putSnapshot(cloud.state, { sharedWith: [OTHER_ACCOUNT] })
  const { manifest } = await bytes.completeStaged(shared.id, null, 8 * 2 ** 30)
  await cloud.state.update((tx) => tx.put('volume-snapshot', [shared.id], { ...shared, manifest }))
  const other = await putSnapshot(cloud.state, { manifest })
  const list = (account: string, SnapshotId: string) =>
    handlers.ListSnapshotBlocks(contextOf(account), { SnapshotId })
  assert.deepEqual((await list(OTHER_ACCOUNT, shared.id)).Blocks, [])
  await assert.rejects(async () => list(OTHER_ACCOUNT, other.id), { status: 404 })
})

test('what was closed and not completed is finished by whoever finds it, or asks again', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const { handlers, bytes } = await opened(t, cloud)
  const SnapshotId = await started(handlers)
  const completeStaged = () => Promise.reject(new Error('killed'))
  const broken = await opened(t, cloud, { ...bytes, completeStaged })
  const asked = { SnapshotId, ChangedBlocksCount: 1 }
  await assert.rejects(
    async () => broken.handlers.CompleteSnapshot(contextOf(ACCOUNT), asked),
    /killed/,
  )
  const BlockData = new Uint8Array(BLOCK)
  const Checksum = createHash('sha256').update(BlockData).digest('base64')
  const late = { ...asked, BlockIndex: 2, BlockData, DataLength: BLOCK, Checksum }
  await assert.rejects(
    async () =>
      handlers.PutSnapshotBlock(contextOf(ACCOUNT), { ...late, ChecksumAlgorithm: 'SHA256' }),
    { code: 'ConflictException' },
  )
  await keepSnapshots({ state: cloud.state, bytes, clock: systemClock, log: silentLog })
  const record = cloud.state.view().get('volume-snapshot', SnapshotId)
  assert.equal(record?.state, 'completed')
  assert.equal(record.dataBytes, BLOCK)
  assert.deepEqual(await handlers.CompleteSnapshot(contextOf(ACCOUNT), asked), {
    Status: 'completed',
  })
})

test('a snapshot that nobody writes any more ends, and says so to who comes late', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const { handlers, bytes } = await opened(t, cloud)
  const SnapshotId = await started(handlers)
  const clock = { ...systemClock, nowMs: () => NOW + 61 * 60_000 }
  await keepSnapshots({ state: cloud.state, bytes, clock, log: silentLog })
  assert.equal(cloud.state.view().get('volume-snapshot', SnapshotId)?.state, 'error')
  await assert.rejects(
    async () =>
      handlers.CompleteSnapshot(contextOf(ACCOUNT), { SnapshotId, ChangedBlocksCount: 1 }),
    { reason: 'WRITE_REQUEST_TIMEOUT' },
  )
})

const NOW = Date.UTC(2026, 10, 22, 12)

type Bytes = ReturnType<typeof memorySnapshots>

async function opened(t: TestContext, { state }: Cloud, bytes: Bytes = memorySnapshots()) {
  const sealer = await testSealer(t)
  return { handlers: directHandlers({ state, randomHex, sealer, bytes }), bytes }
}

async function listening(t: TestContext) {
  const bytes = memorySnapshots()
  const cloud = await openCloud(t, { racks: ['a'], snapshotHolds: bytes })
  const { handlers: direct } = await opened(t, cloud, bytes)
  const { url, port } = await startEndpoint(t, {
    direct,
    secretOf: async (id) =>
      id === KEY.accessKeyId
        ? { secret: KEY.secretAccessKey, caller: contextOf(ACCOUNT).caller }
        : null,
  })
  return { url, port, cloud }
}

/** With one block. */
async function started(handlers: ReturnType<typeof directHandlers>): Promise<string> {
  const { SnapshotId = '' } = await handlers.StartSnapshot(contextOf(ACCOUNT), { VolumeSize: 1 })
  const BlockData = Buffer.alloc(BLOCK, 'x')
  const Checksum = createHash('sha256').update(BlockData).digest('base64')
  const block = { BlockIndex: 1, BlockData, DataLength: BLOCK, Checksum } as const
  await handlers.PutSnapshotBlock(contextOf(ACCOUNT), {
    ...{ SnapshotId, ...block, ChecksumAlgorithm: 'SHA256' },
  })
  return SnapshotId
}

function contextOf(account: string) {
  const userArn = `arn:aws:iam::${account}:root`
  const caller = { account, userArn, userId: account, accessKeyId: KEY.accessKeyId }
  return { caller, requestId: 'x', nowMs: NOW, log: silentLog, parameters: new Map() }
}
