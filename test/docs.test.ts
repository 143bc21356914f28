// Commands in the documentation are commands that exist, with flags that exist.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { exec } from '../common/exec.ts'
import { type Ec2Parts, ec2Handlers } from '../gateway/ec2/index.ts'
import manifest from '../package.json' with { type: 'json' }

const ROOT = join(import.meta.dirname, '..')
const PAGES = [
  'README.md',
  ...readdirSync(join(ROOT, 'docs'))
    .filter(isPage)
    .map((f) => `docs/${f}`),
]

/** For a program that hangs: how long one takes on a busy machine is nothing to measure here. */
const HELP_MS = 300_000

interface Line {
  readonly page: string
  readonly words: readonly string[]
}

function isPage(file: string): boolean {
  return file.endsWith('.md')
}

/** The lines of all fenced blocks, without comments and continuation marks. */
function commandLines(): Line[] {
  return PAGES.flatMap((page) => {
    const text = readFileSync(join(ROOT, page), 'utf8')
    const blocks = [...text.matchAll(/^```(?:sh)?\n([\s\S]*?)^```$/gm)].map(
      ([, block = '']) => block,
    )
    return blocks
      .flatMap((block) => block.replaceAll(/\\\n\s*/g, '').split('\n'))
      .map((line) => ({
        page,
        words: line
          .replace(/\s#.*$/, '')
          .trim()
          .split(/\s+/),
      }))
  })
}

const LINES = commandLines()

function of(...programs: string[]): Line[] {
  return LINES.filter(({ words: [program = ''] }) => programs.includes(program))
}

test('the docs show commands of every kind', () => {
  for (const program of ['bin/mallee', 'bin/rack-join', 'npm', 'aws']) {
    assert.ok(of(program).length > 0, `no ${program} in ${PAGES.join(', ')}`)
  }
})

for (const { page, words } of of('bin/mallee', 'bin/rack-join')) {
  test(`${page}: ${words.join(' ')}`, async () => {
    const [program = '', ...rest] = words
    const end = rest.findIndex((word) => !/^[a-z]+(?:-[a-z]+)*$/.test(word))
    const command = rest.slice(0, end < 0 ? rest.length : end)
    const { stdout } = await help(program, command)
    for (const flag of rest.filter((word) => word.startsWith('--'))) {
      assert.ok(stdout.includes(flag), `${command.join(' ')} has no ${flag}`)
    }
  })
}

for (const { page, words } of of('npm')) {
  test(`${page}: ${words.join(' ')}`, () => {
    const [, verb = '', ...rest] = words
    const name = verb === 'run' ? rest.find((word) => !word.startsWith('-')) : verb
    const known = [...Object.keys(manifest.scripts), 'ci']
    assert.ok(known.includes(name ?? ''), `package.json has no script ${name}`)
  })
}

/** `aws ec2 wait` asks again and again what describe-... answers. */
const ofEc2 = of('aws').filter(
  ({ words: [, service, what] }) => service === 'ec2' && what !== 'wait',
)
for (const { page, words } of ofEc2) {
  test(`${page}: ${words.join(' ')}`, () => {
    const operation = (words[2] ?? '').replaceAll(/(^|-)([a-z])/g, (_, __, c) => c.toUpperCase())
    const handlers = ec2Handlers({} as Ec2Parts)
    assert.ok(operation in handlers, `${operation} has no handler`)
  })
}

/** The last word may be an argument; every other one must be a command. */
async function help(program: string, command: readonly string[]): Promise<{ stdout: string }> {
  const path = join(ROOT, program)
  const options = { okCodes: [0, 2], timeoutMs: HELP_MS }
  const asked = await exec([path, ...command, '--help'], options)
  return asked.code === 0 ? asked : exec([path, ...command.slice(0, -1), '--help'], options)
}
