// A real guest whose image still comes: it boots, waits for an agent that is away, and in the end
// reads the file without us.

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { appendFileSync, copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { machineFiles } from '../../../cluster-agent/host/qemu.ts'
import { openQmp } from '../../../cluster-agent/host/qmp.ts'
import type { Images } from '../../../cluster-agent/images/images.ts'
import type { NcRole } from '../../../cluster-agent/nc/reconcilers.ts'
import { imagesDir, instanceDir } from '../../../cluster-agent/paths.ts'
import { CHUNK_BYTES, ChunkListMaker } from '../../../common/chunk-list.ts'
import { silentLog } from '../../../common/log.ts'
import { InstanceState } from '../../../proto/gen/mallee/v1/observed_pb.js'
import { until } from '../../../sandbox/until.ts'
import { fileImages, type Gate, gate } from '../../support/file-images.ts'
import { type GuestImage, guestImage } from '../../support/guest-image.ts'
import { whyNoHosts } from '../../support/netns.ts'
import {
  consoleText,
  type Guests,
  guestId,
  guestPid,
  guestShell,
  lazyParts,
  startGuests,
  statusOf,
} from './guests.ts'

const BOOT_MS = 90_000
/** What no boot reads, behind what the guest image has. */
const TAIL_CHUNKS = 6

interface Agent {
  readonly role: NcRole
  readonly images: Images
  readonly held: Gate
  readonly stop: () => Promise<void>
}

describe('a guest whose image still comes', { skip: whyNoHosts() ?? false }, () => {
  const dir = mkdtempSync(join(tmpdir(), 'mallee-lazy-'))
  let guests: Guests
  let agent: Agent
  let firstOfTail = 0

  before(async () => {
    const image = await withTail(await guestImage())
    guests = await startGuests(dir, image)
    agent = newAgent()
  })

  after(async () => {
    await agent?.stop()
    await guests?.host.stop()
    rmSync(dir, { recursive: true, force: true })
  })

  test('it boots from the part that is here', async () => {
    await agent.role.pass(guests.desired([{ n: 1 }]))
    assert.equal(statusOf(agent.role, 1).state, InstanceState.RUNNING)
    const isReady = async () => (await consoleText(guests, 1)).includes('MALLEE-GUEST ready')
    await until('the guest is ready', isReady, { timeoutMs: BOOT_MS })
    assert.ok(!(await agent.images.isWhole(guests.image.sha256)))
    assert.ok((await nodes()).includes('base-file'))
  })

  test('its read waits while its agent is away, and the next agent answers it', async () => {
    const pid = await guestPid(guests, 1)
    const read = readInGuest(firstOfTail + 1)
    await until('the guest reads', () => agent.held.waiting().includes(firstOfTail + 1))
    await agent.stop()
    agent = newAgent()
    await agent.role.pass(guests.desired([{ n: 1 }]))
    await until('it reads again', () => agent.held.waiting().includes(firstOfTail + 1))
    assert.equal(statusOf(agent.role, 1).state, InstanceState.RUNNING)
    agent.held.release()
    assert.equal(await read, await readHere(firstOfTail + 1))
    assert.equal(await guestPid(guests, 1), pid)
  })

  test('when all of it came the guest reads the file, and needs no agent any more', async () => {
    await until('the image is whole', () => agent.images.isWhole(guests.image.sha256))
    await agent.role.pass(guests.desired([{ n: 1 }]))
    const now = await nodes()
    assert.ok(now.includes('whole-file') && !now.includes('base-file'), now.join())
    const file = join(instanceDir(guests.host.paths, guestId(1)), 'machine.json')
    assert.equal(JSON.parse(readFileSync(file, 'utf8')).lazy, false)
    await agent.stop()
    assert.equal(await readInGuest(firstOfTail + 3), await readHere(firstOfTail + 3))
    agent = newAgent()
    await agent.role.pass(guests.desired([{ n: 1, startCount: 1, forceStop: true }]))
    assert.equal(statusOf(agent.role, 1).state, InstanceState.RUNNING)
  })

  function newAgent(): Agent {
    const { paths } = guests.host
    const held = gate((index) => index >= firstOfTail)
    const images = fileImages(guests.image, imagesDir(paths), { before: held.before })
    const { lazy } = lazyParts(images, paths, true)
    const role = guests.newRole(silentLog, { images, lazy })
    return {
      ...{ role, images, held },
      stop: async () => {
        await role.letGo()
        await lazy.close()
        await images.close()
      },
    }
  }

  async function nodes(): Promise<string[]> {
    const qmp = await openQmp(machineFiles(instanceDir(guests.host.paths, guestId(1))).spareQmp)
    try {
      return await qmp.blockNodes()
    } finally {
      qmp.close()
    }
  }

  /** The checksum of a chunk, as the guest sees it on its disk. */
  async function readInGuest(index: number): Promise<string> {
    const line = `dd if=/dev/vda bs=${CHUNK_BYTES} skip=${index} count=1 2>/dev/null | md5sum`
    return /[0-9a-f]{32}/.exec(await guestShell(guests, 1, line))?.[0] ?? ''
  }

  async function readHere(index: number): Promise<string> {
    const bytes = readFileSync(guests.image.file).subarray(
      index * CHUNK_BYTES,
      (index + 1) * CHUNK_BYTES,
    )
    return createHash('md5').update(bytes).digest('hex')
  }

  async function withTail({ file: base }: GuestImage): Promise<GuestImage> {
    const file = join(dir, 'image')
    copyFileSync(base, file)
    const bytes = readFileSync(file)
    const filled = Math.ceil(bytes.length / CHUNK_BYTES)
    firstOfTail = filled
    const padding = Buffer.alloc(filled * CHUNK_BYTES - bytes.length)
    const tail = randomBytes(TAIL_CHUNKS * CHUNK_BYTES)
    appendFileSync(file, Buffer.concat([padding, tail]))
    const maker = new ChunkListMaker()
    const all = readFileSync(file)
    maker.add(all)
    return { file, list: maker.end(), sha256: createHash('sha256').update(all).digest('hex') }
  }
})
