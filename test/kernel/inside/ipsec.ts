// Inside a lone machine: IPsec tunnels to customers' devices with the kernel's XFRM at both ends.

import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { exec } from '../../../common/exec.ts'
import { probeMachine } from '../../../common/machine.ts'
import { testIpsec } from '../../cluster-agent/cc/ipsec-tunnels.ts'
import { loadModules, whyNotInside } from './kernel.ts'

describe('IPsec in the kernel', { skip: whyNotInside }, () => {
  before(async () => {
    // All is loaded by who first asks for it: where the processor is emulated, later than a probe
    // waits.
    await loadModules('xfrm_user', 'xfrm_interface', 'esp4', 'esp6', 'gcm', 'seqiv')
    await probeMachine(exec)
  })

  test('it is found', async () => {
    assert.equal((await probeMachine(exec)).ipsec, 'kernel')
  })

  testIpsec()
})
