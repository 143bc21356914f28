// Plugging interfaces into a real QEMU that never boots; guest.test.ts does it with a guest.

import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { machineFiles, newestMachineType, startQemu } from '../../../cluster-agent/host/qemu.ts'
import { firstFreeSlot } from '../../../cluster-agent/host/qemu-devices.ts'
import { listNics, plugNic, unplugNic } from '../../../cluster-agent/host/qemu-nics.ts'
import type { Qmp } from '../../../cluster-agent/host/qmp.ts'
import { addTaps, tapName } from '../../../cluster-agent/host/tap.ts'
import { systemClock } from '../../../common/clock.ts'
import { codeOf } from '../../../common/errors.ts'
import { type SimulatedHost, startHost, whyNoHosts } from '../../support/netns.ts'

const nic = (n: number) => {
  const mac = `02:00:00:00:00:0${n}`
  return { id: `eni-${n}`, tap: tapName(mac), mac, mtu: 1_400 }
}

describe('interfaces of a QEMU that runs', { skip: whyNoHosts() ?? false }, () => {
  const dir = mkdtempSync(join(tmpdir(), 'mallee-nics-'))
  let host: SimulatedHost
  let qmp: Qmp

  before(async () => {
    host = await startHost('nics', dir)
    const { exec, paths } = host
    const nics = [1, 2].map(nic)
    const taps = [1, 2, 3].map((n) => ({ name: nic(n).tap, mtu: 1_400 }))
    await addTaps(exec, taps, new Set())
    const machineDir = join(paths.runDir, 'machine')
    mkdirSync(machineDir)
    const { disk } = machineFiles(machineDir)
    await exec(['qemu-img', 'create', '-q', '-f', 'qcow2', disk, '1M'])
    const machine = {
      id: 'i-00000000000000001',
      uuid: 'ec2a0000-0000-4000-8000-000000000001',
      machineType: await newestMachineType(exec),
      accelerator: 'tcg',
      vcpus: 1,
      memoryMib: 64,
      nics,
      base: null,
      hasDisk: true,
      waits: false,
      kernel: null,
      offloads: false,
    } as const
    qmp = await startQemu({ exec, clock: systemClock }, machine, machineDir)
  })
  after(async () => {
    qmp?.close()
    await host?.stop()
    rmSync(dir, { recursive: true, force: true })
  })

  const macs = async () => (await listNics(qmp)).map(({ mac }) => mac).sort()

  test('listNics names those that it started with', async () => {
    assert.deepEqual(await macs(), [nic(1).mac, nic(2).mac])
    assert.equal(await firstFreeSlot(qmp), 'slot2')
  })

  test('plugNic plugs into the first free slot, once', async () => {
    await plugNic(qmp, nic(3), false)
    assert.deepEqual(await macs(), [nic(1).mac, nic(2).mac, nic(3).mac])
    assert.equal(await firstFreeSlot(qmp), 'slot3')
    await assert.rejects(plugNic(qmp, nic(3), false), (error) => codeOf(error) === 'CommandFailed')
    assert.equal((await macs()).length, 3)
  })

  test('unplugNic says so when nobody in the machine lets go, also when asked again', async () => {
    const third = (await listNics(qmp)).find(({ mac }) => mac === nic(3).mac)
    assert.ok(third)
    assert.equal(await unplugNic(qmp, third), false)
    assert.equal(await unplugNic(qmp, third), false)
  })
})
