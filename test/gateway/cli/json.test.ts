// Every command of `mallee` with --json against a real gateway: one JSON document on standard
// output whatever happens, and the exit codes that the help says.

import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { lastFirst, startCloud } from '../../support/cloud.ts'
import { addHost, connected } from '../../support/simulated-rack.ts'
import type { Ran } from './lines.ts'
import { COMMANDS } from './support.ts'

/** What asks no operator's API, or cannot be run here. */
const ELSEWHERE = /^mallee (?:init|gateway|doctor|serial-console|completion .*)$/
const BAD = 2
const REFUSED = 3
const AWAY = 4

const end = lastFirst({ after })
const cloud = await startCloud(end)
const host = await addHost(cloud, { rack: 'a', host: 'a-all', roles: ['cc', 'nc'] })
await connected(cloud, [host])
const { account } = cloud.init
const image = join(cloud.dir, 'image.raw')
await writeFile(image, Buffer.alloc(64 << 10, 7))
const shell: ChildProcess = fork(join(import.meta.dirname, 'lines.ts'))
end.after(async () => {
  shell.disconnect()
  await once(shell, 'exit')
})

async function run(line: readonly string[]): Promise<Ran> {
  const answer = once(shell, 'message')
  shell.send(line)
  const [ran] = (await answer) as [Ran]
  return ran
}

async function runJson<T>(...line: string[]): Promise<T> {
  const { stdout, stderr, exitCode } = await run([
    ...line,
    '--socket',
    cloud.config.socket,
    '--json',
  ])
  assert.equal(exitCode, 0, stderr)
  return JSON.parse(stdout) as T
}

type Line = readonly [route: string, args: readonly string[], exitCode?: number]

const { id: token } = await runJson<{ id: string }>('token', 'create', '--rack=b', '--roles=nc')
const { accessKeyId } = await runJson<{ accessKeyId: string }>('key', 'create', account)
const { id: pool } = await runJson<{ id: string }>('pool', 'create', '--cidr=203.0.113.0/28')
const { id: invitation } = await runJson<{ id: string }>('peer', 'invite', 'nobody-else')
const { invitation: own } = await runJson<{ invitation: string }>('peer', 'invite', 'oneself')
const TYPE = ['lab.small', '--vcpus=1', '--memory-mib=512', '--disk-gib=4']

const LINES: readonly Line[] = [
  ['status', []],
  ['token create', ['--rack', 'c', '--roles', 'cc,nc', '--minutes', '5']],
  ['token create', ['--rack', 'c', '--roles', 'vip'], BAD],
  ['token create', ['--rack', 'C c', '--roles', 'cc'], BAD],
  ['token create', ['--rack', 'c', '--roles', 'cc', '--minutes', '0'], BAD],
  ['token list', []],
  ['token revoke', [token]],
  ['token revoke', [token], REFUSED],
  ['rack list', []],
  ['rack show', ['a']],
  ['rack show', ['nobody'], REFUSED],
  ['rack drain', ['a']],
  ['rack drain', ['a', '--terminate'], BAD],
  ['rack undrain', ['a']],
  ['rack undrain', [], BAD],
  ['rack remove', ['nobody'], REFUSED],
  ['rack remove', ['a', '--lost'], BAD],
  ['rack remove', ['nobody', '--lost', '--yes'], REFUSED],
  ['host list', []],
  ['balancer list', []],
  ['vpn list', []],
  ['volume list', []],
  ['volume show', ['vol-0123456789abcdef0'], REFUSED],
  ['host show', ['a', 'a-all']],
  ['host show', ['a', 'nobody'], REFUSED],
  ['host cordon', ['a', 'a-all']],
  ['host drain', ['a', 'a-all', '--wait', '60']],
  ['host drain', ['a', 'a-all', '--stop', '--in', '5']],
  ['host drain', ['a', 'a-all', '--stop', '--terminate'], BAD],
  ['host drain', ['a', 'a-all', '--terminate'], BAD],
  ['host drain', ['a', 'nobody'], REFUSED],
  ['host uncordon', ['a', 'a-all']],
  ['host remove', ['a', 'nobody'], REFUSED],
  ['host remove', ['a', 'a-all', '--lost'], BAD],
  ['host remove', ['a', 'a-all', '--yes'], BAD],
  ['host remove', ['a', 'nobody', '--lost', '--yes'], REFUSED],
  ['account create', ['research']],
  ['account create', ['research'], REFUSED],
  ['account create', ['not a name'], BAD],
  ['account list', []],
  ['account show', [account]],
  ['account show', ['1'], REFUSED],
  ['account rename', [account, 'boss']],
  ['account rename', [account, 'research'], REFUSED],
  ['account block', [account]],
  ['account unblock', [account]],
  ['account unblock', ['1'], REFUSED],
  ['key create', [account], REFUSED],
  ['key disable', [account, accessKeyId]],
  ['key enable', [account, accessKeyId]],
  ['key enable', [account, 'AKIA'], REFUSED],
  ['key list', [account]],
  ['key delete', [account, accessKeyId]],
  ['quota list', [account]],
  ['quota set', [account, 'VPCs per Region', '9']],
  ['quota set', [account, 'vpcs', '-1'], BAD],
  ['quota set', [account, 'moons', '1'], REFUSED],
  ['quota reset', [account, 'vpcs']],
  ['image import', [image, '--name', 'little']],
  ['image import', ['/nonexistent'], BAD],
  ['image import', [image, '--kind', 'kernel'], BAD],
  ['image list', []],
  ['image bundle-certificate', []],
  ['image remove', ['little']],
  ['image remove', ['little'], REFUSED],
  ['bucket list', []],
  ['bucket report', []],
  ['snapshot report', []],
  ['bucket move', ['nobodys', '--to', 'local'], REFUSED],
  ['bucket move', ['nobodys', '--to', 'the-moon'], BAD],
  ['bucket quota', ['nobodys', '--bytes', '10GiB', '--objects', '5'], REFUSED],
  ['bucket quota', ['nobodys', '--bytes', 'much'], BAD],
  ['event-target create', ['hook', '--url', 'https://hooks.example.com/s3', '--account', account]],
  ['event-target create', ['hook', '--redis', 'redis://127.0.0.1/0/s3'], REFUSED],
  ['event-target create', ['hook'], BAD],
  ['event-target create', ['other', '--redis', 'redis://:secret@127.0.0.1/s3'], BAD],
  ['event-target list', []],
  ['event-target show', ['hook']],
  ['event-target delete', ['hook']],
  ['event-target delete', ['hook'], REFUSED],
  ['cloud show', []],
  ['cloud set', ['--spot', 'refused']],
  ['cloud set', [], BAD],
  ['peer invite', ['partner', '--ttl', '1', '--borders', 'a', '--expires', '2040-01-31']],
  ['peer invite', ['partner', '--borders', 'nobody'], BAD],
  ['peer invite', ['partner', '--accept-prefix', '8.8.8.0/24'], BAD],
  ['peer invite', ['partner', '--expires', 'soon'], BAD],
  ['peer invitations', []],
  ['peer revoke', [invitation]],
  ['peer revoke', [invitation], REFUSED],
  ['peer accept', ['mlp1.lab'], BAD],
  ['peer accept', [own, '--yes'], REFUSED],
  ['peer list', []],
  ['peer show', ['nobody'], REFUSED],
  ['peer set', ['nobody', '--bandwidth', '5'], REFUSED],
  ['peer suspend', ['nobody'], REFUSED],
  ['peer resume', ['nobody'], REFUSED],
  ['peer audit', ['nobody'], REFUSED],
  ['peer audit', ['nobody', '--verify'], REFUSED],
  ['peer remove', ['nobody'], BAD],
  ['peer remove', ['nobody', '--yes'], REFUSED],
  ['pool create', ['--cidr', '203.0.113.0/24'], REFUSED],
  ['pool create', ['--cidr', 'everything'], BAD],
  ['pool list', []],
  ['pool show', [pool]],
  ['pool set', [pool, '--racks', 'a', '--exclude', '203.0.113.1']],
  ['pool set', [pool, '--racks', 'all', '--exclude', 'none']],
  ['pool set', [pool, '--racks', 'nobody'], REFUSED],
  ['pool set', [pool], BAD],
  ['pool delete', [pool]],
  ['type create', TYPE],
  ['type create', TYPE, REFUSED],
  ['type list', []],
  ['type show', ['lab.small']],
  ['type delete', ['lab.small']],
  ['why', ['198.51.100.7', '203.0.113.9', '80'], BAD],
  ['identity-certificate', []],
  ['openapi', []],
]

