// Inside a lone machine: volumes served by the kernel's LIO to the kernel's initiator. Who gets in,
// who is thrown out, what survives.

import assert from 'node:assert/strict'
import { constants, open, readFile } from 'node:fs/promises'
import { after, before, describe, test } from 'node:test'
import { configTree } from '../../../cluster-agent/host/config-tree.ts'
import type { VolumeBackend, VolumeId } from '../../../cluster-agent/sc/volumes/backend.ts'
import { fileBackend } from '../../../cluster-agent/sc/volumes/files.ts'
import { lioTargets } from '../../../cluster-agent/sc/volumes/lio.ts'
import {
  reconcileVolumes,
  type VolumeStatus,
  type VolumesParts,
} from '../../../cluster-agent/sc/volumes/reconcile.ts'
import { LUN } from '../../../cluster-agent/sc/volumes/targets.ts'
import {
  type Grant,
  parseWantedVolume,
  type WantedVolume,
} from '../../../cluster-agent/sc/volumes/wanted.ts'
import { randomHex, systemClock } from '../../../common/clock.ts'
import { exec } from '../../../common/exec.ts'
import { silentLog } from '../../../common/log.ts'
import { chooseVolumeTarget, LIO_TREE, loadLio } from '../../../common/volume-target.ts'
import { NO_RESTORES } from '../../support/no-restores.ts'
import {
  attach,
  detach,
  login,
  loginOf,
  REFUSED,
  rescan,
  sizeOf,
  startInitiator,
} from './initiator.ts'
import { loadModules, whyNotInside } from './kernel.ts'

const IQN = 'iqn.2026-01.cloud.mallee'
const PORTAL = '[::1]:3260'
const MIB = 1 << 20
const SIZE_BYTES = 64 * MIB
/** Smaller ones mkfs.xfs refuses. */
const XFS_BYTES = 320 * MIB
const DEVICE = '/dev/nvme3n1'
const FOLDER = '/root/volumes'
const NOBODY = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups']

