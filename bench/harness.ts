// How benchmarks answer: one JSON line per measurement on standard output, and nothing else there.

export interface Line {
  readonly bench: string
  readonly case: string
  readonly unit: string
  readonly value: number
  /** What it is measured against, in the same run. */
  readonly peer?: string
  readonly peer_value?: number
  /** value ÷ peer_value; computed when both are there. */
  readonly ratio?: number
  /** For the ratio where there is a peer, else for the value. */
  readonly goal?: number
  readonly higher_is_better?: boolean
}

export type Emit = (line: Line) => void

export interface Bench {
  readonly run: (emit: Emit) => Promise<void>
}

/** Prints one measurement. RangeError when it is no number: a broken benchmark, not a slow one. */
export const emit: Emit = (line) => {
  for (const value of [line.value, line.peer_value ?? 0]) {
    if (!Number.isFinite(value)) {
      throw new RangeError(`${line.bench}, ${line.case}: ${value} is no measurement`)
    }
  }
  const { goal, higher_is_better, ...measured } = line
  const compared =
    line.peer_value === undefined ? {} : { ratio: rounded(line.value / line.peer_value) }
  const judged = {
    ...(goal === undefined ? {} : { goal }),
    ...(higher_is_better === undefined ? {} : { higher_is_better }),
  }
  printLine({ ...measured, ...compared, ...judged })
}

/** Says that a case was left out, for example because a peer is not installed. */
export function skipped(bench: string, name: string, reason: string): void {
  printLine({ bench, case: name, skipped: reason })
}

export function median(values: readonly number[]): number {
  const sorted = ordered(values)
  const upper = Math.floor(sorted.length / 2)
  const lower = Math.ceil(sorted.length / 2) - 1
  return ((sorted[lower] ?? Number.NaN) + (sorted[upper] ?? Number.NaN)) / 2
}

/** The smallest value that `percent` of 100 values do not exceed (nearest rank). */
export function percentile(values: readonly number[], percent: number): number {
  if (!(percent > 0 && percent <= 100)) throw new RangeError(`there is no percentile ${percent}`)
  const sorted = ordered(values)
  return sorted[Math.ceil((percent / 100) * sorted.length) - 1] ?? Number.NaN
}

function ordered(values: readonly number[]): number[] {
  if (values.length === 0) throw new RangeError('nothing was measured')
  return [...values].sort((a, b) => a - b)
}

function rounded(value: number): number {
  return Number(value.toPrecision(4))
}

function printLine(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}
