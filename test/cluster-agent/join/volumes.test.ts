// What rack-join says of volumes: before a host joins, and before it leaves with some.

import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type AgentConfig, CONFIG_DEFAULTS } from '../../../cluster-agent/config.ts'
import { leaveCloud } from '../../../cluster-agent/join/leave.ts'
import { checkVolumes } from '../../../cluster-agent/join/volume-checks.ts'
import { volumeLedgersDir } from '../../../cluster-agent/paths.ts'
import { parseVolumeId } from '../../../cluster-agent/sc/volumes/backend.ts'
import { NO_GRANTS, writeLedger } from '../../../cluster-agent/sc/volumes/ledger.ts'
import type { Exec } from '../../../common/exec.ts'
import { FakeLvm } from '../sc/fake-lvm.ts'

const CONFIG: AgentConfig = {
  ...CONFIG_DEFAULTS,
  ...{ cloud: 'c', region: 'r', rack: 'a', rackIndex: 1, host: 'a1', hostIndex: 1, roles: ['sc'] },
  parents: [{ host: '127.0.0.1', port: 1, joinPort: 1 }],
}
const CEPH = { conf: '/c.conf', pool: 'volumes', user: 'mallee', keyring: '/c.keyring' }
const DF = { pools: [{ name: 'volumes', stats: { stored: 0, max_avail: 7 * 2 ** 30 } }] }
const MONITORS = { fsid: 'f51d', quorum: [], mons: [] }
const SC: Parameters<typeof checkVolumes>[1] = {
  ...{ trunk: null, storageAddress: null, volumePool: null, volumeCeph: null },
  ...{ volumeTarget: 'auto', host: 'a1', rack: 'a', roles: ['sc'] },
}
const LISTENER = 'LISTEN 0 0 *:3260 *:* users:(("other",pid=7,fd=3))\n'

/** A host where programs are missing, or not. */
function hostWith({ missing = '', listener = '', lvm = new FakeLvm() }): Exec {
  return async ([program, ...args]) => {
    const line = args.join(' ')
    const answer = (stdout: string, code = 0) => ({ code, stdout, stderr: '' })
    if (program === 'sh') return answer('', missing !== '' && line.includes(missing) ? 1 : 0)
    if (program === 'ceph' && line.includes(' df ')) return answer(JSON.stringify(DF))
    if (program === 'ceph' && line.includes(' mon dump ')) return answer(JSON.stringify(MONITORS))
    if (program === 'ss') return answer(line === '-Hltnp src :3260' ? listener : '')
    if (program === 'ip') {
      const addr_info = [{ local: '10.9.0.1', prefixlen: 24, family: 'inet', scope: 'global' }]
      return answer(JSON.stringify([{ ifname: 'stor0', flags: ['UP'], addr_info }]))
    }
    if (program === 'lvs' || program === 'lvmconfig') return lvm.exec([program, ...args])
    throw new Error(`no such command in this test: ${program} ${line}`)
  }
}

