// npm test [-- PART-OF-A-PATH...]: static checks and unit tests side by side, then the end-to-end
// tests two at a time, as one run with one summary at its end.

import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, globSync, mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { together } from './support/together.ts'

const ROOT = join(import.meta.dirname, '..')
const END_TO_END = 'test/e2e/'
/** The longest, first: what is left then is done beside them. */
const LONGEST = ['test/e2e/two-racks.test.ts', 'test/e2e/tenants.test.ts']
/** The one that boots the image which takes minutes to build. */
const BOOTS_DEBIAN = 'test/e2e/tenants.test.ts'
/** Of one process. */
const UNIT_MS = 8 * 60_000
const END_TO_END_MS = 15 * 60_000

type TestEvent = { readonly type: string; readonly data: unknown }
type Counts = Record<string, number>

/** What the runner counts, in the order in which it tells. */
const COUNTED = [
  ['tests', 'tests'],
  ['suites', 'suites'],
  ['pass', 'passed'],
  ['fail', 'failed'],
  ['cancelled', 'cancelled'],
  ['skipped', 'skipped'],
  ['todo', 'todo'],
] as const

async function main(wanted: readonly string[]): Promise<void> {
  const files = globSync('test/**/*.test.ts', { cwd: ROOT })
    .sort()
    .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
  if (files.length === 0) throw new Error(`no test file fits ${wanted.join(' ')}`)

  // Everything that tests make for a while is below one folder, gone in the end.
  const folder = mkdtempSync(join(tmpdir(), 'mallee-test-'))
  // Some tests run programs as another user, who must get through.
  chmodSync(folder, 0o711)
  process.env['TMPDIR'] = folder
  // Each file is a process of its own that loads half of the project.
  process.env['NODE_COMPILE_CACHE'] ??= join(ROOT, '.cache/compiled')
  process.chdir(ROOT)
  const end = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => end.abort())
  const build = files.includes(BOOTS_DEBIAN) ? buildDebian() : null
  try {
    const unit = files.filter((file) => !file.startsWith(END_TO_END))
    const endToEnd = [
      ...LONGEST.filter((file) => files.includes(file)),
      ...files.filter((file) => file.startsWith(END_TO_END) && !LONGEST.includes(file)),
    ]
    const parts = [
      {
        files: together(unit, folder),
        // More than there are processors: many wait for something all the while.
        concurrency: availableParallelism() + 2,
        timeout: UNIT_MS,
        signal: end.signal,
      },
      { files: endToEnd, concurrency: 2, timeout: END_TO_END_MS, signal: end.signal },
    ].filter((part) => part.files.length > 0)
    const report = Readable.from(asOne(parts)).compose(new spec())
    for await (const text of report) process.stdout.write(text)
  } finally {
    if (build !== null) stop(build)
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Beside the unit tests. It says nothing: the test asks for the image too and tells what fails. */
function buildDebian(): ChildProcess {
  const argv = ['-n', '10', 'setup/debian-image.sh', '.cache/debian']
  return spawn('nice', argv, { cwd: ROOT, stdio: 'ignore', detached: true })
}

/** With all that it started; fine when it has ended. */
function stop({ pid, exitCode, signalCode }: ChildProcess): void {
  if (pid === undefined || exitCode !== null || signalCode !== null) return
  process.kill(-pid, 'SIGTERM')
}

/** The runs' events with the runs' own summaries taken out, and one for all of them at the end. */
async function* asOne(parts: readonly Parameters<typeof run>[0][]): AsyncGenerator<TestEvent> {
  const startedMs = performance.now()
  const sums: Counts = {}
  let success = true
  for (const part of parts) {
    for await (const event of run(part) as AsyncIterable<TestEvent>) {
      const counts = countsOf(event)
      if (counts === null) {
        if (event.type === 'test:fail') success = false
        if (!isCount(event)) yield event
        continue
      }
      for (const [name, n] of Object.entries(counts)) sums[name] = (sums[name] ?? 0) + n
    }
  }
  if (!success || (sums['failed'] ?? 0) + (sums['cancelled'] ?? 0) > 0) process.exitCode = 1
  // First what failed, then the numbers: the last lines tell how it went.
  yield { type: 'test:summary', data: { counts: sums, success } }
  for (const [name, field] of COUNTED) yield diagnostic(`${name} ${sums[field] ?? 0}`)
  yield diagnostic(`duration_ms ${Math.round(performance.now() - startedMs)}`)
}

/** Of the summary of a whole run; each file has one too. */
function countsOf({ type, data }: TestEvent): Counts | null {
  if (type !== 'test:summary') return null
  const { file, counts } = data as { file?: string; counts: Counts }
  return file === undefined ? counts : null
}

function isCount({ type, data }: TestEvent): boolean {
  if (type !== 'test:diagnostic') return false
  const { nesting, message } = data as { nesting: number; message: string }
  const names = [...COUNTED.map(([name]) => name), 'duration_ms']
  return nesting === 0 && names.some((name) => new RegExp(`^${name} [\\d.]+$`).test(message))
}

function diagnostic(message: string): TestEvent {
  return { type: 'test:diagnostic', data: { nesting: 0, message, level: 'info' } }
}

await main(process.argv.slice(2))
