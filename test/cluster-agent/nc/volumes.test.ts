// Volumes of real guests: plugged, written while their SC dies, grown, taken away, booted from.

import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { machineFiles } from '../../../cluster-agent/host/qemu.ts'
import type { NcRole } from '../../../cluster-agent/nc/reconcilers.ts'
import { instanceDir } from '../../../cluster-agent/paths.ts'
import { type Log, silentLog } from '../../../common/log.ts'
import { LUKS_HEADER_BYTES } from '../../../common/volume-sizes.ts'
import { Power } from '../../../proto/gen/mallee/v1/desired_pb.js'
import { InstanceState } from '../../../proto/gen/mallee/v1/observed_pb.js'
import { until } from '../../../sandbox/until.ts'
import { whyNoHosts } from '../../support/netns.ts'
import { attachment, GuestVolumes, serialOf, volumeId } from './guest-volumes.ts'
import {
  consoleText,
  type Guests,
  type GuestWish,
  guestId,
  guestPid,
  guestShell,
  SECOND_MAC,
  startGuests,
  statusOf,
} from './guests.ts'

const BOOT_MS = 90_000
const MIB = 1 << 20
const SIZE = 64 * MIB
const SECTOR = 512
const storedBytes = (bytes: number) => bytes + LUKS_HEADER_BYTES

