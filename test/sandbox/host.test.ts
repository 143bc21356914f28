// Sandbox hosts are machines of their own, and leave nothing behind.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { codeOf } from '../../common/errors.ts'
import { exec } from '../../common/exec.ts'
import { silentLog } from '../../common/log.ts'
import { type Claim, claimWorld, worldDir } from '../../sandbox/claim.ts'
import { type SandboxHost, startHost } from '../../sandbox/host.ts'
import { until } from '../../sandbox/until.ts'

const WORLD = 't-host'

describe('a sandbox host', () => {
  let claim: Claim
  let host: SandboxHost

  before(async () => {
    claim = await claimWorld(WORLD)
    host = await startHost({
      world: WORLD,
      name: 'h1',
      log: silentLog,
      names: { '192.0.2.1': 'gw' },
    })
  })
  after(async () => {
    await host.kill()
    await claim.release()
  })

  test('startHost gives it its own name, processes, devices and folders', async () => {
    const script = `hostname; cat /proc/1/comm; ls /sys/class/net; ls -A -I mount /run /etc/mallee /var/lib/mallee; getent hosts gw`
    const { stdout } = await host.exec(['sh', '-c', script])
    const folders = '/etc/mallee:\n\n/run:\nlock\n\n/var/lib/mallee:\n'
    const want = `h1\nsh\nlo\n${folders}192.0.2.1       gw\n`
    assert.equal(stdout, want)
  })

  test('stateDir is its /var/lib/mallee, and the machine sees nothing of its /run', async () => {
    await host.exec(['sh', '-c', 'echo kept > /var/lib/mallee/x; echo gone > /run/mallee-h1'])
    assert.equal(readFileSync(join(host.stateDir, 'x'), 'utf8'), 'kept\n')
    assert.equal(existsSync('/run/mallee-h1'), false)
    assert.equal(existsSync('/var/lib/mallee/x'), false)
  })

  test('its network namespace goes by its name in ip netns', async () => {
    const { stdout } = await exec(['ip', '-n', 'mallee-t-host-h1', '-brief', 'link'])
    assert.match(stdout, /^lo +UNKNOWN/)
  })

  test('its first process reaps orphans', async () => {
    await host.exec(['sh', '-c', '(sleep 0.05 &)'])
    await until('the orphan is gone', async () => {
      const { stdout } = await host.exec(['ps', '-eo', 'stat,comm'])
      return !/sleep/.test(stdout)
    })
  })

  test('exec kills a command whose time is over, also inside', async () => {
    const late = host.exec(['sleep', '61'], { timeoutMs: 200 })
    await assert.rejects(late, (error) => codeOf(error) === 'CommandTimeout')
    await until('sleep 61 is gone', async () => {
      const { stdout } = await host.exec(['ps', '-eo', 'args'])
      return !stdout.includes('sleep 61')
    })
  })

  test('start tells the pid outside, and stop ends the program with its signal', async () => {
    const logFile = join(host.dir, 'trap.log')
    const script = "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.02; done"
    const program = await host.start(['sh', '-c', script], { logFile })
    await until('it is up', () => readFileSync(logFile, 'utf8').includes('up'))
    assert.match(readFileSync(`/proc/${program.pid}/cmdline`, 'utf8'), /^sh\0-c\0trap/)
    await program.stop()
    assert.equal(await program.ended, 'exited 3')
    assert.equal(readFileSync(logFile, 'utf8'), 'up\nbye\n')
    assert.equal(program.running(), false)
  })

  test('claimWorld refuses a world that runs', async () => {
    await assert.rejects(claimWorld(WORLD), /the world t-host runs already/)
  })
})

test('kill leaves no process, no network namespace and no folder', async () => {
  const claim = await claimWorld('t-kill')
  try {
    const host = await startHost({ world: 't-kill', name: 'h1', log: silentLog })
    await host.exec(['sh', '-c', 'setsid sleep 62 >/dev/null 2>&1 &'])
    const inode = (await exec(['readlink', `/proc/${host.pid}/ns/pid`])).stdout.trim()
    assert.match(await pidNamespaces(), new RegExp(inode.replace(/[^\w:]/g, '\\$&')))
    await host.kill()
    assert.equal((await pidNamespaces()).includes(inode), false)
    assert.equal(existsSync('/run/netns/mallee-t-kill-h1'), false)
    assert.equal(existsSync(host.dir), false)
  } finally {
    await claim.release()
  }
  assert.equal(existsSync(worldDir('t-kill')), false)
})

test('hosts end with the program that made them, and the next claim removes what it left', async () => {
  const holder = join(worldDir('t-orphan'), 'holder.ts')
  const source = join(import.meta.dirname, '../../sandbox')
  const claim = await claimWorld('t-orphan')
  writeFileSync(
    holder,
    `import { startHost } from '${source}/host.ts'
    import { silentLog } from '${source}/../common/log.ts'
    const host = await startHost({ world: 't-orphan', name: 'h1', log: silentLog })
    console.log(host.pid)`,
  )
  try {
    const child = spawn(process.execPath, [holder], { stdio: ['ignore', 'pipe', 'inherit'] })
    const [line] = await once(child.stdout, 'data')
    const pid = Number(String(line))
    child.kill('SIGKILL')
    await until('the host is gone', () => !alive(pid))
    assert.equal(existsSync('/run/netns/mallee-t-orphan-h1'), true)
  } finally {
    await claim.release()
  }
  assert.equal(existsSync('/run/netns/mallee-t-orphan-h1'), false)
})

async function pidNamespaces(): Promise<string> {
  return (await exec(['sh', '-c', 'readlink /proc/[0-9]*/ns/pid'], { okCodes: [0, 1] })).stdout
}

/** A zombie that nobody has reaped yet is not alive. */
function alive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}
