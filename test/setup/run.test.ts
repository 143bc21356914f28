// setup/run.sh says what is missing and what to do, and is quick when nothing is.

import assert from 'node:assert/strict'
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { after, describe, test } from 'node:test'
import { type ExecResult, exec } from '../../common/exec.ts'

const ROOT = join(import.meta.dirname, '../..')
const RUN = join(ROOT, 'setup/run.sh')
const NOBODY = '65534'
const QUICK_MS = 2_000

describe('setup/run.sh', () => {
  const dir = mkdtempSync(join(tmpdir(), 'run-'))
  chmodSync(dir, 0o755)
  const program = join(dir, 'program.mjs')
  writeFileSync(program, 'console.log(process.version, ...process.argv.slice(2))')
  after(() => rmSync(dir, { recursive: true, force: true }))

  test('runs a file under the pinned Node, with nothing else on standard output', async () => {
    const { stdout } = await exec(['bash', RUN, program, 'a b', 'c'])
    assert.match(stdout, /^v24\.\d+\.\d+ a b c\n$/)
  })

  test(`takes less than ${QUICK_MS} ms when nothing is missing`, async (t) => {
    await exec(['bash', RUN, program])
    const beganMs = performance.now()
    const { stderr } = await exec(['bash', RUN, program])
    const tookMs = performance.now() - beganMs
    t.diagnostic(`took ${Math.round(tookMs)} ms`)
    assert.equal(stderr, '')
    assert.ok(tookMs < QUICK_MS, `took ${tookMs} ms`)
  })

  test('Node keeps what it made of TypeScript, also for what bin/ starts', async () => {
    const asker = join(dir, 'asker.mjs')
    writeFileSync(asker, "import m from 'node:module'\nconsole.log(m.getCompileCacheDir())")
    const env = { PATH: process.env['PATH'] ?? '' }
    for (const argv of [
      ['bash', RUN, '--no-install', asker],
      ['sh', join(ROOT, 'setup/node.sh'), relative(ROOT, asker)],
    ]) {
      const { stdout } = await exec(argv, { env })
      assert.ok(stdout.startsWith(join(ROOT, '.cache/compiled/')), stdout)
    }
  })

  test('works with a PATH without sbin', async () => {
    const { stdout } = await exec(['bash', RUN, program], { env: { PATH: '/usr/bin:/bin' } })
    assert.match(stdout, /^v24\./)
  })

  test('refuses another user than root, and --no-install does not', async () => {
    const asNobody = ['setpriv', '--reuid', NOBODY, '--regid', NOBODY, '--clear-groups', '--']
    const refused = await failing([...asNobody, 'bash', RUN, program])
    assert.match(refused.stderr, /needs root and runs as nobody/)
    assert.match(refused.stderr, /Become root/)
    assert.equal(refused.stdout, '')
    const { stdout } = await exec([...asNobody, 'bash', RUN, '--no-install', program])
    assert.match(stdout, /^v24\./)
  })

  for (const [release, want] of [
    [
      'ID=ubuntu\nVERSION_ID="24.04"\nPRETTY_NAME="Ubuntu 24.04.1 LTS"',
      /this is Ubuntu 24\.04\.1 LTS/,
    ],
    [
      'ID=debian\nVERSION_ID="11"\nPRETTY_NAME="Debian GNU/Linux 11"',
      /this is Debian GNU\/Linux 11/,
    ],
    ['ID=debian\nPRETTY_NAME="Debian GNU/Linux forky/sid"', /this is Debian GNU\/Linux forky\/sid/],
  ] as const) {
    test(`refuses ${release.split('"').at(-2)} and names what it takes`, async () => {
      const file = join(dir, 'os-release')
      writeFileSync(file, `${release}\n`)
      const { stderr } = await failing(['bash', RUN, program], { MALLEE_OS_RELEASE: file })
      assert.match(stderr, want)
      assert.match(stderr, /Debian 12 and 13/)
    })
  }

  test('says that the operating system is unknown when os-release is missing', async () => {
    const env = { MALLEE_OS_RELEASE: join(dir, 'none') }
    const { stderr } = await failing(['bash', RUN, program], env)
    assert.match(stderr, /the operating system is unknown/)
  })

  test('says that /dev/net/tun is missing and what to do', async () => {
    const hidden = [
      'unshare',
      '--mount',
      'sh',
      '-c',
      'mount -t tmpfs none /dev/net && exec "$@"',
      'sh',
    ]
    const { stderr } = await failing([...hidden, 'bash', RUN, program])
    assert.match(stderr, /\/dev\/net\/tun is missing/)
    assert.match(stderr, /--device \/dev\/net\/tun/)
  })

  test('says that namespaces cannot be made', async () => {
    const bounded = ['setpriv', '--bounding-set=-sys_admin', '--inh-caps=-sys_admin', '--']
    const { stderr } = await failing([...bounded, 'bash', RUN, program])
    assert.match(stderr, /network namespaces cannot be made here/)
  })

  for (const [node, want] of [
    ['#!/bin/sh\necho v18.19.0', /Node 18\.19\.0 is too old to begin with/],
    [null, /Node and npm are not installed/],
  ] as const) {
    test(`with ${node === null ? 'no Node' : 'Node 18'} and no node_modules says ${want.source}`, async () => {
      const copy = copyOfProject()
      const bin = join(copy, 'bin')
      mkdirSync(bin)
      for (const name of ['bash', 'dirname', 'readlink', 'sha256sum', 'uname', 'id']) {
        symlinkSync(`/usr/bin/${name}`, join(bin, name))
      }
      if (node !== null) {
        for (const name of ['node', 'npm']) writeFileSync(join(bin, name), node, { mode: 0o755 })
      }
      const run = join(copy, 'setup/run.sh')
      const { stderr } = await failing(['bash', run, '--no-install', program], { PATH: bin })
      assert.match(stderr, want)
    })
  }

  test('says that npm left the pinned Node out, which npm itself does not', async () => {
    const copy = copyOfProject()
    const bin = join(copy, 'bin')
    mkdirSync(bin)
    writeFileSync(join(bin, 'npm'), '#!/bin/sh\nmkdir -p node_modules/.bin\n', { mode: 0o755 })
    const run = join(copy, 'setup/run.sh')
    const env = { PATH: `${bin}:${process.env['PATH']}` }
    const { stderr } = await failing(['bash', run, '--no-install', program], env)
    assert.match(stderr, /npm did not install the pinned Node for Linux/)
    assert.match(stderr, /--omit=optional/)
  })

  test('prints what npm complains about', async () => {
    const copy = copyOfProject()
    const bin = join(copy, 'bin')
    mkdirSync(bin)
    writeFileSync(join(bin, 'npm'), '#!/bin/sh\necho "npm error code EAI_AGAIN"; exit 1\n', {
      mode: 0o755,
    })
    const run = join(copy, 'setup/run.sh')
    const env = { PATH: `${bin}:${process.env['PATH']}` }
    const { stderr, stdout } = await failing(['bash', run, '--no-install', program], env)
    assert.match(stderr, /npm error code EAI_AGAIN\n.*npm ci failed/)
    assert.equal(stdout, '')
  })

  /** Of what run.sh looks at, without node_modules. */
  function copyOfProject(): string {
    const copy = mkdtempSync(join(dir, 'copy-'))
    cpSync(join(ROOT, 'setup'), join(copy, 'setup'), { recursive: true })
    for (const file of ['package.json', 'package-lock.json'])
      cpSync(join(ROOT, file), join(copy, file))
    return copy
  }
})

async function failing(
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<ExecResult> {
  return exec(argv, { env, okCodes: [1] })
}
