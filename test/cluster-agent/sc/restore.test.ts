// Volumes that begin as snapshots, with the real tgtd and qemu-storage-daemon: usable before they
// have come, whoever is killed, and never with bytes that are not the snapshot's.

import assert from 'node:assert/strict'
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { after, before, describe, test } from 'node:test'
import * as tgt from '../../../cluster-agent/host/tgt.ts'
import { hideRestores } from '../../../cluster-agent/sc/restore/shown.ts'
import type { VolumeStatus } from '../../../cluster-agent/sc/volumes/reconcile.ts'
import { systemClock } from '../../../common/clock.ts'
import { LUKS_HEADER_BYTES } from '../../../common/volume-sizes.ts'
import { until } from '../../../sandbox/until.ts'
import { type SimulatedHost, startHost, whyNoHosts } from '../../support/netns.ts'
import { Client } from './initiator.ts'
import { type AgentWish, RestoreAgent, SNAPSHOT } from './restore-agent.ts'

const PORTAL = '[::1]:3260'
const MIB = 1 << 20
const BLOCK_BYTES = 512 << 10
const BLOCKS = 24
const SIZE_BYTES = 16 * MIB
const PROGRAM = join(import.meta.dirname, 'restore-agent.ts')

const skip = whyNoHosts() ?? false

