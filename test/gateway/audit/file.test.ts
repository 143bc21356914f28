// The audit log's file: lines at its end, rotated, private, and a disk that does not take them.

import assert from 'node:assert/strict'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { AuditFile } from '../../../gateway/audit/file.ts'
import { type Line, recordingLog } from '../http/support.ts'

interface Made {
  readonly file: AuditFile
  readonly dir: string
  readonly path: string
  readonly lines: readonly Line[]
  readonly counts: { written: number; lost: number }
}

async function make(t: TestContext, limits: { maxBytes?: number; files?: number } = {}) {
  const dir = await mkdtemp(join(tmpdir(), 'mallee-audit-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  const path = join(dir, 'audit.jsonl')
  const lines: Line[] = []
  const counts = { written: 0, lost: 0 }
  const metrics = {
    auditRecords: (outcome: 'written' | 'lost', records: number) => {
      counts[outcome] += records
    },
  }
  const { maxBytes = 1 << 20, files = 3 } = limits
  const file = new AuditFile({ path, maxBytes, files, log: recordingLog(lines), metrics })
  t.after(() => file.close())
  return { file, dir, path, lines, counts } satisfies Made
}

async function numbersIn(path: string): Promise<number[]> {
  const text = await readFile(path, 'utf8')
  assert.ok(text.endsWith('\n'))
  return text
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as { n: number }).n)
}

test('AuditFile writes one object a line, in order, readable by its owner alone', async (t) => {
  const { file, path, counts } = await make(t)
  const numbers = [...Array(200).keys()]
  await Promise.all(numbers.map((n) => file.write({ n, text: 'a\nb' })))
  assert.deepEqual(await numbersIn(path), numbers)
  assert.equal((await stat(path)).mode & 0o777, 0o600)
  assert.deepEqual(counts, { written: 200, lost: 0 })
})

test('AuditFile.write resolves when the record can be read', async (t) => {
  const { file, path } = await make(t)
  for (const n of [0, 1, 2]) {
    await file.write({ n })
    assert.equal((await numbersIn(path)).at(-1), n)
  }
})

test('AuditFile goes on with a file that is there, makes it private, mends half a line', async (t) => {
  const { file, path } = await make(t)
  await writeFile(path, '{"n":0}\n{"n":')
  await chmod(path, 0o644)
  await file.write({ n: 1 })
  assert.equal(await readFile(path, 'utf8'), '{"n":0}\n{"n":\n{"n":1}\n')
  assert.equal((await stat(path)).mode & 0o777, 0o600)
})

test('AuditFile keeps as many full files as it is told, the newest as .1', async (t) => {
  // Two lines of 8 bytes fit.
  const { file, dir, path, counts } = await make(t, { maxBytes: 20, files: 3 })
  await writeFile(`${path}.7`, 'of a time when more were kept\n')
  for (const n of [1, 2, 3, 4, 5, 6, 7]) await file.write({ n })
  assert.deepEqual((await readdir(dir)).sort(), ['audit.jsonl', 'audit.jsonl.1', 'audit.jsonl.2'])
  assert.deepEqual(await numbersIn(path), [7])
  assert.deepEqual(await numbersIn(`${path}.1`), [5, 6])
  assert.deepEqual(await numbersIn(`${path}.2`), [3, 4])
  assert.deepEqual(counts, { written: 7, lost: 0 })
})

test('AuditFile that may keep one file only begins it anew', async (t) => {
  const { file, dir, path } = await make(t, { maxBytes: 20, files: 1 })
  for (const n of [1, 2, 3]) await file.write({ n })
  assert.deepEqual(await readdir(dir), ['audit.jsonl'])
  assert.deepEqual(await numbersIn(path), [3])
})

test('AuditFile that cannot be written counts each lost record, logs once, and recovers', async (t) => {
  const { file, path, lines, counts } = await make(t)
  await mkdir(path)
  await file.write({ n: 1 })
  await file.write({ n: 2 })
  assert.deepEqual(counts, { written: 0, lost: 2 })
  await rm(path, { recursive: true })
  await file.write({ n: 3 })
  assert.deepEqual(await numbersIn(path), [3])
  assert.deepEqual(
    lines.map(({ level, event, fields }) => [level, event, fields['lost']]),
    [
      ['error', 'audit records are lost', undefined],
      ['warn', 'audit log is written again', 2],
    ],
  )
})

test('AuditFile that cannot be rotated goes on in the same file and says so', async (t) => {
  const { file, path, lines, counts } = await make(t, { maxBytes: 20, files: 3 })
  await mkdir(join(`${path}.1`, 'in-the-way'), { recursive: true })
  await mkdir(join(`${path}.2`, 'in-the-way'), { recursive: true })
  for (const n of [1, 2, 3]) await file.write({ n })
  assert.deepEqual(await numbersIn(path), [1, 2, 3])
  assert.deepEqual(counts, { written: 3, lost: 0 })
  assert.deepEqual(
    lines.map(({ event }) => event),
    ['audit log cannot be rotated'],
  )
})
