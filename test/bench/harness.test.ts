// The benchmark harness: what a program may rely on when it reads the lines.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { emit, median, percentile } from '../../bench/harness.ts'
import { exec } from '../../common/exec.ts'

const MAIN = fileURLToPath(new URL('../../bench/main.ts', import.meta.url))
const HARNESS = new URL('../../bench/harness.ts', import.meta.url).href

async function printed(code: string): Promise<unknown[]> {
  const script = `import { emit, skipped } from ${JSON.stringify(HARNESS)}\n${code}`
  const { stdout } = await exec([process.execPath, '--input-type=module', '--eval', script])
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown)
}

test('emit prints one JSON line with the ratio of value to peer', async () => {
  const line = { bench: 'b', case: 'c', unit: 'MB/s', value: 3, peer: 'p', peer_value: 7 }
  const judged = { ...line, goal: 0.8, higher_is_better: true }
  assert.deepEqual(
    await printed(`emit(${JSON.stringify(line)}); emit(${JSON.stringify(judged)})`),
    [
      { ...line, ratio: 0.4286 },
      { ...judged, ratio: 0.4286 },
    ],
  )
})

test('emit prints no ratio where there is no peer, and skipped prints the reason', async () => {
  const line = { bench: 'b', case: 'c', unit: 'ms', value: 3 }
  const code = `emit(${JSON.stringify(line)}); skipped('b', 'vtun', 'vtund is not installed')`
  assert.deepEqual(await printed(code), [
    line,
    { bench: 'b', case: 'vtun', skipped: 'vtund is not installed' },
  ])
})

test('emit throws RangeError for what is no measurement', () => {
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.throws(() => emit({ bench: 'b', case: 'c', unit: 'ms', value }), RangeError)
  }
})

for (const [values, percent, want] of [
  [[5], 99, 5],
  [[3, 1, 2, 4], 50, 2],
  [[3, 1, 2, 4], 75, 3],
  [[3, 1, 2, 4], 76, 4],
  [[3, 1, 2, 4], 100, 4],
] as const) {
  test(`percentile ${percent} of ${values} is ${want}`, () => {
    assert.equal(percentile(values, percent), want)
  })
}

test('median is the middle one, or the mean of the two in the middle', () => {
  assert.equal(median([9, 1, 2]), 2)
  assert.equal(median([9, 1, 2, 4]), 3)
  assert.throws(() => median([]), RangeError)
  assert.throws(() => percentile([1], 0), RangeError)
})

for (const [names, problem] of [
  [[], 'no benchmark named'],
  [['nope', 'allocator'], 'no benchmark nope'],
  [['constructor'], 'no benchmark constructor'],
] as const) {
  test(`bench main says ${problem} to ${JSON.stringify(names)} and measures nothing`, async () => {
    const run = await exec([process.execPath, MAIN, ...names], { okCodes: [2] })
    assert.equal(run.stdout, '')
    assert.match(run.stderr, new RegExp(`^${problem}\nUsage: .*\nBenchmarks: allocator`))
  })
}
