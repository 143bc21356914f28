// What is looked at without a program, against the programs. The switch is in switch.test.ts.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { directReads } from '../../../cluster-agent/host/direct-reads.ts'
import { readSysctls } from '../../../cluster-agent/host/ip.ts'
import { exec } from '../../../common/exec.ts'

function counting() {
  const started: string[] = []
  const direct = directReads(async (argv, options) => {
    started.push(argv.join(' '))
    return exec(argv, options)
  })
  return { direct, started }
}

test('directReads reads kernel settings as sysctl does, and leaves out what is not there', async () => {
  const { direct, started } = counting()
  const keys = ['kernel.ostype', 'net.ipv4.tcp_rmem', 'net.ipv4.conf.lo.rp_filter', 'net.none.such']
  const wanted = await readSysctls(exec, keys)
  assert.equal(wanted.size, keys.length - 1)
  assert.deepEqual(await readSysctls(direct, keys), wanted)
  assert.deepEqual(started, [])
})

test('directReads reads files, and leaves those that it cannot to cat', async () => {
  const { direct, started } = counting()
  const ostype = ['cat', '/proc/sys/kernel/ostype']
  assert.deepEqual(await direct(ostype), await exec(ostype))
  const none = ['cat', '/proc/none/cmdline']
  assert.equal((await direct(none, { okCodes: [0, 1] })).code, 1)
  await assert.rejects(direct(none), { code: 'CommandFailed' })
  assert.equal(started.length, 2)
})

test('directReads finds programs, and leaves what is nowhere to the shell', async () => {
  const { direct, started } = counting()
  const where = ['sh', '-c', 'command -v sleep']
  assert.equal((await direct(where)).stdout, (await exec(where)).stdout)
  assert.deepEqual(started, [])
  const none = ['sh', '-c', 'command -v no-such-program']
  assert.equal((await direct(none, { okCodes: [0, 127, 1] })).stdout, '')
  assert.equal(started.length, 1)
})

test('directReads tells a socket from what is none', async () => {
  const { direct, started } = counting()
  for (const file of ['/proc/self/cmdline', '/none']) {
    assert.equal((await direct(['test', '-S', file], { okCodes: [0, 1] })).code, 1)
  }
  assert.deepEqual(started, [])
})

for (const argv of [
  ['cat', '/proc/sys/kernel/ostype', '/proc/sys/kernel/osrelease'],
  ['sh', '-c', 'command -v sleep; sleep 1'],
  ['sysctl', '--quiet', '--write', 'a=b'],
  ['ovs-vsctl', '--db=unix:/none', '--format=json', '--columns=name', 'list', 'Bridge'],
  ['ovs-vsctl', '--db=unix:/none', '--', 'add-br', 'x'],
  ['ovs-ofctl', '--no-stats', 'dump-flows', 'unix:/none'],
  ['ovs-appctl', '-t', '/none', 'version'],
  ['ip', '-json', 'address', 'show'],
]) {
  test(`directReads leaves ${argv.join(' ')} to the program`, async () => {
    const ran: unknown[] = []
    const result = { stdout: 'as told', stderr: '', code: 0 }
    const direct = directReads(async (...asked) => {
      ran.push(asked)
      return result
    })
    const options = { timeoutMs: 1 }
    assert.deepEqual(await direct(argv, options), result)
    assert.deepEqual(ran, [[argv, options]])
  })
}
