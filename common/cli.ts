// What Mallee's commands have in common: help with examples, exit codes, answers as text or JSON,
// errors as one sentence. Answers go to standard output, everything else to standard error; with
// --json an error is one JSON object on standard output too.
//   0 done   1 failed   2 bad usage or bad input   3 refused by the other side   4 not reachable

import {
  type Application,
  buildApplication,
  type Command,
  type CommandContext,
  type PartialApplicationConfiguration,
  proposeCompletions,
  type RouteMap,
  run,
  type StricliProcess,
} from '@stricli/core'
import { COMPLETING } from './completion.ts'
import { codeOf, messageOf } from './errors.ts'
import { VERSION } from './version.ts'

const USAGE = 2

export type Root = RouteMap<CommandContext> | Command<CommandContext>

/** What a parameter that proposes words sees of the line. */
export interface CompletingContext extends CommandContext {
  /** Without the program; the last one is the one to complete. */
  readonly words: readonly string[]
}

/** Runs a command line to its end, or completes it, and sets the process's exit code. */
export async function runCli(name: string, root: Root, argv: readonly string[]): Promise<void> {
  const app = applicationOf(name, root)
  if (process.env[COMPLETING] !== undefined) {
    for (const line of await completionsOf(app, argv)) process.stdout.write(`${line}\n`)
    return
  }
  const said: string[] = []
  const stderr = { write: (text: string) => void said.push(text) }
  const io: StricliProcess = { stdout: process.stdout, stderr, env: process.env }
  await run(app, argv, { process: io })
  const exitCode = Number(io.exitCode ?? 0)
  const text = said.join('')
  process.stderr.write(text)
  if (exitCode === 0) return
  // Negative codes are the parser's: bad usage.
  process.exitCode = exitCode < 0 ? USAGE : exitCode
  if (exitCode < 0 && asksForJson(argv)) printError('BadArgument', text.trim())
}

export function applicationOf(name: string, root: Root): Application<CommandContext> {
  const config: PartialApplicationConfiguration = {
    name,
    versionInfo: { currentVersion: VERSION },
    scanner: { caseStyle: 'allow-kebab-for-camel', allowArgumentEscapeSequence: true },
    documentation: { caseStyle: 'convert-camel-to-kebab' },
    determineExitCode: exitCodeOf,
  }
  return 'getAllEntries' in root ? buildApplication(root, config) : buildApplication(root, config)
}

/**
 * How the last word may go on, each with a tab and what it is. Flags only when no word fits, or a
 * hyphen begins one.
 */
export async function completionsOf(
  app: Application<CommandContext>,
  words: readonly string[],
): Promise<string[]> {
  const context: CompletingContext = { process, words }
  const all = await proposeCompletions(app, words, context)
  const useful = [...routesBeside(app.root, words), ...all].filter(
    ({ completion }) => completion !== '--',
  )
  const values = useful.filter(({ completion }) => !completion.startsWith('-'))
  const last = words.at(-1) ?? ''
  // After the comma of a list only the list's next part is proposed.
  const before = last.endsWith(',') ? last : ''
  return (values.length > 0 ? values : useful).map(
    ({ completion, brief }) => `${before}${completion}\t${brief}`,
  )
}

/** The parser takes a first word for an argument of the command that needs no name. */
function routesBeside(
  root: Root,
  words: readonly string[],
): { readonly completion: string; readonly brief: string }[] {
  const [first = '', ...more] = words
  if (!('getAllEntries' in root) || root.getDefaultCommand() === undefined) return []
  if (more.length > 0) return []
  return root
    .getAllEntries()
    .map(({ name, target }) => ({
      completion: name['convert-camel-to-kebab'],
      brief: target.brief,
    }))
    .filter(({ completion }) => completion.startsWith(first))
}

/** What is behind `--` is no flag. */
function asksForJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--')
  return argv.slice(0, end < 0 ? argv.length : end).includes('--json')
}

function printError(code: string | null, message: string): void {
  process.stdout.write(`${JSON.stringify({ error: { code, message } })}\n`)
}

/** A command's body: prints its error as one sentence, with the code when JSON is asked for. */
export async function answering(json: boolean, body: () => Promise<void>): Promise<void> {
  try {
    await body()
  } catch (error) {
    const code = codeOf(error)
    if (json) printError(code, messageOf(error))
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
