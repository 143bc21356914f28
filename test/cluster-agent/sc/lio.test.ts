// Volumes served by LIO, on a model of its tree: who gets in, and what an agent that ended at any
// step leaves to the next one.

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { VolumeBackend } from '../../../cluster-agent/sc/volumes/backend.ts'
import { fileBackend } from '../../../cluster-agent/sc/volumes/files.ts'
import { lioTargets } from '../../../cluster-agent/sc/volumes/lio.ts'
import { reconcileVolumes, type VolumesParts } from '../../../cluster-agent/sc/volumes/reconcile.ts'
import { alone } from '../../../cluster-agent/sc/volumes/served-by.ts'
import type { VolumeTargets } from '../../../cluster-agent/sc/volumes/targets.ts'
import {
  type Grant,
  parseWantedVolume,
  type WantedVolume,
} from '../../../cluster-agent/sc/volumes/wanted.ts'
import { randomHex, systemClock } from '../../../common/clock.ts'
import { type Exec, exec } from '../../../common/exec.ts'
import { silentLog } from '../../../common/log.ts'
import { chooseVolumeTarget, loadLio } from '../../../common/volume-target.ts'
import { NO_RESTORES } from '../../support/no-restores.ts'
import { FakeConfigfs } from './fake-configfs.ts'

const MIB = 1 << 20
const PORTAL = '[fd00::1]:3260'
const ID = 'vol-00000000000000001'
const IQN = 'iqn.2026-01.org.mallee'

let dir: string
let backend: VolumeBackend

before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'mallee-lio-'))
  backend = await fileBackend(exec, dir)
})
after(() => rm(dir, { recursive: true, force: true }))

/** Nobody else listens. */
const quiet: Exec = async ([program = '']) => {
  assert.equal(program, 'ss')
  return { stdout: '', stderr: '', code: 0 }
}

function targetsOn(tree: FakeConfigfs): VolumeTargets {
  const blockDevices = new FakeConfigfs()
  return lioTargets({ exec: quiet, clock: systemClock, tree, blockDevices, load: async () => null })
}

async function agentOn(tree: FakeConfigfs, ledgers: string): Promise<VolumesParts> {
  const common = { randomHex, log: silentLog, backend, restores: NO_RESTORES }
  return { ...common, targets: targetsOn(tree), ledgers: join(dir, ledgers), portal: PORTAL }
}

function grantOf(generation: number, fields: Partial<Grant> = {}): Grant {
  return {
    ...{ attachment: `a${generation}`, generation, chapUser: `user-${generation}` },
    ...{ initiatorIqn: `${IQN}:nc${generation}`, chapSecret: `secret-of-user-${generation}` },
    ...fields,
  }
}

function wish(fields: Partial<WantedVolume> = {}): WantedVolume {
  const parsed = parseWantedVolume({
    ...{ id: ID, sizeBytes: MIB, targetIqn: `${IQN}:${ID}`, multiAttach: false },
    ...{ grants: [grantOf(1)], deleted: false, source: null },
    ...fields,
  })
  assert.ok(parsed.ok)
  return parsed.value
}

function canLogin(tree: FakeConfigfs, { targetIqn, ...volume }: WantedVolume, one: Grant): boolean {
  assert.equal(volume.id, ID)
  const { initiatorIqn, chapUser, chapSecret } = one
  return tree.login(one.targetIqn ?? targetIqn, initiatorIqn, chapUser, chapSecret)
}

test('a volume is served to who is granted, found again, grown, and taken away', async () => {
  const tree = new FakeConfigfs()
  const parts = await agentOn(tree, 'served')
  const first = wish()
  assert.equal((await reconcileVolumes(parts, [first])).failed, 0)
  assert.ok(canLogin(tree, first, grantOf(1)))
  assert.ok(!canLogin(tree, first, grantOf(1, { chapSecret: 'another-secret-of-it' })))
  const again = await agentOn(tree, 'served')
  const { steps, statuses } = await reconcileVolumes(again, [first])
  assert.deepEqual([steps, statuses[0]?.grants.length], [0, 1])

  const larger = { ...first, sizeBytes: 2 * MIB }
  await reconcileVolumes(again, [larger])
  assert.equal((await again.targets.look())?.targets[0]?.luns[0]?.sizeBytes, 2 * MIB)
  await reconcileVolumes(again, [{ ...larger, grants: [grantOf(2)] }])
  assert.ok(!canLogin(tree, first, grantOf(1)))
  assert.ok(canLogin(tree, first, grantOf(2)))
  await again.targets.stop()
  assert.deepEqual(await tree.list('core'), ['alua'])
  assert.deepEqual(await tree.list('iscsi'), [])
})

