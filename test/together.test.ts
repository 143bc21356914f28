// Test files in one process: each has its own hooks, and none can fail unseen.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { exec } from '../common/exec.ts'
import { together } from './support/together.ts'

const dir = mkdtempSync(join(tmpdir(), 'mallee-together-'))
after(() => rmSync(dir, { recursive: true, force: true }))

test('files of one folder share a process, in their order; long ones have their own', () => {
  const small = Array.from({ length: 14 }, (_, n) => `test/common/${n}.test.ts`)
  const other = ['test/proto/a.test.ts', 'test/proto/b.test.ts', 'test/topology/a.test.ts']
  const made = together(['test/api/a.test.ts', 'test/api/b.test.ts', ...small, ...other], dir)
  const names = made.map((path) => path.replace(`${dir}/`, ''))
  assert.deepEqual(names, [
    ...['test/api/a.test.ts', 'test/api/b.test.ts'],
    ...['together-2.mjs', 'together-3.mjs', 'together-4.mjs'],
    'test/topology/a.test.ts',
  ])
})

test('hooks are of their file, and what fails or does not load fails the process', async () => {
  const file = (name: string, body: string): string => {
    writeFileSync(join(dir, name), `import { afterEach, test } from 'node:test'\n${body}`)
    return join(dir, name)
  }
  const said = (name: string): string =>
    `afterEach(() => console.log('after ${name}'))\ntest('${name}', () => {})\n`
  const fine = [file('a.mjs', said('a')), file('b.mjs', said('b'))]
  const run = async (files: readonly string[]) => {
    const [program = ''] = together(files, dir, [dir])
    return await exec([process.execPath, program], { okCodes: [0, 1] })
  }
  const went = await run(fine)
  assert.equal(went.code, 0, went.stdout)
  assert.deepEqual(went.stdout.match(/^after .*/gm), ['after a', 'after b'])
  for (const bad of ["test('c', () => { throw new Error('c') })\n", 'import "./nowhere.mjs"\n']) {
    const failed = await run([...fine, file('c.mjs', bad)])
    assert.equal(failed.code, 1, failed.stdout)
    assert.match(failed.stdout, /c\.mjs/)
  }
})
