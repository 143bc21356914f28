// `mallee serial-console` as a user runs it: in a terminal, with a pipe, and refused.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { EnableSerialConsoleAccessCommand } from '@aws-sdk/client-ec2'
import { exec } from '../../common/exec.ts'
import { until } from '../../sandbox/until.ts'
import { startCloud } from '../support/cloud.ts'
import { addHost, connected } from '../support/simulated-rack.ts'
import { idsOf, makeImage, reach, run } from './support.ts'

const MALLEE = join(import.meta.dirname, '../../gateway/cli/main.ts')
/** Runs a program in a terminal of its own, and passes on what is typed and shown. */
const TERMINAL = 'import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)'

/** For a program to start on a busy machine. */
const START_MS = 60_000

const cloud = await startCloud({ after })
await connected(cloud, [await addHost(cloud, { rack: 'a', host: 'a-cc', roles: ['cc', 'nc'] })])
const ec2 = cloud.ec2()
const ids = idsOf(await run(ec2, { ImageId: await makeImage(cloud, ec2) }))
const [id = ''] = ids
await reach(ec2, ids, 'running')
const env = {
  PATH: process.env['PATH'] ?? '',
  AWS_ACCESS_KEY_ID: cloud.init.accessKeyId,
  AWS_SECRET_ACCESS_KEY: cloud.init.secretAccessKey,
  AWS_REGION: cloud.init.region,
  AWS_ENDPOINT_URL: `http://127.0.0.1:${cloud.config.apiPort}`,
  AWS_CONFIG_FILE: '/dev/null',
  AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
}
const argv = [process.execPath, MALLEE, 'serial-console', id]

function start([program = '', ...args]: readonly string[]) {
  const child = spawn(program, args, { env, stdio: 'pipe' })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
  }
  const ended = once(child, 'close').then(([code]) => code as number)
  const says = (text: string) =>
    until(`it says ${text}`, () => said.includes(text), { timeoutMs: START_MS })
  return {
    type: (text: string) => child.stdin.write(text),
    stdin: child.stdin,
    said: () => said,
    says,
    ended,
  }
}

test('it is refused in AWS’ words', async () => {
  const refused = await exec(argv, { env, okCodes: [3], timeoutMs: START_MS })
  assert.match(refused.stderr, /^NotAllowed: Your account is not authorized to use the EC2 Serial/)
  await ec2.send(new EnableSerialConsoleAccessCommand())
  const away = [...argv, '--endpoint', 'http://127.0.0.1:1']
  const nobody = await exec(away, { env, okCodes: [4], timeoutMs: START_MS })
  assert.match(nobody.stderr, /^Unavailable: http:\/\/127.0.0.1:1 does not answer: /)
})

test('in a terminal every key goes to the guest, and ~. leaves', async () => {
  const terminal = start(['/usr/bin/python3', '-c', TERMINAL, ...argv])
  await terminal.says(`Connected to ${id}`)
  // Ctrl-C and Ctrl-D are the guest's.
  terminal.type('one\x03two\x04three\r')
  await terminal.says('one\x03two\x04three\r')
  terminal.type('~.')
  await terminal.says('Connection closed: you left.')
  assert.equal(await terminal.ended, 0, terminal.said())
})

test('with a pipe it ends with its input, and its output is the guest’s and nothing else', async () => {
  const pipe = start(argv)
  await pipe.says(`Connected to ${id}`)
  pipe.type('~.\n~.')
  await pipe.says('~.\n~.')
  pipe.stdin.end()
  await pipe.says('Connection closed: the input ended.')
  assert.equal(await pipe.ended, 0)
})
