// npm run test:kernel-vpn: VPN connections to IPsec devices as production holds them, with the
// kernel's XFRM, in one machine with Debian's cloud kernel. The test is the same as without.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type LoneMachine, startLoneMachine } from './lone-machine.ts'

const RUN_MS = 600_000

let machine: LoneMachine

before(async () => {
  machine = await startLoneMachine({ memoryMib: 1_024, disksMib: [] })
})

after(async () => {
  await machine?.stop()
})

test('inside: ipsec', async () => {
  const { code, stdout } = await machine.run('test/kernel/inside/ipsec.ts', RUN_MS)
  console.log(stdout)
  assert.equal(code, 0, machine.lastWords())
})