test('an agent that ended at any step leaves nothing that the next one does not mend', async () => {
  const names = [1, 2].map((n) => `${IQN}:${n}:${ID}`)
  const both = [1, 2].map((n) => grantOf(n, { targetIqn: names[n - 1] ?? '' }))
  const shared = wish({ multiAttach: true, grants: both })
  const last = { ...shared, grants: both.slice(1) }
  for (let at = 0, isDone = false; !isDone; at += 1) {
    const tree = new FakeConfigfs()
    const ledgers = `crash-${at}`
    tree.left = at
    const crash = async (wanted: WantedVolume): Promise<boolean> => {
      const parts = await agentOn(tree, ledgers)
      await parts.targets.resume().catch(() => undefined)
      return reconcileVolumes(parts, [wanted]).then(
        ({ failed }) => failed > 0,
        () => true,
      )
    }
    const crashed = await crash(shared)
    for (const one of crashed ? [] : both) assert.ok(canLogin(tree, shared, one))
    isDone = !crashed && !(await crash(last))
    tree.left = Number.POSITIVE_INFINITY
    const parts = await agentOn(tree, ledgers)
    await parts.targets.resume()
    const { failed } = await reconcileVolumes(parts, [last])
    assert.equal(failed, 0, `after a crash at ${at}`)
    assert.ok(
      !canLogin(tree, shared, both[0] as Grant) || !(await serves(parts, names[0])),
      `${at}`,
    )
    assert.ok(canLogin(tree, shared, both[1] as Grant), `after a crash at ${at}`)
    await parts.targets.stop()
    assert.deepEqual(await tree.list('core'), ['alua'], `after a crash at ${at}`)
  }
})

async function serves({ targets }: VolumesParts, name?: string): Promise<boolean> {
  const found = (await targets.look())?.targets.find(({ iqn }) => iqn === name)
  return (found?.luns.length ?? 0) > 0
}

test('who is thrown out finds its target again, which serves nothing for ever', async () => {
  const tree = new FakeConfigfs()
  const parts = await agentOn(tree, 'retired')
  const volume = wish()
  await reconcileVolumes(parts, [volume])
  assert.ok(canLogin(tree, volume, grantOf(1)))
  await reconcileVolumes(parts, [{ ...volume, grants: [] }])
  assert.ok(canLogin(tree, volume, grantOf(1)))
  assert.deepEqual(await parts.targets.look(), { targets: [], leftovers: [] })
  assert.deepEqual(await tree.list(`iscsi/${IQN}:${ID}/tpgt_1/lun`), [])
})

test('while volumes stand still nobody has a session, and afterwards all may', async () => {
  const tree = new FakeConfigfs()
  const parts = await agentOn(tree, 'still')
  const volume = wish()
  await reconcileVolumes(parts, [volume])
  assert.ok(canLogin(tree, volume, grantOf(1)))
  await parts.targets.still([volume.id], async () => {
    assert.ok(!tree.hasSessions(`iscsi/${volume.targetIqn}/tpgt_1`))
    assert.ok(!canLogin(tree, volume, grantOf(1)))
  })
  assert.ok(canLogin(tree, volume, grantOf(1)))
})

test('targets of others stay as they are, and one more portal takes the place of the first', async () => {
  const tree = new FakeConfigfs()
  const parts = await agentOn(tree, 'others')
  await reconcileVolumes(parts, [wish()])
  await tree.make('iscsi/iqn.2026-01.org.example:disk')
  await parts.targets.start('[fd00::2]:3260')
  assert.deepEqual(await tree.list(`iscsi/${IQN}:${ID}/tpgt_1/np`), ['[fd00::2]:3260'])
  await parts.targets.stop()
  assert.deepEqual(
    (await tree.list('iscsi')).filter((name) => name.startsWith('iqn')),
    ['iqn.2026-01.org.example:disk'],
  )
})

for (const [what, pids, load, wanted] of [
  ['where the kernel has it', 'pid:[4026531836]', 0, 'lio'],
  ['where the kernel lacks it', 'pid:[4026531836]', 1, 'tgt'],
  ['in a container', 'pid:[4026532000]', 0, 'tgt'],
] as const) {
  test(`chooseVolumeTarget: ${wanted} ${what}, and always what an operator says`, async () => {
    const answers: Exec = async ([, , line = '']) => {
      const isModprobe = line.startsWith('modprobe')
      const stdout = line.startsWith('readlink') ? `${pids}\n` : ''
      return { stdout, stderr: isModprobe ? 'no module' : '', code: isModprobe ? load : 0 }
    }
    const roles = ['sc']
    assert.equal(await chooseVolumeTarget(answers, { roles, volumeTarget: 'auto' }), wanted)
    assert.equal(await chooseVolumeTarget(answers, { roles, volumeTarget: 'lio' }), 'lio')
    assert.equal(await chooseVolumeTarget(answers, { roles: ['nc'], volumeTarget: 'tgt' }), null)
    if (load === 1) assert.match((await loadLio(answers)) ?? '', /no LIO: no module/)
  })
}

test('alone ends what the other target serves, before it is asked anything', async () => {
  const said: string[] = []
  const targets = { ...targetsOn(new FakeConfigfs()), resume: async () => void said.push('resume') }
  const mine = alone(targets, async () => void said.push('end'))
  await mine.resume()
  await mine.resume()
  assert.deepEqual(said, ['end', 'resume', 'resume'])
})
