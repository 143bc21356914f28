// QEMU's and qemu-img's wrappers: argv as text, and the real programs where they only look.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import {
  newestMachineType,
  type QemuMachine,
  qemuArgv,
  startQemu,
} from '../../../cluster-agent/host/qemu.ts'
import { checkImage, createOverlay } from '../../../cluster-agent/host/qemu-img.ts'
import { systemClock } from '../../../common/clock.ts'
import { codeOf } from '../../../common/errors.ts'
import { exec } from '../../../common/exec.ts'

const MIB = 1 << 20
const GIB = 1 << 30
const MACHINE: QemuMachine = {
  id: 'i-00000000000000001',
  uuid: 'EC2A0000-0000-4000-8000-000000000001',
  machineType: 'pc-q35-7.2',
  accelerator: 'tcg',
  vcpus: 2,
  memoryMib: 256,
  nics: [1, 2].map((n) => ({
    id: `eni-${n}`,
    tap: `mt000000000${n}`,
    mac: `02:00:00:00:00:0${n}`,
    mtu: 1420,
  })),
  offloads: false,
  hasDisk: true,
  base: null,
  waits: false,
  kernel: null,
}

let dir = ''

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'mallee-qemu-'))
})

afterEach(() => rmSync(dir, { recursive: true }))

test('qemuArgv is a machine with its own identity, behind the sandbox', () => {
  const line = ` ${qemuArgv(MACHINE, '/d').join(' ')} `
  for (const part of [
    '-machine pc-q35-7.2',
    '-accel tcg,tb-size=64',
    '-smp 2',
    '-m 256M',
    '-nodefaults',
    '-no-shutdown',
    'spawn=deny',
    'serial=ec2a0000-0000-4000-8000-000000000001',
    'path=/d/console.sock,server=on,wait=off,logfile=/d/console.log,logappend=on',
    'ifname=mt0000000001,script=no,downscript=no,vnet_hdr=off',
    'netdev=net-020000000001,id=nic-020000000001,mac=02:00:00:00:00:01,host_mtu=1420,romfile= ',
    // The second can be unplugged.
    'id=nic-020000000002,mac=02:00:00:00:00:02,host_mtu=1420,romfile=,bus=slot1 ',
    '-device VGA,id=screen,vgamem_mb=4 ',
  ]) {
    assert.ok(line.includes(part), part)
  }
})

test('qemuArgv boots a kernel of its own when it is to', () => {
  const files = { kernel: '/k', ramdisk: '/r', commandLine: 'root=/dev/vda ro' }
  const line = (kernel: QemuMachine['kernel']) => qemuArgv({ ...MACHINE, kernel }, '/d')
  const rest = (kernel: QemuMachine['kernel']) => line(kernel).slice(line(null).length)
  const append = ['-append', 'root=/dev/vda ro']
  assert.deepEqual(rest(files), ['-kernel', '/k', '-initrd', '/r', ...append])
  assert.deepEqual(rest({ ...files, ramdisk: null }), ['-kernel', '/k', ...append])
})

test('qemuArgv gives translated code a quarter of the memory, 64 to 256 MiB', () => {
  for (const [memoryMib, want] of [
    [128, 64],
    [512, 128],
    [4096, 256],
  ] as const) {
    const line = `${qemuArgv({ ...MACHINE, memoryMib }, '/d').join(' ')} `
    assert.ok(line.includes(`-accel tcg,tb-size=${want} `), line)
  }
})

test('qemuArgv keeps offloads on a kernel switch and writes commas in paths twice', () => {
  const line = qemuArgv({ ...MACHINE, accelerator: 'kvm', offloads: true }, '/a,b').join(' ')
  assert.doesNotMatch(line, /vnet_hdr=off|tcg/)
  assert.match(line, /-accel kvm -cpu host/)
  assert.match(line, /filename=\/a,,b\/disk\.qcow2,node-name/)
})

test('newestMachineType names the q35 of the installed QEMU', async () => {
  assert.match(await newestMachineType(exec), /^pc-q35-\d+\.\d+$/)
})

test('startQemu throws what QEMU says when it does not start', async () => {
  // There is no disk.
  const machineType = await newestMachineType(exec)
  const machine = { ...MACHINE, nics: [], machineType }
  await assert.rejects(startQemu({ exec, clock: systemClock }, machine, dir), (error) => {
    assert.equal(codeOf(error), 'CommandFailed')
    assert.match(String(error), /Could not open '.*disk\.qcow2'/)
    return true
  })
})

test('createOverlay makes a disk of the size that is said, or of its image if that is larger', async () => {
  const base = join(dir, 'base.raw')
  writeFileSync(base, '')
  truncateSync(base, 10 * MIB)
  const [small, large] = [join(dir, 'small.qcow2'), join(dir, 'large.qcow2')]
  await createOverlay(exec, { file: small, base, format: 'raw', diskGib: 0 })
  await createOverlay(exec, { file: large, base, format: 'raw', diskGib: 3 })
  assert.equal(await sizeOf(small), 10 * MIB)
  assert.equal(await sizeOf(large), 3 * GIB)
})

test('checkImage refuses an image that reads another file, or is not what it says', async () => {
  const [secret, evil] = [join(dir, 'secret'), join(dir, 'evil.qcow2')]
  writeFileSync(secret, 'x'.repeat(512))
  await exec(['qemu-img', 'create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', secret, evil])
  const corrupt = (error: unknown) => {
    assert.equal(codeOf(error), 'ImageCorrupt')
    return true
  }
  await assert.rejects(checkImage(exec, evil, 'qcow2'), corrupt)
  await assert.rejects(checkImage(exec, secret, 'qcow2'), corrupt)
  const data = join(dir, 'data.raw')
  const outside = join(dir, 'outside.qcow2')
  const options = ['-o', `data_file=${data},data_file_raw=on`]
  await exec(['qemu-img', 'create', '-q', '-f', 'qcow2', ...options, outside, '1M'])
  await assert.rejects(checkImage(exec, outside, 'qcow2'), corrupt)
})

async function sizeOf(file: string): Promise<number> {
  const { stdout } = await exec(['qemu-img', 'info', '--output=json', file])
  return (JSON.parse(stdout) as { 'virtual-size': number })['virtual-size']
}
