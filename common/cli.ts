// What Mallee's commands have in common: help with examples, exit codes, answers as text or JSON,
// errors as one sentence. Answers go to standard output, everything else to standard error.
//   0 done   1 failed   2 bad usage or bad input   3 refused by the other side   4 not reachable

import {
  buildApplication,
  type Command,
  type CommandContext,
  type PartialApplicationConfiguration,
  type RouteMap,
  run,
  type StricliProcess,
} from '@stricli/core'
import { codeOf, messageOf } from './errors.ts'
import { VERSION } from './version.ts'

const USAGE = 2

/** Runs a command line to its end and sets the process's exit code. */
export async function runCli(
  name: string,
  root: RouteMap<CommandContext> | Command<CommandContext>,
  argv: readonly string[],
): Promise<void> {
  const config: PartialApplicationConfiguration = {
    name,
    versionInfo: { currentVersion: VERSION },
    scanner: { caseStyle: 'allow-kebab-for-camel', allowArgumentEscapeSequence: true },
    documentation: { caseStyle: 'convert-camel-to-kebab' },
    determineExitCode: exitCodeOf,
  }
  const app =
    'getAllEntries' in root ? buildApplication(root, config) : buildApplication(root, config)
  const io: StricliProcess = { stdout: process.stdout, stderr: process.stderr, env: process.env }
  await run(app, argv, { process: io })
  const exitCode = Number(io.exitCode ?? 0)
  // Negative codes are the parser's: bad usage.
  if (exitCode !== 0) process.exitCode = exitCode < 0 ? USAGE : exitCode
}

/** A command's body: prints its error as one sentence, with the code when JSON is asked for. */
export async function answering(json: boolean, body: () => Promise<void>): Promise<void> {
  try {
    await body()
  } catch (error) {
    const code = codeOf(error)
    if (json)
      process.stdout.write(`${JSON.stringify({ error: { code, message: messageOf(error) } })}\n`)
    process.stderr.write(`${code === null ? '' : `${code}: `}${messageOf(error)}\n`)
    if (code === null && error instanceof Error) process.stderr.write(`${error.stack}\n`)
    process.exitCode = exitCodeOf(error)
  }
}

/** One answer: `text` for people, `value` for programs. */
export function print(json: boolean, value: unknown, text: string): void {
  process.stdout.write(`${json ? JSON.stringify(value) : text}\n`)
}

/** Columns under headings, as wide as their widest cell. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [headings, ...rows]
  const widths = headings.map((_, i) => Math.max(...all.map((row) => (row[i] ?? '').length)))
  return all
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

function exitCodeOf(error: unknown): number {
  switch (codeOf(error)) {
    case 'BadArgument':
    case 'BadConfig':
    case 'TokenGarbled':
      return USAGE
    case 'Unavailable':
    case 'RackAway':
    case 'StoreUnavailable':
      return 4
    case null:
    case 'CommandFailed':
    case 'CommandTimeout':
      return 1
    default:
      return 3
  }
}
