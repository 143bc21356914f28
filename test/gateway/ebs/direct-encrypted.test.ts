// EBS direct APIs and encrypted snapshots: their blocks are read and written as a guest does, and
// kept as its host keeps them. The volumes are made by cryptsetup, and read and written by QEMU.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, open, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { formatLuks } from '../../../cluster-agent/host/luks.ts'
import { randomHex } from '../../../common/clock.ts'
import { exec } from '../../../common/exec.ts'
import { silentLog } from '../../../common/log.ts'
import { isZeroBlock } from '../../../common/snapshot-manifest.ts'
import { LUKS_HEADER_BYTES, storedBytes } from '../../../common/volume-sizes.ts'
import { directHandlers } from '../../../gateway/ebs/direct/index.ts'
import { volumeSecrets } from '../../../gateway/ebs/names.ts'
import { testSealer } from '../../support/sealer.ts'
import { memorySnapshots } from '../../support/snapshot-bytes.ts'
import { ACCOUNT, openCloud, START_MS } from '../ec2/support.ts'
import { putSnapshot } from './support.ts'

const BLOCK = 512 << 10
const BEFORE = LUKS_HEADER_BYTES / BLOCK
const SECRET = 'c0de'.repeat(16)
const OTHER_SECRET = 'dead'.repeat(16)

const digestOf = (data: Uint8Array) => createHash('sha256').update(data).digest()
const base64 = (bytes: Buffer) => bytes.toString('base64')

/** What a line of qemu-io says of the volume that a guest would see. */
async function qemuIo(file: string, ...lines: string[]): Promise<string> {
  const object = ['--object', `secret,id=k,data=${SECRET}`]
  const image = `driver=luks,key-secret=k,file.filename=${file}`
  const commands = lines.flatMap((line) => ['-c', line])
  return (await exec(['qemu-io', ...object, ...commands, '--image-opts', image])).stdout
}