describe('volumes that begin as snapshots', { skip }, () => {
  let dir: string
  let host: SimulatedHost
  let files: tgt.TgtdFiles
  let file: string
  let lastId = 0

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'mallee-restore-'))
    host = await startHost('sc', dir)
    const { runDir } = host.paths
    files = { socket: join(runDir, 'tgtd'), log: join(runDir, 'tgtd.log') }
    file = join(dir, 'snapshot')
    await writeFile(file, snapshotBytes())
  })
  after(async () => {
    if (host !== undefined) {
      const { stateDir, runDir } = host.paths
      const folders = { ledgers: join(stateDir, 'restores'), runDir: join(runDir, 'restores') }
      await tgt.stopTgtd({ exec: host.exec, clock: systemClock }, files)
      await hideRestores({ exec: host.exec, clock: systemClock, ...folders })
    }
    await host?.stop()
    await rm(dir, { recursive: true, force: true })
  })

  function wishOf(fields: Partial<AgentWish> = {}): AgentWish {
    lastId += 1
    const id = `vol-${String(lastId).padStart(17, '0')}`
    const grant = {
      ...{ attachment: 'a1', generation: 1, chapUser: `${id}-a1`, chapSecret: `secret-of-${id}` },
      initiatorIqn: `iqn.2026-01.org.mallee:nc${lastId}`,
    }
    const volume = { id, sizeBytes: SIZE_BYTES, multiAttach: false, deleted: false }
    return {
      ...{ hostPid: host.pid, portal: PORTAL, file, given: null, spoilt: [] },
      ...{ stateDir: host.paths.stateDir, runDir: host.paths.runDir },
      volume: { ...volume, targetIqn: `iqn.2026-01.org.mallee:${id}`, grants: [grant] },
      ...fields,
    }
  }

  function clientOf({ volume: { targetIqn, grants } }: AgentWish): Client {
    const [grant] = grants
    assert.ok(grant)
    return new Client(host, { portal: PORTAL, targetIqn, grant })
  }

  async function read(client: Client, block: number, pattern: number, at = 0): Promise<void> {
    const said = await client.says(`read -P ${pattern} ${block * BLOCK_BYTES + at} 4k`)
    assert.match(said, /read 4096\/4096/)
    assert.doesNotMatch(said, /Pattern verification failed/, `block ${block}`)
  }

  test('is used before it has come, goes on when its agent is killed, and ends as a file', async () => {
    // Of all blocks, four come to begin with.
    const wish = wishOf({ given: [0, 1, 3, 5] })
    const first = new Program(wish)
    await first.says(({ grants }) => grants.length === 1)
    const client = clientOf(wish)
    for (const block of [0, 1, 3]) await read(client, block, patternOf(block))
    await read(client, BLOCKS + 2, 0)
    const { missingBytes } = await first.says(({ missingBytes: bytes }) => bytes > 0)
    assert.ok(missingBytes < BLOCKS * BLOCK_BYTES)
    // Parts of those that are here, and all of one that is not; and nothing of it is flushed.
    assert.match(await client.says(`write -P 101 ${BLOCK_BYTES + 4096} 4k`), /wrote/)
    assert.match(await client.says(`write -P 102 ${5 * BLOCK_BYTES} 512k`), /wrote/)
    assert.match(await client.says(`discard ${6 * BLOCK_BYTES} 1M`), /discard/)

    await first.kill()
    const waiting = client.begin(`write -P 103 ${9 * BLOCK_BYTES + 4096} 4k`)
    const second = new Program({ ...wish, given: null })
    assert.match(await waiting.answer(), /wrote/)
    await second.says(({ missingBytes: bytes }) => bytes === 0)
    const own = join(host.paths.stateDir, 'volumes', `${wish.volume.id}.raw`)
    await until('it is served from its own file', async () => {
      const targets = await tgt.listTargets(files)
      return targets.some(({ luns, accounts }) => luns[0]?.file === own && accounts.length > 0)
    })
    assert.match(await client.says(`write -P 104 ${BLOCKS * BLOCK_BYTES} 4k`), /wrote/)
    await read(client, 1, patternOf(1))
    await second.kill()
    await client.end()

    const want = Buffer.concat([snapshotBytes(), Buffer.alloc(SIZE_BYTES - BLOCKS * BLOCK_BYTES)])
    want.fill(101, BLOCK_BYTES + 4096, BLOCK_BYTES + 8192)
    want.fill(102, 5 * BLOCK_BYTES, 6 * BLOCK_BYTES)
    want.fill(0, 6 * BLOCK_BYTES, 8 * BLOCK_BYTES)
    want.fill(103, 9 * BLOCK_BYTES + 4096, 9 * BLOCK_BYTES + 8192)
    want.fill(104, BLOCKS * BLOCK_BYTES, BLOCKS * BLOCK_BYTES + 4096)
    assert.ok((await readFile(own)).equals(want))
    const { stdout } = await host.exec(['ps', '-e', '-o', 'args='])
    assert.doesNotMatch(stdout, new RegExp(`qemu-storage-daemon.*${wish.volume.id}`))
  })

  test('a block that is not what its snapshot says is named, and is served to nobody', async () => {
    const wish = wishOf({ spoilt: [2] })
    const agent = await RestoreAgent.open(wish)
    await agent.pass()
    const client = clientOf(wish)
    await read(client, 0, patternOf(0))
    assert.match(await client.says(`read ${2 * BLOCK_BYTES} 4k`), /failed/)
    await read(client, 10, patternOf(10))
    const status = await agent.pass()
    const named = new RegExp(`block 2 of ${SNAPSHOT} came with bytes that are not [0-9a-f]{64}`)
    assert.match(status.reason, named)
    assert.equal(status.state, 'ready')
    // A snapshot of it has that block by its name, wherever its bytes are.
    await agent.restores.settled(agent.wanted.id, async (missing) => {
      assert.ok(missing?.blocks.some(({ from, to }) => from <= 2 && to > 2))
      assert.equal(missing?.snapshot, SNAPSHOT)
    })
    // What is overwritten as a whole need not come.
    assert.match(await client.says(`write -P 9 ${2 * BLOCK_BYTES} 512k`), /wrote/)
    await read(client, 2, 9)
    await client.end()
    await agent.pass({ deleted: true, grants: [] })
    assert.equal(await agent.restores.look(agent.wanted.id), null)
    await agent.restores.close()
  })

  test('is encrypted as it comes, also by the next agent, and no snapshot of it is half so', async () => {
    const key = 'ab'.repeat(32)
    const encrypted = { isPlain: true, given: [1, 5] } as const
    const { volume, ...rest } = wishOf(encrypted)
    const sizeBytes = SIZE_BYTES + LUKS_HEADER_BYTES
    const wish: AgentWish = { ...rest, volume: { ...volume, sizeBytes, encryptionKey: key } }
    const image = (file: string) => {
      const object = ['--object', `secret,id=k,data=${key}`]
      return [...object, '--image-opts', `driver=luks,key-secret=k,file.filename=${file}`]
    }
    const looks = async (...commands: string[]) => {
      const shown = first.restores.file(first.wanted.id)
      const said = commands.flatMap((one) => ['-c', one])
      return (await host.exec(['qemu-io', '-t', 'none', ...said, ...image(shown)])).stdout
    }
    const first = await RestoreAgent.open(wish)
    await first.pass()
    const begun = await looks(
      `read -P ${patternOf(5)} ${5 * BLOCK_BYTES} 4k`,
      `write -P 77 ${BLOCK_BYTES + 4096} 4k`,
      `read -P 77 ${BLOCK_BYTES + 4096} 4k`,
      `read -P ${patternOf(1)} ${BLOCK_BYTES} 4k`,
    )
    assert.doesNotMatch(begun, /Pattern verification failed/)
    await assert.rejects(
      first.restores.settled(first.wanted.id, async () => undefined),
      { code: 'Unavailable', message: /are still to be encrypted/ },
    )
    await first.restores.close()

    const second = await RestoreAgent.open({ ...wish, given: null })
    const isWhole = async () => (await second.pass()).missingBytes === 0
    await until('all is here', isWhole)
    await second.restores.settled(second.wanted.id, async (missing) => assert.equal(missing, null))
    await second.pass()
    assert.equal(await second.restores.look(second.wanted.id), null)
    const own = join(host.paths.stateDir, 'volumes', `${volume.id}.raw`)
    const plain = join(dir, 'plain')
    await host.exec(['qemu-img', 'convert', '-O', 'raw', ...image(own), plain])
    const want = snapshotBytes()
    want.fill(77, BLOCK_BYTES + 4096, BLOCK_BYTES + 8192)
    assert.ok((await readFile(plain)).subarray(0, want.length).equals(want))
    assert.equal((await readFile(own)).includes(Buffer.alloc(4096, patternOf(4))), false)
    await second.pass({ deleted: true, grants: [] })
    await second.restores.close()
  })

  test('grows while it comes, and is taken away from who waits for it', async () => {
    const wish = wishOf({ given: [0] })
    const agent = await RestoreAgent.open(wish)
    await agent.pass()
    const client = clientOf(wish)
    await read(client, 0, patternOf(0))
    const grown = { sizeBytes: SIZE_BYTES + MIB }
    await agent.pass(grown)
    await read(client, 0, patternOf(0))
    await client.end()
    const other = clientOf(wish)
    assert.match(await other.says(`write -P 8 ${SIZE_BYTES} 4k`), /wrote/)
    // Whoever waits for a block of a store that is away holds up nobody who ends its session.
    const waiting = other.begin(`read ${4 * BLOCK_BYTES} 4k`)
    await until('it waits', async () => (await agent.pass(grown)).reason === 'Walrus is away')
    assert.equal(waiting.soFar(), '')
    assert.deepEqual((await agent.pass({ ...grown, grants: [] })).grants, [])
    await other.end()
    await agent.pass({ ...grown, deleted: true, grants: [] })
    await agent.restores.close()
  })
})

/** The agent as a program. */
class Program {
  readonly #process: ChildProcessByStdio<null, Readable, null>
  readonly #statuses: VolumeStatus[] = []

  constructor(wish: AgentWish) {
    this.#process = spawn(process.execPath, [PROGRAM, JSON.stringify(wish)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let rest = ''
    this.#process.stdout.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) this.#statuses.push(JSON.parse(line) as VolumeStatus)
    })
  }

  /** The first status of that kind, among those that are still to come, too. */
  async says(holds: (status: VolumeStatus) => boolean): Promise<VolumeStatus> {
    await until('the agent says so', () => {
      if (this.#process.exitCode !== null) throw new Error('the agent ended')
      return this.#statuses.some(holds)
    })
    return this.#statuses.find(holds) ?? assert.fail()
  }

  async kill(): Promise<void> {
    const gone = once(this.#process, 'exit')
    this.#process.kill('SIGKILL')
    await gone
  }
}

function patternOf(block: number): number {
  return block === 3 ? 0 : block + 1
}

function snapshotBytes(): Buffer {
  return Buffer.concat(
    Array.from({ length: BLOCKS }, (_, block) => Buffer.alloc(BLOCK_BYTES, patternOf(block))),
  )
}