describe('volumes of real guests', { skip: whyNoHosts() ?? false }, () => {
  const dir = mkdtempSync(join(tmpdir(), 'mallee-nc-volumes-'))
  let guests: Guests
  let volumes: GuestVolumes
  let role: NcRole

  before(async () => {
    guests = await startGuests(dir)
    volumes = await GuestVolumes.open(guests.host)
    role = guests.newRole()
  })

  after(async () => {
    await role?.letGo()
    await guests?.host.stop()
    rmSync(dir, { recursive: true, force: true })
  })

  const pass = (...wishes: GuestWish[]) => role.pass(guests.desired(wishes))
  const shell = (line: string, n = 1) => guestShell(guests, n, line)
  const ready = (n: number, boots = 1) =>
    until(
      `guest ${n} is ready`,
      async () => (await consoleText(guests, n)).split('MALLEE-GUEST ready').length > boots,
      { timeoutMs: BOOT_MS },
    )
  /** Of the disks in their order. */
  const serials = async (n: number) =>
    (await shell('for d in /sys/block/vd*; do cat $d/serial; echo; done', n)).split('\n')
  const has = async (n: number, serial: string) => (await serials(n)).includes(serial)
  /** Without what the time brings. */
  const told = (n = 1) =>
    statusOf(role, n).volumes.map(({ volumeId: id, generation, sizeBytes, trouble }) => ({
      ...{ id, generation: Number(generation), sizeBytes: Number(sizeBytes), trouble },
    }))
  const plugged = (generation: number, sizeBytes = SIZE) => [
    { id: volumeId(1), generation, sizeBytes, trouble: '' },
  ]

  test('a volume is plugged into a guest that runs, formatted and written', async () => {
    await pass({ n: 1 })
    await ready(1)
    assert.deepEqual(told(), [])
    await volumes.grant(1, 1, SIZE)
    await pass({ n: 1, volumes: [attachment(1, 1, SIZE, { iops: 3_000 })] })
    assert.deepEqual(told(), plugged(1))
    assert.equal(statusOf(role, 1).volumes[0]?.attachment, 'attach-1-1')
    await until('the guest has it', () => has(1, serialOf(1)))
    assert.equal(await shell('cat /sys/block/vdb/size'), `${SIZE / SECTOR}\n`)
    await shell('mke2fs /dev/vdb >/dev/null; mount -t ext4 /dev/vdb /mnt')
    await shell('dd if=/dev/urandom of=/mnt/file bs=64k count=32; md5sum /mnt/file >/run/sum')
    await shell('sync')
  })

  test('its secrets are on no command line and in no file of the machine', async () => {
    const secret = attachment(1, 1, SIZE).chapSecret
    const { stdout } = await guests.host.exec(['ps', '-eo', 'args', '-ww'])
    assert.equal(stdout.includes(secret), false)
    const folder = instanceDir(guests.host.paths, guestId(1))
    for (const name of ['machine.json', 'qemu.log', 'console.log']) {
      assert.equal(readFileSync(join(folder, name), 'utf8').includes(secret), false)
    }
  })

  test('a new agent finds it and changes nothing', async () => {
    await role.letGo()
    const steps: unknown[] = []
    const log: Log = { ...silentLog, info: (event, fields) => steps.push([event, fields]) }
    role = guests.newRole(log)
    await pass({ n: 1, volumes: [attachment(1, 1, SIZE, { iops: 3_000 })] })
    assert.deepEqual(steps, [])
    assert.deepEqual(told(), plugged(1))
  })

  test('an SC that dies under writes is a pause: nothing flushed is lost', async () => {
    const line = 'echo $i | dd of=/mnt/log oflag=append conv=notrunc,fsync'
    const write = `i=0; while [ ! -e /run/last ]; do i=$((i+1)); ${line} && echo $i >/run/flushed`
    await shell(`(${write} || : >/run/failed; done) 2>/dev/null & true`)
    const flushed = async () => Number(await shell('cat /run/flushed'))
    await until('it writes', async () => (await flushed()) > 0)
    await volumes.kill()
    await shell('sleep 1')
    const before = await flushed()
    await volumes.pass()
    await until('it goes on', async () => (await flushed()) > before)
    await shell(': >/run/last')
    await until('it ends', async () => (await shell('jobs')).trim() === '')
    const last = await flushed()
    assert.match(await shell('ls /run/failed'), /No such file/)
    await shell('umount /mnt; mount -t ext4 /dev/vdb /mnt')
    assert.equal(await shell('tail -n 1 /mnt/log; wc -l </mnt/log'), `${last}\n${last}\n`)
    assert.match(await shell('md5sum -c /run/sum'), /OK/)
  })

  test('it grows and gets other limits while the guest has it', async () => {
    const more = attachment(1, 1, 2 * SIZE, { iops: 100 })
    await pass({ n: 1, volumes: [more] })
    assert.match(told()[0]?.trouble ?? '', /Cannot grow/)
    await volumes.grant(1, 1, 2 * SIZE)
    await pass({ n: 1, volumes: [more] })
    assert.deepEqual(told(), plugged(1, 2 * SIZE))
    const size = () => shell('cat /sys/block/vdb/size')
    await until('the guest sees it', async () => (await size()) === `${(2 * SIZE) / SECTOR}\n`)
    assert.match(await shell('md5sum -c /run/sum'), /OK/)
  })

  test('it is unplugged, and plugged again as another generation with what it had', async () => {
    await shell('umount /mnt')
    await pass({ n: 1 })
    assert.deepEqual(told(), [])
    assert.equal(await has(1, serialOf(1)), false)
    await volumes.grant(1, 2, 2 * SIZE)
    await pass({ n: 1, volumes: [attachment(1, 2, 2 * SIZE)] })
    assert.deepEqual(told(), plugged(2, 2 * SIZE))
    await until('the guest has it', () => has(1, serialOf(1)))
    await shell('mount -t ext4 /dev/vdb /mnt')
    assert.match(await shell('md5sum -c /run/sum'), /OK/)
  })

  test('an encrypted one has its size in the guest, and only ciphertext outside', async () => {
    const key = 'c0de'.repeat(16)
    const id = await volumes.grant(4, 1, storedBytes(SIZE), key)
    const first = attachment(1, 2, 2 * SIZE)
    const encrypted = (bytes: number) => attachment(4, 1, bytes, { encryptionKey: key })
    await pass({ n: 1, volumes: [first, encrypted(SIZE)] })
    assert.deepEqual(told()[1], { id, generation: 1, sizeBytes: SIZE, trouble: '' })
    await until('the guest has it', () => has(1, serialOf(4)))
    await shell('echo in-the-clear | dd of=/dev/vdc bs=512 conv=sync,fsync')
    const { exec } = guests.host
    const count = ['grep', '-c', 'in-the-clear', volumes.backend.path(id)]
    assert.equal((await exec(count, { okCodes: [0, 1] })).stdout, '0\n')
    await volumes.grant(4, 1, storedBytes(2 * SIZE), key)
    await pass({ n: 1, volumes: [first, encrypted(2 * SIZE)] })
    assert.equal(told()[1]?.sizeBytes, 2 * SIZE)
    assert.match(await shell('head -c 12 /dev/vdc; echo'), /^in-the-clear$/m)
    await pass({ n: 1, volumes: [first] })
  })

  test('a full disk of the SC is an I/O error of its volume, and of no other', async () => {
    const { exec } = guests.host
    const file = volumes.backend.path(await volumes.grant(5, 0, SIZE))
    await exec(['mkdir', '/run/full'])
    await exec(['mount', '-t', 'tmpfs', '-o', 'size=4M', 'full', '/run/full'])
    await exec(['truncate', '--size', String(SIZE), '/run/full/file'])
    await exec(['mount', '--bind', '/run/full/file', file])
    await volumes.grant(5, 1, SIZE)
    const first = attachment(1, 2, 2 * SIZE)
    await pass({ n: 1, volumes: [first, attachment(5, 1, SIZE)] })
    await until('the guest has it', () => has(1, serialOf(5)))
    const write = 'dd if=/dev/urandom of=/dev/vdc bs=1M count=8 conv=fsync; echo $?'
    assert.match(await shell(write), /(Input\/output error|No space left).*\n1\n$/s)
    assert.equal(await shell('cp /mnt/file /mnt/copy; sync; echo $?'), '0\n')
    assert.match(await shell('md5sum -c /run/sum'), /OK/)
    assert.equal(statusOf(role, 1).state, InstanceState.RUNNING)
    await pass({ n: 1, volumes: [first] })
  })

  test('a portal that nobody answers keeps no interface from its guest', async () => {
    await volumes.grant(2, 0, SIZE)
    const both = [attachment(1, 2, 2 * SIZE), attachment(2, 1, SIZE)]
    await pass({ n: 1, second: true, volumes: both })
    assert.match(told()[1]?.trouble ?? '', /cannot be reached at \[::1\]:3260/)
    assert.deepEqual(told().slice(0, 1), plugged(2, 2 * SIZE))
    const links = () => shell('cat /sys/class/net/*/address')
    await until('the guest has it', async () => (await links()).includes(SECOND_MAC))
  })

  test('taken away under writes, it gives errors, and its guest lets go of it', async () => {
    const busy = 'while dd if=/dev/urandom of=/mnt/log bs=64k count=8 conv=fsync; do :; done'
    await shell(`(${busy}; : >/run/ended) >/dev/null 2>&1 & true`)
    await volumes.grant(1, 0, 2 * SIZE)
    await until('its writer ends', async () => !/No such/.test(await shell('ls /run/ended')))
    assert.equal(statusOf(role, 1).state, InstanceState.RUNNING)
    await pass({ n: 1 })
    assert.deepEqual(told(), [])
    assert.equal(await has(1, serialOf(1)), false)
    assert.equal(await shell('umount /mnt; echo $?'), '0\n')
  })

  test('its SC dead under writes, it stays with its guest until that is reset', async () => {
    await volumes.grant(1, 3, 2 * SIZE)
    await pass({ n: 1, volumes: [attachment(1, 3, 2 * SIZE)] })
    await until('the guest has it', () => has(1, serialOf(1)))
    await volumes.kill()
    await shell('(dd if=/dev/zero of=/dev/vdb bs=64k count=8 conv=fsync) >/dev/null 2>&1 & true')
    const waiting = async () => / [1-9]\d*$/m.test(await shell('cat /sys/block/vdb/inflight'))
    await until('it waits', waiting)
    const pid = await guestPid(guests, 1)
    await pass({ n: 1 })
    assert.match(told()[0]?.trouble ?? '', /has not let go of vol-0/)
    assert.equal(statusOf(role, 1).state, InstanceState.RUNNING)
    await pass({ n: 1, rebootCount: 1 })
    assert.deepEqual(told(), [])
    assert.equal(statusOf(role, 1).state, InstanceState.RUNNING)
    assert.equal(statusOf(role, 1).rebootCount, 1)
    assert.notEqual(await guestPid(guests, 1), pid)
    await pass({ n: 1, power: Power.TERMINATED })
  })

  test('a guest boots from its volume, once that is there, and has its instance store', async () => {
    const { exec } = guests.host
    const bytes = 128 * MIB
    const id = await volumes.grant(3, 0, bytes)
    const [from, to] = [`if=${guests.image.file}`, `of=${volumes.backend.path(id)}`]
    await exec(['dd', from, to, 'bs=1M', 'conv=notrunc,sparse', 'status=none'])
    const other = await volumes.grant(2, 1, SIZE)
    const wish: GuestWish = {
      ...{ n: 2, fromVolume: true, ephemeralGib: [1] },
      volumes: [attachment(2, 1, SIZE), attachment(3, 1, bytes, { boot: true })],
    }
    await assert.rejects(pass({ ...wish, volumes: [] }), /needs its root volume/)
    await assert.rejects(pass(wish), { code: 'Unavailable' })
    assert.equal(statusOf(role, 2).state, InstanceState.PENDING)
    assert.match(told(2)[0]?.trouble ?? '', /cannot be reached/)
    await volumes.grant(3, 1, bytes)
    await pass(wish)
    assert.equal(statusOf(role, 2).state, InstanceState.RUNNING)
    await ready(2)
    assert.deepEqual(await serials(2), [serialOf(3), serialOf(2), 'ephemeral0', ''])
    await shell('echo kept >/root/kept; sync; echo lost | dd of=/dev/vdc; sync', 2)
    // What the guest trims takes no room any more.
    const used = async () => (await volumes.backend.look(other))?.usedBytes
    await shell('dd if=/dev/urandom of=/dev/vdb bs=1M count=4 conv=fsync', 2)
    assert.equal(await used(), 4 * MIB)
    await shell('blkdiscard /dev/vdb', 2)
    assert.equal(await used(), 0)
    const folder = instanceDir(guests.host.paths, guestId(2))
    assert.equal(existsSync(machineFiles(folder).disk), false)

    await pass({ ...wish, power: Power.STOPPED, forceStop: true })
    assert.deepEqual(told(2), [])
    const left = readdirSync(folder).filter((name) => name.startsWith('ephemeral'))
    assert.deepEqual(left, [])
    await pass({ ...wish, startCount: 1 })
    await ready(2, 2)
    assert.equal(await shell('cat /root/kept', 2), 'kept\n')
    assert.equal(await shell('head -c 4 /dev/vdc | tr -d "\\000"', 2), '')
    await pass({ ...wish, power: Power.TERMINATED })
  })
})