/** A cloud with an encrypted snapshot of 1 GiB whose blocks 2 and 9 its guest has written. */
async function opened(t: TestContext) {
  const cloud = await openCloud(t, { racks: ['a'] })
  const sealer = await testSealer(t)
  const bytes = memorySnapshots()
  const handlers = directHandlers({ state: cloud.state, randomHex, sealer, bytes })
  const dir = await mkdtemp(join(tmpdir(), 'mallee-direct-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  const file = join(dir, 'volume')
  await writeFile(file, '')
  await truncate(file, storedBytes(1, true))
  await formatLuks(exec, file, SECRET)
  await qemuIo(file, `write -P 2 ${2 * BLOCK} 512k`, `write -P 9 ${9 * BLOCK} 512k`)
  const sealed = (id: string, secret: string) => sealer.seal(secret, `volume-key/${id}`)
  const { id, ...record } = await putSnapshot(cloud.state, { encrypted: true, volumeSizeGib: 1 })
  await using handle = await open(file)
  for (let index = 0; index < BEFORE + 16; index++) {
    const block = Buffer.alloc(BLOCK)
    await handle.read(block, 0, BLOCK, index * BLOCK)
    if (!isZeroBlock(block)) await bytes.stageBlock(id, index, block)
  }
  const { manifest } = await bytes.completeStaged(id, null, storedBytes(1, true))
  const snapshot = { id, ...record, manifest, sealedKey: sealed(id, SECRET) }
  await cloud.state.update((tx) => tx.put('volume-snapshot', [id], snapshot))
  return { cloud, sealer, bytes, handlers, dir, snapshot, sealed }
}

function context() {
  const userArn = `arn:aws:iam::${ACCOUNT}:root`
  const caller = { account: ACCOUNT, userArn, userId: ACCOUNT, accessKeyId: 'AKIA' }
  return { caller, requestId: 'x', nowMs: START_MS, log: silentLog, parameters: new Map() }
}

type Handlers = Awaited<ReturnType<typeof opened>>['handlers']

async function put(handlers: Handlers, SnapshotId: string, blocks: Record<number, number>) {
  for (const [index, byte] of Object.entries(blocks)) {
    const BlockData = Buffer.alloc(BLOCK, byte)
    const Checksum = base64(digestOf(BlockData))
    const said = await handlers.PutSnapshotBlock(context(), {
      ...{ SnapshotId, BlockIndex: Number(index), BlockData, DataLength: BLOCK, Checksum },
      ChecksumAlgorithm: 'SHA256',
    })
    assert.equal(said.Checksum, Checksum)
  }
}

test('an encrypted snapshot is read as its guest saw it', async (t) => {
  const { cloud, handlers, snapshot, sealed } = await opened(t)
  const { id: SnapshotId } = snapshot
  const { Blocks = [], VolumeSize } = await handlers.ListSnapshotBlocks(context(), { SnapshotId })
  assert.deepEqual([Blocks.map((one) => one.BlockIndex), VolumeSize], [[2, 9], 1])
  for (const { BlockIndex = 0, BlockToken } of Blocks) {
    const asked = { SnapshotId, BlockIndex, BlockToken }
    const { BlockData, Checksum } = await handlers.GetSnapshotBlock(context(), asked)
    assert.ok(Buffer.alloc(BLOCK, BlockIndex).equals(BlockData ?? Buffer.alloc(0)))
    assert.equal(Checksum, base64(digestOf(Buffer.alloc(BLOCK, BlockIndex))))
  }
  const from = { SnapshotId, StartingBlockIndex: 3 }
  const rest = await handlers.ListSnapshotBlocks(context(), from)
  assert.deepEqual(
    rest.Blocks?.map((one) => one.BlockIndex),
    [9],
  )

  const plain = await putSnapshot(cloud.state, { manifest: snapshot.manifest })
  const mixed = { FirstSnapshotId: plain.id, SecondSnapshotId: SnapshotId }
  await assert.rejects(async () => handlers.ListChangedBlocks(context(), mixed), {
    reason: 'INVALID_SNAPSHOT_ID',
    message: /Only one of/,
  })

  const { manifest } = snapshot
  const foreign = await putSnapshot(cloud.state, { encrypted: true, manifest, volumeSizeGib: 1 })
  const sealedKey = sealed(foreign.id, OTHER_SECRET)
  await cloud.state.update((tx) =>
    tx.put('volume-snapshot', [foreign.id], { ...foreign, sealedKey }),
  )
  const asked = { SnapshotId: foreign.id }
  const listed = await handlers.ListSnapshotBlocks(context(), asked)
  const BlockToken = listed.Blocks?.[0]?.BlockToken
  await assert.rejects(
    async () => handlers.GetSnapshotBlock(context(), { ...asked, BlockIndex: 2, BlockToken }),
    { code: 'DataCorrupt' },
  )
})

test('one that is put together over an encrypted one is so, too, and its guest can read it', async (t) => {
  const { cloud, sealer, bytes, handlers, dir, snapshot } = await opened(t)
  await cloud.call('EnableEbsEncryptionByDefault', {})
  for (const more of [{}, { Encrypted: true }]) {
    await assert.rejects(
      async () => handlers.StartSnapshot(context(), { VolumeSize: 1, ...more }),
      {
        reason: 'INVALID_PARAMETER_VALUE',
        message: /over an encrypted ParentSnapshotId only/,
      },
    )
  }
  const asked = { VolumeSize: 1, ParentSnapshotId: snapshot.id }
  const { SnapshotId = '' } = await handlers.StartSnapshot(context(), asked)
  await put(handlers, SnapshotId, { 9: 77, 3: 0, 2047: 5 })
  const blocks = [0, 77, 5].map((byte) => digestOf(Buffer.alloc(BLOCK, byte)))
  const sums = {
    SnapshotId,
    ChangedBlocksCount: 3,
    Checksum: base64(digestOf(Buffer.concat(blocks))),
  }
  await assert.rejects(
    async () => handlers.CompleteSnapshot(context(), { ...sums, Checksum: 'bm8=' }),
    { reason: 'INVALID_PARAMETER_VALUE' },
  )
  assert.deepEqual(await handlers.CompleteSnapshot(context(), sums), { Status: 'completed' })

  const record = cloud.state.view().get('volume-snapshot', SnapshotId)
  assert.ok(record?.encrypted)
  assert.equal(volumeSecrets(sealer).openVolumeKey(record), SECRET)
  const { ChangedBlocks = [] } = await handlers.ListChangedBlocks(context(), {
    FirstSnapshotId: snapshot.id,
    SecondSnapshotId: SnapshotId,
  })
  assert.deepEqual(
    ChangedBlocks.map((one) => one.BlockIndex),
    [3, 9, 2047],
  )

  // What a volume of it begins as.
  const file = join(dir, 'restored')
  await writeFile(file, '')
  await truncate(file, storedBytes(1, true))
  await using handle = await open(file, 'r+')
  const { blocks: all } = await bytes.listBlocks(record.manifest, 0, 100)
  for (const { index } of all) {
    const block = await bytes.readBlock(record.manifest, index)
    assert.ok(block)
    await handle.write(block, 0, BLOCK, index * BLOCK)
  }
  const read = [
    [2, 2],
    [3, 0],
    [9, 77],
    [2047, 5],
  ].map(([index = 0, byte]) => `read -P ${byte} ${index * BLOCK} 512k`)
  const said = await qemuIo(file, ...read)
  assert.equal(said.split('read 524288/524288').length - 1, read.length)
  assert.doesNotMatch(said, /Pattern verification failed/)
})
