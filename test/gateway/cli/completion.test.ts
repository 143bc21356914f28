// Completion: commands, flags and values of every program, names of the cloud while its gateway
// answers, and the same in real shells as far as the machine has them.

import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { root as agent } from '../../../cluster-agent/commands.ts'
import { root as rackJoin } from '../../../cluster-agent/join/commands.ts'
import { applicationOf, completionsOf, type Root } from '../../../common/cli.ts'
import { exec } from '../../../common/exec.ts'
import { root as mallee } from '../../../gateway/cli/commands.ts'
import { startLocalServer } from '../../../gateway/local/server.ts'
import { ACCOUNT, OTHER_ACCOUNT, openCloud } from '../ec2/support.ts'
import { localParts } from '../local/support.ts'

const BIN = join(import.meta.dirname, '../../../bin')
/** A shell calls the command for every word that it completes. */
const SHELL_MS = 60_000
const dir = await mkdtemp(join(tmpdir(), 'mallee-completion-'))
const socket = join(dir, 'gateway.sock')
const cloud = await openCloud({ after }, { racks: ['a', 'b'] })
const server = await startLocalServer(socket, localParts(cloud))
after(async () => {
  await server.close()
  await rm(dir, { recursive: true })
})

async function complete(root: Root, ...words: string[]): Promise<string[]> {
  const lines = await completionsOf(applicationOf('mallee', root), words)
  return lines.map((line) => {
    const [word = '', brief = ''] = line.split('\t')
    assert.notEqual(brief, '', word)
    return word
  })
}

test('commands, flags and values that are listed are completed', async () => {
  assert.deepEqual(await complete(mallee, 'ho'), ['host'])
  assert.deepEqual(await complete(mallee, 'quota', ''), ['list', 'set', 'reset'])
  assert.deepEqual(await complete(mallee, 'identity'), ['identity-certificate'])
  assert.deepEqual(await complete(mallee, 'cloud', 'set', '--vlan-scope', ''), ['cloud', 'rack'])
  assert.deepEqual(await complete(mallee, 'cloud', 'set', '--vlan'), ['--vlan-scope'])
  assert.deepEqual(await complete(mallee, 'why', '--protocol', 'i'), ['icmp'])
  const roles = ['token', 'create', '--roles'] as const
  assert.deepEqual(await complete(mallee, ...roles, 'c'), ['cc'])
  assert.deepEqual(await complete(mallee, ...roles, 'cc,'), ['cc,cc', 'cc,sc', 'cc,nc'])
  assert.deepEqual(await complete(mallee, 'nothing', ''), [])
  assert.deepEqual(await complete(rackJoin, 'l'), ['leave'])
  assert.deepEqual(await complete(rackJoin, 'leave', '--f'), ['--force'])
  assert.deepEqual(await complete(agent, '--host', 's'), ['simulated'])
  assert.deepEqual(await complete(agent, 'comp'), ['completion'])
  assert.deepEqual(await complete(mallee, 'completion', ''), ['bash', 'zsh', 'fish'])
})

test('names in the cloud are completed, each of what stands before it', async () => {
  const at = ['--socket', socket] as const
  assert.deepEqual(await complete(mallee, 'rack', 'drain', ...at, ''), ['a', 'b'])
  assert.deepEqual(await complete(mallee, 'host', 'cordon', ...at, 'b', ''), ['b0', 'b1', 'b2'])
  assert.deepEqual(await complete(mallee, 'host', 'cordon', ...at, 'b', 'b2'), ['b2'])
  assert.deepEqual(await complete(mallee, 'host', 'cordon', ...at, 'nobody', 'b'), [])
  assert.deepEqual(await complete(mallee, 'key', 'list', ...at, '1'), [ACCOUNT])
  assert.deepEqual(await complete(mallee, 'quota', 'list', ...at, ''), [ACCOUNT, OTHER_ACCOUNT])
  const quotas = await complete(mallee, 'quota', 'set', ...at, ACCOUNT, 'vpc')
  assert.deepEqual(quotas, ['vpcs'])
  const types = await complete(mallee, 'type', 'delete', ...at, 't3.n')
  assert.deepEqual(types, ['t3.nano'])
})

test('no gateway is no error: only what is known by itself is completed', async () => {
  const none = ['--socket', join(dir, 'nobody.sock')] as const
  assert.deepEqual(await complete(mallee, 'host', 'cordon', ...none, 'a', 'a'), [])
  assert.deepEqual(await complete(mallee, 'rack', 'drain', ...none, '--j'), ['--json'])
})

test('bash completes with what the command prints for it', async () => {
  const words = `mallee host cordon --socket ${socket} a a`.split(' ')
  const script = `
    PATH=${BIN}:$PATH
    source <(mallee completion bash)
    ask() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _mallee; echo "\${COMPREPLY[*]}"; }
    complete -p mallee
    ask ${words.join(' ')}
    ask mallee quota ''
    ask mallee image import /no`
  const { stdout } = await exec(['bash', '-ec', script], { timeoutMs: SHELL_MS })
  assert.deepEqual(stdout.trimEnd().split('\n'), [
    'complete -o bashdefault -o default -F _mallee mallee',
    'a0 a1 a2',
    'list set reset',
  ])
})

for (const [shell, ...check] of [
  // fish can be asked; zsh completes only for a terminal, so that this reads it and no more.
  ['fish', '-c', 'source $argv[1]; complete -C "mallee rack dr"', '--'],
  ['zsh', '-n'],
] as const) {
  const { code } = await exec(['sh', '-c', `command -v ${shell}`], { okCodes: [0, 1, 127] })
  const skip = code === 0 ? false : `there is no ${shell} on this machine`
  test(`${shell} takes what the command prints for it`, { skip }, async () => {
    const print = [join(BIN, 'mallee'), 'completion', shell]
    const { stdout: program } = await exec(print, { timeoutMs: SHELL_MS })
    const file = join(dir, shell)
    await writeFile(file, program)
    const { stdout } = await exec([
      'env',
      `PATH=${BIN}:${process.env['PATH']}`,
      shell,
      ...check,
      file,
    ])
    if (shell === 'fish') assert.match(stdout, /^drain\tPlace no new instances/)
  })
}
