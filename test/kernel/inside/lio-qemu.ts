// Inside a lone machine: the kernel's LIO and QEMU's initiator, which hosts of instances have.

import assert from 'node:assert/strict'
import { open, stat } from 'node:fs/promises'
import { after, before, describe, test } from 'node:test'
import { configTree } from '../../../cluster-agent/host/config-tree.ts'
import type { VolumeId } from '../../../cluster-agent/sc/volumes/backend.ts'
import { lioTargets } from '../../../cluster-agent/sc/volumes/lio.ts'
import { LUN, type ServedTarget } from '../../../cluster-agent/sc/volumes/targets.ts'
import { systemClock } from '../../../common/clock.ts'
import { exec } from '../../../common/exec.ts'
import { LIO_TREE, loadLio } from '../../../common/volume-target.ts'
import { Client, type Login, qemuIo } from '../../cluster-agent/sc/initiator.ts'
import { whyNotInside } from './kernel.ts'

const PORTAL = '[::1]:3260'
const MIB = 1 << 20
const ID = `vol-${'c'.repeat(17)}` as VolumeId
const IQN = `iqn.2026-01.cloud.mallee:1:${ID}`
const FILE = '/root/qemu.raw'
const GRANT = {
  ...{ attachment: 'q1', generation: 1, chapUser: 'qemu-1' },
  ...{ initiatorIqn: 'iqn.2026-01.cloud.mallee:q1', chapSecret: 'secret-of-qemu-number-1' },
}
const OK = /wrote 4096\/4096 bytes/

describe("LIO and QEMU's initiator", { skip: whyNotInside }, () => {
  const targets = lioTargets({
    ...{ exec, clock: systemClock, tree: configTree(LIO_TREE), load: () => loadLio(exec) },
    blockDevices: configTree('/sys/dev/block'),
  })
  const host = { exec, pid: process.pid, paths: { stateDir: '/tmp' } }
  const login: Login = { portal: PORTAL, targetIqn: IQN, grant: GRANT }

  before(async () => {
    await targets.start(PORTAL)
    await serve(64)
  })
  after(async () => {
    await targets.stop()
  })

  async function serve(sizeMib: number): Promise<void> {
    const file = await open(FILE, 'a')
    await file.truncate(sizeMib * MIB)
    await file.close()
    await targets.serve({ tid: 0, iqn: IQN, lun: LUN, serial: 'volc', file: FILE })
    await targets.grant({ tid: 0, iqn: IQN }, GRANT)
  }

  async function served(): Promise<ServedTarget> {
    const target = (await targets.look())?.targets.find(({ iqn }) => iqn === IQN)
    assert.ok(target)
    return target
  }

  test('it writes with the secret, not without, and gives back what it discards', async () => {
    assert.match(await qemuIo(host, login, 'write -P 7 0 4M'), /wrote 4194304/)
    const wrong = { ...login, grant: { ...GRANT, chapSecret: 'not-the-secret-of-it' } }
    assert.match(await qemuIo(host, wrong, 'write 0 4k'), /Failed to log in/)
    const noChap = { ...login, withoutChap: true }
    assert.match(await qemuIo(host, noChap, 'write 0 4k'), /Failed to log in/)
    const before = (await stat(FILE)).blocks
    assert.match(await qemuIo(host, login, 'discard 0 4M'), /discard 4194304/)
    assert.ok((await stat(FILE)).blocks < before)
  })

  test('it goes on after its target was made again, larger, and after all stood still', async () => {
    const client = new Client(host, login)
    assert.match(await client.says('write -P 1 0 4k'), OK)
    await targets.withdraw(await served(), () => undefined)
    const waiting = client.begin('write -P 2 4k 4k')
    await serve(80)
    assert.match(await waiting.answer(), OK)
    await targets.still([ID], async () => assert.deepEqual((await served()).sessions, []))
    assert.match(await client.says('write -P 3 8k 4k'), OK)
    assert.match(await qemuIo(host, login, `write ${64 * MIB} 4k`), OK)
    await client.end()
  })

  test('it has errors when its target is retired, also for what it waits for', async () => {
    const client = new Client(host, login)
    assert.match(await client.says('write -P 1 0 4k'), OK)
    await targets.retire(await served(), () => undefined)
    assert.match(await client.says('write -P 2 0 4k'), /failed/)
    await client.end()
  })
})
