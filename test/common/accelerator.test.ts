// The probe for KVM: what it makes of each way in which a guest may fail, and that its disk boots.

import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { probeAccelerator } from '../../common/accelerator.ts'
import { MalleeError } from '../../common/errors.ts'
import { type Exec, exec } from '../../common/exec.ts'

let runDir = ''

beforeEach(() => {
  runDir = mkdtempSync(join(tmpdir(), 'mallee-accelerator-'))
})

afterEach(() => rmSync(runDir, { recursive: true }))

/** A machine with or without /dev/kvm, on which QEMU does as told; counts its starts. */
function fakeMachine(kvm: boolean, qemu: () => number): { exec: Exec; starts: () => number } {
  let starts = 0
  return {
    starts: () => starts,
    exec: async (argv, options = {}) => {
      if (argv.join(' ') === 'test -c /dev/kvm') {
        return { stdout: '', stderr: '', code: kvm ? 0 : 1 }
      }
      assert.equal(argv[0], 'qemu-system-x86_64')
      assert.ok((options.timeoutMs ?? Number.POSITIVE_INFINITY) <= 5_000)
      starts += 1
      const code = qemu()
      if (options.okCodes?.includes(code)) return { stdout: '', stderr: '', code }
      throw new MalleeError('CommandFailed', `qemu exited ${code}: qemu: no MSR`)
    },
  }
}

test('probeAccelerator says kvm when the guest has run, and asks once in a boot', async () => {
  const machine = fakeMachine(true, () => 33)
  assert.equal((await probeAccelerator(machine.exec, { runDir })).kind, 'kvm')
  assert.equal((await probeAccelerator(machine.exec, { runDir })).kind, 'kvm')
  assert.equal(machine.starts(), 1)
  assert.deepEqual(readdirSync(runDir), ['accelerator.json'])
})

test('probeAccelerator makes no folder to keep its answer in', async () => {
  const machine = fakeMachine(true, () => 33)
  const missing = join(runDir, 'none')
  assert.equal((await probeAccelerator(machine.exec, { runDir: missing })).kind, 'kvm')
  assert.deepEqual(readdirSync(runDir), [])
})

test('probeAccelerator starts nothing without /dev/kvm', async () => {
  const machine = fakeMachine(false, () => 33)
  const { kind, sentence } = await probeAccelerator(machine.exec, { runDir })
  assert.equal(kind, 'tcg')
  assert.match(sentence, /\/dev\/kvm is missing/)
  assert.equal(machine.starts(), 0)
})

test('probeAccelerator says tcg and why when the guest hangs or QEMU ends', async () => {
  const hangs = fakeMachine(true, () => {
    throw new MalleeError('CommandTimeout', 'qemu did not end within 5000 ms')
  })
  assert.match((await probeAccelerator(hangs.exec)).sentence, /did nothing for 5 s/)
  assert.match(
    (await probeAccelerator(hangs.exec, { timeoutMs: 2_500 })).sentence,
    /did nothing for 2.5 s/,
  )
  const ends = fakeMachine(true, () => 134)
  assert.match((await probeAccelerator(ends.exec)).sentence, /qemu: no MSR/)
})

test('probeAccelerator probes again when its file is garbled', async () => {
  writeFileSync(join(runDir, 'accelerator.json'), '{"kind":"xen"}')
  const machine = fakeMachine(true, () => 33)
  assert.equal((await probeAccelerator(machine.exec, { runDir })).kind, 'kvm')
})

test('the probe disk boots: QEMU without KVM ends with the code that the probe looks for', async () => {
  // The real QEMU, with the one word changed that needs hardware.
  const translated: Exec = (argv, options) =>
    argv[0] === 'test'
      ? Promise.resolve({ stdout: '', stderr: '', code: 0 })
      : exec(
          argv.map((word) => (word === 'kvm' ? 'tcg' : word === 'host' ? 'max' : word)),
          { ...options, timeoutMs: 30_000 },
        )
  assert.deepEqual(await probeAccelerator(translated, { runDir }), {
    kind: 'kvm',
    sentence: 'guests run on KVM',
  })
})
