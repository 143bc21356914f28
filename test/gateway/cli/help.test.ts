// Every command says in its help what it does, with examples that its own parser takes.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { COMMANDS, PROGRAMS, runLine, wordsOf } from './support.ts'

/** Commands without --json, and why. */
const NO_JSON: Readonly<Record<string, string>> = {
  'mallee gateway': 'runs until it is ended; its log is JSON',
  'cluster-agent run': 'runs until it is ended; its log is JSON',
  'mallee serial-console': 'prints what an instance says',
  'mallee completion bash': 'prints a program for a shell',
  'mallee completion zsh': 'prints a program for a shell',
  'mallee completion fish': 'prints a program for a shell',
  'cluster-agent completion bash': 'prints a program for a shell',
  'cluster-agent completion zsh': 'prints a program for a shell',
  'cluster-agent completion fish': 'prints a program for a shell',
  'rack-join completion bash': 'prints a program for a shell',
  'rack-join completion zsh': 'prints a program for a shell',
  'rack-join completion fish': 'prints a program for a shell',
}

test('every command takes --json, or is known to have no use for it', () => {
  const without = COMMANDS.filter(({ command }) => !command.usesFlag('json', 'original'))
  assert.deepEqual(without.map(({ route }) => route).sort(), Object.keys(NO_JSON).sort())
})

const ran: string[] = []
for (const { route, command } of COMMANDS) {
  const loader = async () => () => void ran.push(route)
  Object.defineProperty(command, 'loader', { value: loader })
}

for (const { route, command } of COMMANDS) {
  test(`${route} --help has examples that are lines of it`, async () => {
    const [program = '', ...path] = route.split(' ')
    const { stdout, exitCode } = await runLine(program, [...path, '--help'])
    assert.equal(exitCode, 0)
    assert.ok(stdout.includes(command.brief))
    const shown = command.fullDescription ?? ''
    assert.ok(stdout.includes(shown), 'the help says all of it')
    const examples = shown.split('\n').filter((line) => line.startsWith('  '))
    let own = 0
    for (const line of examples) {
      const [name = '', ...words] = wordsOf(line)
      if (!(name in PROGRAMS)) continue
      ran.length = 0
      const parsed = await runLine(name, words)
      assert.equal(parsed.exitCode, 0, `${line.trim()}: ${parsed.stderr}`)
      assert.equal(ran.length, 1, line)
      if (ran[0] === route) own += 1
    }
    assert.ok(own > 0, `no example of ${route} in its help:\n${stdout}`)
  })
}

test('the help of each program shows a line that its parser takes', async () => {
  for (const program of Object.keys(PROGRAMS)) {
    const { stdout } = await runLine(program, ['--help'])
    assert.match(stdout, /completion/, program)
  }
  const { stdout } = await runLine('mallee', ['--help'])
  const codes = ['0 done', '1 failed', '2 bad usage or input', '3 refused', '4 not reachable']
  for (const code of codes) assert.ok(stdout.replaceAll(/\s+/g, ' ').includes(code), code)
})

test('a line that no command understands is refused', async () => {
  for (const line of [
    'mallee host explode',
    'mallee host cordon a',
    'mallee type create --vcpus x',
  ]) {
    const [program = '', ...words] = line.split(' ')
    const { exitCode, stderr } = await runLine(program, words)
    assert.ok(exitCode < 0, line)
    assert.notEqual(stderr, '', line)
  }
})