test('every command that asks a gateway is tried here', () => {
  const tried = new Set(LINES.map(([route]) => `mallee ${route}`))
  const all = COMMANDS.map(({ route }) => route).filter((route) => route.startsWith('mallee '))
  assert.deepEqual(
    all.filter((route) => !ELSEWHERE.test(route) && !tried.has(route)),
    [],
  )
})

for (const [route, args, expected = 0] of LINES) {
  test(`mallee ${route} ${args.join(' ')} answers in JSON and exits with ${expected}`, async () => {
    const words = [...route.split(' '), '--socket', cloud.config.socket, '--json', ...args]
    const { stdout, stderr, exitCode } = await run(words)
    assert.equal(exitCode, expected, stderr)
    assert.equal(stdout.indexOf('\n'), stdout.length - 1, 'one line')
    const answer: unknown = JSON.parse(stdout)
    assert.ok(typeof answer === 'object' && answer !== null && !Array.isArray(answer))
    const { error } = answer as { error?: { code: string; message: string } }
    assert.equal(error !== undefined, expected !== 0)
    if (error === undefined) return
    assert.match(error.code, /^[A-Z][A-Za-z]+$/)
    assert.notEqual(error.message, '')
    assert.notEqual(stderr, '')
  })
}

test('every command that asks a gateway says so when there is none, and exits with 4', async () => {
  for (const [route, args, expected = 0] of LINES) {
    // What is refused without asking is refused here too.
    if (expected !== 0) continue
    const away = ['--socket', join(cloud.dir, 'nobody.sock')]
    const { stdout, exitCode } = await run([...route.split(' '), ...away, '--json', ...args])
    assert.equal(exitCode, AWAY, route)
    assert.equal(JSON.parse(stdout).error.code, 'Unavailable', route)
  }
})

test('without --json people get a table or a sentence, and errors on the other stream', async () => {
  const at = ['--socket', cloud.config.socket]
  const listed = await run(['host', 'list', ...at])
  assert.match(listed.stdout, /^RACK +HOST .*\na +a-all /)
  const shown = await run(['host', 'show', ...at, 'a', 'a-all'])
  assert.match(shown.stdout, /^host +a-all$/m)
  const refused = await run(['rack', 'show', ...at, 'nobody'])
  assert.deepEqual([refused.stdout, refused.exitCode], ['', REFUSED])
  assert.equal(refused.stderr, 'RackNotFound: there is no rack nobody\n')
})
