// npm run test:kernel-volumes: volumes as production serves them, in one machine with Debian's
// cloud kernel. Each program below test/kernel/inside/ is a test of its own that runs there.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type LoneMachine, startLoneMachine } from './lone-machine.ts'

const RUN_MS = 600_000
const PROGRAMS = ['lio', 'lio-qemu', 'thin', 'thin-restore']

let machine: LoneMachine

before(async () => {
  machine = await startLoneMachine({ memoryMib: 1_024, disksMib: [1_024, 512] })
})

after(async () => {
  await machine?.stop()
})

for (const program of PROGRAMS) {
  test(`inside: ${program}`, async () => {
    const { code, stdout } = await machine.run(`test/kernel/inside/${program}.ts`, RUN_MS)
    console.log(stdout)
    assert.equal(code, 0, machine.lastWords())
  })
}
