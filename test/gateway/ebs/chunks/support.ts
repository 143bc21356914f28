// Snapshots' bytes over a store and disks, with a clock that the test holds, and a look at whether
// every count is what it has to be.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { after, before, type TestContext } from 'node:test'
import type { BlobStore } from '../../../../common/blobs/blobs.ts'
import { openLocalBlobs } from '../../../../common/blobs/local.ts'
import { randomHex } from '../../../../common/clock.ts'
import { MalleeError } from '../../../../common/errors.ts'
import { silentLog } from '../../../../common/log.ts'
import { type BlockChange, buildManifest, inOrder } from '../../../../common/snapshot-build.ts'
import {
  decodePage,
  decodeRoot,
  SNAPSHOT_BLOCK_BYTES,
  sha256Of,
} from '../../../../common/snapshot-manifest.ts'
import { createSnapshotBytes } from '../../../../gateway/ebs/chunks/create.ts'
import type { HeldRow } from '../../../../gateway/ebs/chunks/holds.ts'
import type { Item } from '../../../../gateway/ebs/chunks/items.ts'
import {
  HELD,
  ITEM_KINDS,
  type ItemKind,
  idleKey,
  itemPrefix,
  STAGED,
} from '../../../../gateway/ebs/chunks/keys.ts'
import type { ChunkParts, Standing } from '../../../../gateway/ebs/chunks/parts.ts'
import type { StagedRow } from '../../../../gateway/ebs/chunks/putting.ts'
import type {
  SnapshotBytes,
  SnapshotUploads,
} from '../../../../gateway/ebs/chunks/snapshot-bytes.ts'
import { sweepIdle } from '../../../../gateway/ebs/chunks/sweep.ts'
import { Commits } from '../../../../gateway/s3/index/commits.ts'
import { workOffGarbage } from '../../../../gateway/s3/keeping/garbage.ts'
import { ORPHAN_AGE_MS, sweepOrphans } from '../../../../gateway/s3/keeping/orphans.ts'
import type { Store } from '../../../../gateway/store/store.ts'
import { type Disposing, filesIn, storageOver, writtenAt } from '../../s3/storage-support.ts'
import type { StoreMaker } from '../../store/stores.ts'

/** In memory where there is such a folder. */
export const BELOW = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
export const SIZE_BYTES = 2 ** 31
const HOUR_MS = 60 * 60_000

export interface ChunkGround {
  readonly parts: ChunkParts
  readonly snapshots: SnapshotBytes & SnapshotUploads
  readonly blobs: BlobStore
  readonly dir: string
  /** What records say of snapshots; pending when nothing is said. */
  readonly standings: Map<string, Standing>
  /** How often a read was refused, and how much damage was told last. */
  readonly told: { refused: number; damage: number }
  readonly pass: (ms: number) => void
}

/** Snapshots of a test's. */
export const [A, B, C] = [
  ...['snap-aaaaaaaaaaaaaaaaa', 'snap-bbbbbbbbbbbbbbbbb', 'snap-ccccccccccccccccc'],
] as const

/** Within a describe: what makes the ground of a test, over a store that goes in the end. */
export function groundsOver(
  makerOf: () => Promise<StoreMaker>,
): (t: TestContext) => Promise<ChunkGround> {
  let maker: StoreMaker
  before(async () => {
    maker = await makerOf()
  })
  after(() => maker.stop())
  return async (t) => await chunksOver(t, await maker.make({ keep: 1 }))
}

/** `engine`: where the bytes are, instead of on a disk. */
export async function chunksOver(
  t: Disposing,
  store: Store,
  engine?: BlobStore,
): Promise<ChunkGround> {
  const { blobs: local, clock, pass, dirs } = await storageOver(t, store, { below: BELOW })
  const blobs = engine ?? local
  const standings = new Map<string, Standing>()
  const told = { refused: 0, damage: 0 }
  const metrics: ChunkParts['metrics'] = {
    snapshotReadRefused: () => {
      told.refused += 1
    },
    setSnapshotDamage: (count) => {
      told.damage = count
    },
    setSnapshotItems: () => undefined,
  }
  const dir = dirs[0] ?? ''
  return over({
    ...{ blobs, dir, standings, told, pass },
    parts: {
      ...{ store, clock, randomHex, log: silentLog, metrics },
      commits: new Commits({ store, clock, randomHex }),
      blobs: () => blobs,
      storeOf: (name) => {
        if (name === blobs.name) return blobs
        throw new MalleeError('StoreUnavailable', `no store ${name}`)
      },
      standing: (snapshot) => standings.get(snapshot) ?? 'pending',
    },
  })
}

function over(ground: Omit<ChunkGround, 'snapshots'>): ChunkGround {
  return { ...ground, snapshots: createSnapshotBytes(ground.parts) }
}

/** The next process over the same disk; its store may be another way to the same one. */
export async function reopened(ground: ChunkGround, store: Store): Promise<ChunkGround> {
  const { parts, dir } = ground
  const { clock } = parts
  const known = `${dir}.known.json`
  const options = { name: 'local', dirs: [dir], known, clock, randomHex, log: silentLog }
  const blobs = await openLocalBlobs(options)
  const commits = new Commits({ store, clock, randomHex })
  const all = { ...parts, store, commits, blobs: () => blobs, storeOf: () => blobs }
  return over({ ...ground, blobs, parts: all })
}