for (const [what, host, options, wanted] of [
  ['all that it needs', {}, { trunk: 't' }, [/^ok all there/, /^ok port 3260 is free/]],
  [
    'LIO that it lacks',
    {},
    { trunk: 't', volumeTarget: 'lio' },
    [/^ok/, /^warning --volume-target lio: LIO is the whole machine's/, /^ok/],
  ],
  ['no tgtd', { missing: 'tgtd' }, { trunk: 't' }, [/^warning tgtd is not installed/, /^ok/]],
  ['no trunk', {}, {}, [/^ok/, /^warning no trunk/, /^ok/]],
  [
    'another target',
    { listener: LISTENER },
    { trunk: 't' },
    [/^ok/, /^warning other \(process 7\)/],
  ],
  [
    'Ceph',
    { missing: 'tgtd' },
    { volumeCeph: CEPH },
    [/^ok/, /^ok the pool volumes .* 7 GiB free/],
  ],
  [
    'a pool of Ceph that is not there',
    {},
    { volumeCeph: { ...CEPH, pool: 'other' } },
    [/^ok/, /^failed client.mallee by .c.conf cannot use the pool other: Ceph has no pool other/],
  ],
  ['an address', {}, { storageAddress: '10.9.0.1' }, [/^ok/, /^ok 10.9.0.1 on stor0/, /^ok/]],
  ["another's address", {}, { storageAddress: '10.9.0.2' }, [/^ok/, /^failed 10.9.0.2/, /^ok/]],
] as const) {
  test(`checkVolumes of an SC with ${what}`, async () => {
    const all = { ...SC, ...options }
    const said = (await checkVolumes(hostWith(host), all)).map(
      ({ outcome, sentence }) => `${outcome} ${sentence}`,
    )
    assert.equal(said.length, wanted.length, said.join('; '))
    for (const [at, pattern] of wanted.entries()) assert.match(said[at] ?? '', pattern)
  })
}

for (const [volumePool, tags, missing, wanted] of [
  ['vg0/pool', [], '', /^ok vg0\/pool, 1.0 GiB, 0 % used$/],
  ['vg0/pool', ['mallee=c/a/a1/00'], '', /^ok vg0\/pool/],
  ['vg0/pool', ['mallee=c/a/a2/00'], '', /^failed .*the mark of host a2 of rack a of cloud c/],
  ['vg0/other', [], '', /^failed there is no other in the volume group vg0$/],
  ['vg1/pool', [], '', /^failed there is no volume group vg1$/],
  ['vg0/root', [], '', /^failed vg0\/root is no thin pool: it is linear$/],
  ['vg0/pool', [], 'lvs', /^failed lvs is not installed \(Debian: lvm2\)$/],
  ['vg0/pool', [], 'thin_delta', /^failed thin_delta is .*thin-provisioning-tools\)$/],
] as const) {
  test(`checkVolumes of the pool ${volumePool} with ${tags.join() || 'no'} mark: ${wanted}`, async () => {
    const lvm = new FakeLvm()
    lvm.pool.tags.push(...tags)
    lvm.add('root', { kind: 'linear', pool: null })
    const checks = await checkVolumes(hostWith({ missing, lvm }), { ...SC, volumePool })
    const { outcome, sentence } = checks.find(({ name }) => name === 'thin pool') ?? {}
    assert.match(`${outcome} ${sentence}`, wanted)
    assert.ok(lvm.lines.every((line) => /^lv(s|mconfig) /.test(line)))
  })
}

test('checkVolumes refuses a host that looks into the volumes of guests', async () => {
  const lvm = new FakeLvm()
  lvm.scanLvs = 1
  const checks = await checkVolumes(hostWith({ lvm }), { ...SC, volumePool: 'vg0/pool' })
  const { outcome, sentence = '' } = checks.find(({ name }) => name === 'thin pool') ?? {}
  assert.equal(outcome, 'failed')
  assert.match(sentence, /scan_lvs in lvm.conf is not 0/)
})

test('checkVolumes says nothing to a host with neither instances nor volumes', async () => {
  const none = { ...SC, roles: ['cc'] as const }
  assert.deepEqual(await checkVolumes(hostWith({}), none), [])
})

test('a host with volumes does not leave, and names them; deleted ones are none', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'mallee-leave-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  const paths = { stateDir: dir, runDir: join(dir, 'run'), configFile: join(dir, 'agent.json') }
  await writeFile(paths.configFile, JSON.stringify(CONFIG))
  const idOf = (n: number) => {
    const id = parseVolumeId(`vol-${String(n).padStart(17, '0')}`)
    assert.ok(id.ok)
    return id.value
  }
  const ledgers = volumeLedgersDir(paths)
  for (let n = 1; n <= 12; n += 1) {
    await writeLedger(ledgers, idOf(n), { ...NO_GRANTS, deleted: n === 1 })
  }
  const before = await readdir(dir)
  const leaving = leaveCloud({ paths, drain: true, force: false, timeoutMs: 1 }, () => undefined)
  await assert.rejects(leaving, (error: Error) => {
    const named = `${idOf(2)}, .*${idOf(11)} and 1 more; `
    assert.match(error.message, new RegExp(`^volumes are on this host, .*: ${named}`))
    return true
  })
  assert.deepEqual(await readdir(dir), before)
})
