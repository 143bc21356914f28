// The command line of the QEMU that launches are measured against.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bareArgv } from '../../bench/peers/qemu.ts'
import { qemuArgv } from '../../cluster-agent/host/qemu.ts'

const OWN = '/var/lib/mallee/instances/i-0123456789abcdef0'
const MACHINE = {
  id: 'i-0123456789abcdef0',
  uuid: 'ec2d8f1a-0000-4000-8000-000000000000',
  machineType: 'pc-q35-7.2',
  accelerator: 'tcg',
  vcpus: 2,
  memoryMib: 512,
  hasDisk: true,
  base: null,
  waits: false,
  kernel: null,
  offloads: false,
} as const

function argvIn(dir: string, tap: string): string[] {
  const nics = [{ id: 'eni-1', tap, mac: '02:00:00:00:00:01', mtu: 1420 }]
  return qemuArgv({ ...MACHINE, nics }, dir)
}

test("bareArgv is the machine's command line in another folder and at another tap", () => {
  const argv = [...argvIn(OWN, 'mt0000000001'), '-daemonize']
  assert.deepEqual(bareArgv(argv, '/tmp/bare', 'bare0'), argvIn('/tmp/bare', 'bare0'))
})

test('bareArgv throws NotSupported for a command line without a folder or a tap', () => {
  const tapless = qemuArgv({ ...MACHINE, nics: [] }, OWN)
  for (const argv of [tapless, ['sleep', '5'], []]) {
    assert.throws(() => bareArgv(argv, '/tmp/bare', 'bare0'), { code: 'NotSupported' })
  }
})