/** As an SC puts it. */
export function sealed(byte: number): { readonly sha256: string; readonly bytes: Uint8Array } {
  return { sha256: sha256Of(block(byte)), bytes: block(byte) }
}

/** A block that is all of one byte; 0 is zeroes. */
export function block(byte: number): Uint8Array {
  return new Uint8Array(SNAPSHOT_BLOCK_BYTES).fill(byte)
}

const digests = Array.from({ length: 256 }, (_, byte) => sha256Of(block(byte)))

/** Brings a snapshot as an SC does: blocks by index, over a base. Returns the manifest. */
export async function bring(
  { snapshots }: ChunkGround,
  snapshot: string,
  blocks: Readonly<Record<number, number>>,
  base: string | null = null,
): Promise<string> {
  if (base !== null) await snapshots.holdBase(base, snapshot)
  const changes = Object.entries(blocks).map(([index, byte]): BlockChange & { byte: number } => ({
    index: Number(index),
    sha256: byte === 0 ? null : (digests[byte] ?? ''),
    byte,
  }))
  const wanted = changes.flatMap(({ sha256, byte }) => (sha256 === null ? [] : [{ sha256, byte }]))
  const missing = await snapshots.missing(
    snapshot,
    wanted.map(({ sha256 }) => sha256),
  )
  for (const { sha256, byte } of wanted) {
    if (missing.includes(sha256)) {
      await snapshots.putBlock(snapshot, { sha256, bytes: block(byte) })
    }
  }
  const from = base === null ? null : await snapshots.root(base)
  const making = buildManifest(from, SIZE_BYTES, inOrder(changes), snapshots.loadPage)
  for (;;) {
    const { done, value } = await making.next()
    const put = done ? snapshots.putRoot : snapshots.putPage
    assert.deepEqual(await put(snapshot, value.bytes), [])
    if (done) return value.sha256
  }
}

/** The first byte of each block that is not zeroes, by index; all of them are read. */
export async function contentOf(
  { snapshots }: ChunkGround,
  manifest: string,
): Promise<Record<number, number>> {
  const found: Record<number, number> = {}
  for (const { index } of (await snapshots.listBlocks(manifest, 0, 1_000)).blocks) {
    found[index] = (await snapshots.readBlock(manifest, index))?.[0] ?? 0
  }
  return found
}

/** Every count is exactly what refers, every idle row is there, every blob is whole. */
export async function audit({ parts, snapshots, blobs }: ChunkGround): Promise<void> {
  const { store } = parts
  const rows = async (prefix: string) =>
    (await store.list(prefix)).entries.map(({ key, value }) => ({
      name: key.slice(prefix.length),
      value: JSON.parse(value) as unknown,
    }))
  const items = new Map<string, Item>()
  const counts = new Map<string, number>()
  const refer = (name: string): void => {
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  const read = async ({ blob }: Item): Promise<Uint8Array> => {
    const pieces: Uint8Array[] = []
    for await (const piece of blobs.read(blob)) pieces.push(Uint8Array.from(piece))
    return Buffer.concat(pieces)
  }
  for (const kind of ITEM_KINDS) {
    for (const { name, value } of await rows(itemPrefix(kind))) {
      const item = value as Item
      items.set(`${kind} ${name}`, item)
      const bytes = await read(item)
      assert.equal(sha256Of(bytes), name)
      if (kind === 'block') continue
      const below = { leaf: 'block', branch: 'leaf', root: 'branch' }[kind]
      const { entries } = kind === 'root' ? decodeRoot(bytes) : decodePage(bytes)
      for (const one of new Set(entries.map((entry) => entry.sha256))) refer(`${below} ${one}`)
    }
  }
  for (const { value } of await rows(HELD)) {
    const { manifest } = value as HeldRow
    refer(`root ${manifest}`)
    await snapshots.listBlocks(manifest, 0, 1_000)
  }
  for (const { value } of await rows(STAGED)) {
    const { sha256 } = value as StagedRow
    if (sha256 !== null) refer(`block ${sha256}`)
  }
  for (const name of counts.keys()) assert.ok(items.has(name), `${name} is referred to`)
  for (const [name, { count, idle }] of items) {
    const [kind, sha256 = ''] = name.split(' ')
    assert.equal(count, counts.get(name) ?? 0, `the count of ${name}`)
    assert.equal(idle !== undefined, count === 0, `${name} is idle`)
    if (idle === undefined) continue
    assert.ok((await store.get(idleKey(idle.untilMs, kind as ItemKind, sha256))) !== null)
  }
}

/** Lets all leases and graces end, and takes away what is nobody's. */
export async function sweepAll(ground: ChunkGround): Promise<void> {
  const { parts, blobs, dir, pass } = ground
  const { store, clock } = parts
  const never = new AbortController().signal
  pass(25 * HOUR_MS)
  assert.equal((await sweepIdle(parts, never)).trouble, null)
  const work = async (): Promise<void> => {
    pass(ORPHAN_AGE_MS + HOUR_MS)
    const worked = await workOffGarbage({ ...parts, store, blobs: new Map([[blobs.name, blobs]]) })
    assert.equal(worked.trouble, null)
  }
  await work()
  const files = await filesIn([dir])
  if (files.length === 0) return
  await writtenAt(files, clock.nowMs())
  pass(ORPHAN_AGE_MS + HOUR_MS)
  await sweepOrphans({ ...parts, log: silentLog }, blobs, never)
  // For the rows that condemn blobs.
  await work()
}
