// Listings kept until somebody tells of a change; and whether the kernel's monitors tell of all
// that is listed.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { listeners } from '../../../cluster-agent/host/listeners.ts'
import { watchedReads } from '../../../cluster-agent/host/watched-reads.ts'
import type { Exec } from '../../../common/exec.ts'
import { startHost, whyNoHosts } from '../../support/netns.ts'

const LINKS = ['ip', '-json', 'address', 'show']
const TABLE = ['nft', '--terse', 'list', 'table', 'inet', 'mallee']
const WATCHED = fileURLToPath(new URL('./watched-run.ts', import.meta.url))

function counting(): { exec: Exec; ran: string[] } {
  const ran: string[] = []
  const exec: Exec = async (argv) => {
    ran.push(argv.join(' '))
    if (argv.includes('fails')) throw new Error('as told')
    return { stdout: String(ran.length), stderr: '', code: 0 }
  }
  return { exec, ran }
}

function setUp() {
  const { exec, ran } = counting()
  const now: { ip: number | null; nft: number | null; ss: string; ms: number } = {
    ...{ ip: 0, nft: 0, ss: '', ms: 0 },
  }
  const ss = { news: () => now.ss }
  const watches = { ip: { news: () => now.ip }, nft: { news: () => now.nft }, ss }
  return { run: watchedReads(exec, { ...watches, nowMs: () => now.ms }), ran, now }
}

test('watchedReads lists again when its own watch has heard something, and only then', async () => {
  const { run, ran, now } = setUp()
  for (const heard of [null, 'ip', 'nft', null] as const) {
    if (heard !== null) now[heard] = 7
    for (const argv of [LINKS, TABLE, LINKS, TABLE]) await run(argv)
  }
  const [links, table] = [LINKS.join(' '), TABLE.join(' ')]
  assert.deepEqual(ran, [links, table, links, table])
})

test('watchedReads keeps nothing while nobody listens, and nothing for more than a minute', async () => {
  const { run, ran, now } = setUp()
  now.ip = null
  await run(LINKS)
  await run(LINKS)
  now.ip = 1
  await run(LINKS)
  await run(LINKS)
  assert.equal(ran.length, 3)
  now.ms = 60_000
  await run(LINKS)
  assert.equal(ran.length, 4)
})

for (const [argv, lists] of [
  [['ip', '-batch', '-'], 2],
  [['nsenter', '--net=/run/netns/x', '--', 'ip', '-batch', '-'], 2],
  [['sysctl', '--quiet', '--write', 'a=b'], 2],
  [['anything'], 2],
  [['nsenter', '--net=/run/netns/x', '--', ...LINKS], 1],
  [['ss', '-Hltnp', 'src', '[fd00::1]:3260'], 1],
  [['qemu-img', 'info', '-'], 1],
  [['sh', '-c', 'command -v tgtd'], 1],
  [['sh', '-c', 'command -v tgtd; ip link'], 2],
  [['ovs-ofctl', '--bundle', 'replace-flows', 'unix:x', '-'], 1],
  [['bridge', '-json', 'fdb', 'show'], 1],
  [['ip', '-json', 'neigh', 'show'], 1],
] as const) {
  test(`watchedReads lists ${lists === 1 ? 'once' : 'again'} after ${argv.join(' ')}`, async () => {
    const { run, ran } = setUp()
    for (const one of [LINKS, argv, LINKS]) await run(one)
    assert.equal(ran.filter((one) => one === LINKS.join(' ')).length, lists)
  })
}

test('watchedReads forgets what was listed while a change of its own was under way', async () => {
  const { run, ran } = setUp()
  await Promise.all([run(['ip', '-batch', '-']), run(LINKS)])
  await run(LINKS)
  assert.equal(ran.length, 3)
})

test('watchedReads asks the kernel each time for what it does not tell of', async () => {
  const { run, ran } = setUp()
  const asked = [
    ['ip', '-6', '-json', 'neigh', 'show', 'proxy'],
    ['ip', '-json', '-statistics', 'link', 'show'],
    ['ethtool', '-k', 'trunk0'],
  ]
  for (const argv of [...asked, ...asked]) await run(argv)
  assert.equal(ran.length, 6)
})

test('watchedReads asks again after a listing that failed', async () => {
  const { run, ran } = setUp()
  const fails = [...LINKS, 'fails']
  await assert.rejects(run(fails), /as told/)
  await assert.rejects(run(fails), /as told/)
  assert.equal(ran.length, 2)
})

test('watchedReads asks who listens when another one does', async () => {
  const { run, ran, now } = setUp()
  const asked = ['ss', '-Hlxp', 'src', '/run/tgtd.0']
  await run(asked)
  await run(asked)
  now.ss = 'another'
  await run(asked)
  assert.equal(ran.length, 2)
})

test('listeners has a line for a socket while it listens', async () => {
  for (const where of [
    { port: 0, host: '127.0.0.1' },
    { port: 0, host: '::1' },
    { path: '\0mallee-listeners' },
  ]) {
    const server = createServer()
    server.listen(where)
    await once(server, 'listening')
    const at = server.address()
    const port = typeof at === 'object' ? (at?.port ?? 0) : 0
    const mark =
      port === 0 ? '@mallee-listeners ' : `:${port.toString(16).toUpperCase().padStart(4, '0')} `
    const isThere = () => listeners().includes(mark)
    assert.equal(isThere(), true)
    server.close()
    await once(server, 'close')
    assert.equal(isThere(), false)
  }
})

test('KernelWatch hears of all that is listed, and nothing when nothing happens', {
  skip: whyNoHosts() ?? false,
}, async () => {
  const dir = await mkdtemp(join(tmpdir(), 'mallee-watch-'))
  const host = await startHost('watched', dir)
  try {
    const { stdout } = await host.exec([process.execPath, WATCHED], { timeoutMs: 60_000 })
    assert.deepEqual(JSON.parse(stdout), { unheard: [], unasked: [], afterKill: null })
  } finally {
    await host.stop()
    await rm(dir, { recursive: true, force: true })
  }
})
