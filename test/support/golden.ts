// Plans as text. A golden file has cases: a comment that says why, the input, `----`, the output.
// GOLDEN=write puts what comes out into the file, for a person to read and commit.

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

interface Case {
  readonly why: string
  readonly input: string
  readonly output: string
}

const FOLDER = join(import.meta.dirname, '../golden')
const LINE = '----\n'
/** Between cases. */
const GAP = /\n{2,}(?=# )/

/** Registers one test per case of `test/golden/<name>.txt`. */
export function golden(name: string, run: (input: string) => string): void {
  const file = join(FOLDER, `${name}.txt`)
  const cases = parseCases(readFileSync(file, 'utf8'))
  if (process.env['GOLDEN'] === 'write') {
    const texts = cases.map((one) => formatCase({ ...one, output: run(one.input) }))
    writeFileSync(file, texts.join('\n'))
    return
  }
  test(`golden/${name}.txt has cases`, () => assert.ok(cases.length > 0))
  for (const { why, input, output } of cases) {
    test(`${name}: ${why}`, () => assert.equal(run(input).trimEnd(), output))
  }
}

function parseCases(text: string): Case[] {
  return text
    .trim()
    .split(GAP)
    .map((block) => {
      const lines = block.split('\n')
      const comments = lines.filter((line) => line.startsWith('# '))
      const [input = '', output = ''] = `${lines.slice(comments.length).join('\n')}\n`.split(LINE)
      return {
        why: comments.map((line) => line.slice(2)).join(' '),
        input: input.trimEnd(),
        output: output.trimEnd(),
      }
    })
}

function formatCase({ why, input, output }: Case): string {
  return `# ${why}\n${input}\n${LINE}${output.trimEnd()}\n`
}