describe('volumes with the kernel as target and initiator', { skip: whyNotInside }, () => {
  const tree = configTree(LIO_TREE)
  let parts: VolumesParts
  let backend: VolumeBackend
  let lastId = 0
  const wanted = new Map<VolumeId, WantedVolume>()

  before(async () => {
    await loadModules('iscsi_tcp', 'sd_mod', 'xfs')
    await startInitiator()
    const choice = { roles: ['sc'], volumeTarget: 'auto' } as const
    assert.equal(await chooseVolumeTarget(exec, choice), 'lio')
    await exec(['mkdir', '-p', FOLDER])
    parts = await startAgent()
  })
  after(async () => {
    await parts?.targets.stop()
  })

  /** As after a start: it knows nothing but what it finds. */
  async function startAgent(): Promise<VolumesParts> {
    backend = await fileBackend(exec, FOLDER)
    const targets = lioTargets({
      ...{ exec, clock: systemClock, tree, load: () => loadLio(exec) },
      blockDevices: configTree('/sys/dev/block'),
    })
    const common = { randomHex, log: silentLog, backend, targets, restores: NO_RESTORES }
    return { ...common, ledgers: `${FOLDER}/ledgers`, portal: PORTAL }
  }

  async function have(fields: Partial<WantedVolume> = {}): Promise<WantedVolume> {
    lastId += 1
    const id = `vol-${String(lastId).padStart(17, '0')}`
    const parsed = parseWantedVolume({
      ...{ id, sizeBytes: SIZE_BYTES, targetIqn: `${IQN}:${id}` },
      ...{ multiAttach: false, deleted: false, source: null, grants: [grantOf(id, 1)] },
      ...fields,
    })
    assert.ok(parsed.ok)
    return await want(parsed.value)
  }

  async function want(volume: WantedVolume, change: Partial<WantedVolume> = {}) {
    const changed = { ...volume, ...change }
    wanted.set(volume.id, changed)
    const { failed, statuses } = await pass()
    assert.equal(failed, 0, JSON.stringify(statuses))
    return changed
  }

  async function pass() {
    return await reconcileVolumes(parts, [...wanted.values()])
  }

  async function statusOf({ id }: WantedVolume): Promise<VolumeStatus> {
    const { statuses, steps } = await pass()
    assert.equal(steps, 0)
    const status = statuses.find((one) => one.id === id)
    assert.ok(status)
    return status
  }

  test('a grant lets in who has its secret and its name, and nobody else', async () => {
    const volume = await have()
    const right = loginOf(volume, PORTAL)
    const { grant } = right
    for (const [what, change] of [
      ['a wrong secret', { chapSecret: 'not-the-secret-of-it' }],
      ['an unknown user', { chapUser: 'nobody' }],
      ['another name', { initiatorIqn: `${grant.initiatorIqn}x` }],
    ] as const) {
      const wrong = { ...right, grant: { ...grant, ...change } }
      assert.equal(await login(wrong), REFUSED, what)
    }
    assert.equal(await login(right), 0)
    await detach(right)
    const secret = `${LIO_TREE}/iscsi/${volume.targetIqn}/tpgt_1/acls/${grant.initiatorIqn}/auth`
    const { code } = await exec([...NOBODY, 'cat', `${secret}/password`], { okCodes: [1] })
    assert.equal(code, 1)
  })

  test('a file system is written, flushed and read back by a later attachment', async () => {
    const volume = await have({ sizeBytes: XFS_BYTES })
    const first = loginOf(volume, PORTAL)
    const disk = await attach(first)
    assert.equal(await text(`/sys/block/${disk.slice(5)}/queue/write_cache`), 'write back')
    await exec(['mkfs.xfs', '-q', disk], LONG)
    await exec(['mount', disk, '/mnt'])
    await exec(['dd', 'if=/dev/urandom', 'of=/mnt/file', 'bs=1M', 'count=8', 'conv=fsync'], LONG)
    const sum = await exec(['sha256sum', '/mnt/file'], LONG)
    await exec(['umount', '/mnt'])
    await detach(first)

    const second = await want(volume, { grants: [grantOf(volume.id, 2)] })
    assert.equal(await login(first), REFUSED)
    const later = loginOf(second, PORTAL)
    await exec(['mount', '-o', 'ro', await attach(later), '/mnt'])
    assert.equal((await exec(['sha256sum', '/mnt/file'], LONG)).stdout, sum.stdout)
    await exec(['umount', '/mnt'])
    await detach(later)
  })

  test('a restarted agent finds everything and changes nothing', async () => {
    const volume = await have()
    const client = loginOf(volume, PORTAL)
    const disk = await attach(client)
    parts = await startAgent()
    const { grants, reason, sizeBytes } = await statusOf(volume)
    assert.deepEqual(grants, [{ attachment: 'a1', generation: 1, ownTarget: false }])
    assert.deepEqual([reason, sizeBytes], ['', SIZE_BYTES])
    await write(disk, 0, 1)
    await detach(client)
  })

  test('nothing of a writer that is thrown out lands any more', async () => {
    const volume = await have()
    const old = loginOf(volume, PORTAL)
    const disk = await attach(old, 3)
    await write(disk, 0, 1)
    const busy = exec(
      ['sh', '-c', `while dd if=/dev/zero of=${disk} bs=64k count=200 oflag=direct; do :; done`],
      LONG,
    )
    await want(volume, { grants: [grantOf(volume.id, 2)] })
    const file = await open(backend.path(volume.id), 'r+')
    // What is here now is what the next one has.
    await file.write(Buffer.alloc(SIZE_BYTES, 2), 0, SIZE_BYTES, 0)
    await busy
    const late = await exec(['dd', 'if=/dev/zero', `of=${disk}`, 'count=1', 'oflag=direct'], {
      ...{ okCodes: [1], ...LONG },
    })
    assert.match(late.stderr, /error|No such device/i)
    const { buffer } = await file.read(Buffer.alloc(SIZE_BYTES), 0, SIZE_BYTES, 0)
    await file.close()
    assert.ok(buffer.every((byte) => byte === 2))
    await detach(old)
    wanted.delete(volume.id)
  })

  test('who is thrown out and has not logged out gets errors, and does not wait', async () => {
    const name = `${IQN}:1:vol-${String(lastId + 1).padStart(17, '0')}`
    const volume = await have({ grants: [{ ...grantOf('alone', 1), targetIqn: name }] })
    const client = loginOf(volume, PORTAL)
    const disk = await attach(client)
    await write(disk, 0, 1)
    await want(volume, { grants: [] })
    assert.deepEqual((await statusOf(volume)).grants, [])
    await assert.rejects(write(disk, 1, 2), /Input\/output error/)
    assert.equal((await readFile(backend.path(volume.id)))[MIB], 0)
    await detach(client)
  })

  test('several attachments write when they may, and one that ends leaves the others', async () => {
    const grants = [grantOf('shared', 1), grantOf('shared', 2)]
    const volume = await have({ multiAttach: true, grants })
    const [one, two] = [loginOf(volume, PORTAL, 0), loginOf(volume, PORTAL, 1)]
    const [first, second] = [await attach(one), await attach(two)]
    await write(first, 0, 3)
    await write(second, 1, 4)
    await want(volume, { grants: grants.slice(1) })
    await write(second, 2, 5)
    await detach(two)
    await detach(one)
    assert.equal(await login(one), REFUSED)
  })

  test('what is discarded takes no room any more', async () => {
    const volume = await have()
    const client = loginOf(volume, PORTAL)
    const disk = await attach(client)
    await exec(['dd', 'if=/dev/urandom', `of=${disk}`, 'bs=1M', 'count=8', 'oflag=direct'], LONG)
    assert.equal((await statusOf(volume)).usedBytes, 8 * MIB)
    await exec(['blkdiscard', '--length', `${8 * MIB}`, disk], LONG)
    assert.equal((await statusOf(volume)).usedBytes, 0)
    await detach(client)
  })

  test('a volume that grew is seen so and keeps what it had', async () => {
    const volume = await have()
    const client = loginOf(volume, PORTAL)
    const disk = await attach(client)
    await write(disk, 0, 6)
    await want(volume, { sizeBytes: SIZE_BYTES + 16 * MIB })
    await rescan(client)
    assert.equal(sizeOf(disk), SIZE_BYTES + 16 * MIB)
    await write(disk, 70, 7)
    assert.equal((await readFile(backend.path(volume.id)))[0], 6)
    await detach(client)
  })

  test('after a restart of the machine everything is made again, and clients go on', async () => {
    const volume = await have()
    const client = loginOf(volume, PORTAL)
    const disk = await attach(client)
    await write(disk, 0, 8)
    await parts.targets.stop()
    assert.deepEqual(await parts.targets.look(), { targets: [], leftovers: [] })
    const { stdout } = await exec(['ss', '-Hltn'])
    assert.doesNotMatch(stdout, /:3260/)
    parts = await startAgent()
    assert.equal((await pass()).failed, 0)
    await write(disk, 1, 9)
    assert.equal((await readFile(backend.path(volume.id)))[MIB], 9)
    await detach(client)
  })

  test('a block device is served, takes discards, and is let go', async () => {
    const iqn = `${IQN}:vol-${'b'.repeat(17)}`
    const { targets } = parts
    await targets.serve({ tid: 0, iqn, lun: LUN, serial: `vol${'b'.repeat(17)}`, file: DEVICE })
    const grant = grantOf('block', 1)
    await targets.grant({ tid: 0, iqn }, grant)
    const client = { portal: PORTAL, targetIqn: iqn, grant }
    const disk = await attach(client)
    assert.equal(sizeOf(disk), sizeOf(DEVICE))
    await write(disk, 0, 1)
    await exec(['blkdiscard', '--length', `${MIB}`, disk], LONG)
    const target = (await targets.look())?.targets.find((one) => one.iqn === iqn)
    assert.ok(target)
    const { file, thin, sizeBytes } = target.luns[0] ?? assert.fail('it serves nothing')
    assert.deepEqual([file, thin, sizeBytes], [DEVICE, true, sizeOf(DEVICE)])
    await detach(client)
    await targets.withdraw(target, () => undefined)
    // Nobody has it exclusively any more (open(2), O_EXCL).
    await (await open(DEVICE, constants.O_RDWR | constants.O_EXCL)).close()
  })

  function grantOf(id: string, generation: number): Grant {
    return {
      ...{ attachment: `a${generation}`, generation, chapUser: `${id}-a${generation}` },
      initiatorIqn: `${IQN}:${id}-${generation}`,
      chapSecret: `secret-of-${id}-${generation}`,
    }
  }
})

const LONG = { timeoutMs: 60_000 }

async function text(file: string): Promise<string> {
  return (await readFile(file, 'utf8')).trim()
}

/** A MiB of one byte, past the cache of the client's kernel. */
async function write(disk: string, atMib: number, byte: number): Promise<void> {
  const file = '/tmp/pattern'
  await (await open(file, 'w')).writeFile(Buffer.alloc(MIB, byte))
  const where = [`of=${disk}`, 'bs=1M', `seek=${atMib}`, 'oflag=direct', 'conv=fsync,notrunc']
  await exec(['dd', `if=${file}`, ...where], LONG)
}
