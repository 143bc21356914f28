// The commands of every program, and their lines parsed by the real parser without being run.

import assert from 'node:assert/strict'
import { type Command, type CommandContext, run } from '@stricli/core'
import { root as clusterAgent } from '../../../cluster-agent/commands.ts'
import { root as rackJoin } from '../../../cluster-agent/join/commands.ts'
import { applicationOf, type Root } from '../../../common/cli.ts'
import { root as mallee } from '../../../gateway/cli/commands.ts'

export const PROGRAMS: Readonly<Record<string, Root>> = {
  mallee,
  'rack-join': rackJoin,
  'cluster-agent': clusterAgent,
}

export interface Listed {
  /** `mallee host list` */
  readonly route: string
  readonly command: Command<CommandContext>
}

export function commandsOf(route: string, target: Root): Listed[] {
  if (!('getAllEntries' in target)) return [{ route, command: target }]
  return target
    .getAllEntries()
    .flatMap((entry) =>
      commandsOf(`${route} ${entry.name['convert-camel-to-kebab']}`, entry.target),
    )
}

export const COMMANDS = Object.entries(PROGRAMS).flatMap(([name, root]) => commandsOf(name, root))

/** Runs a program's line with its output kept; what the command itself prints is not. */
export async function runLine(
  name: string,
  words: readonly string[],
): Promise<{ stdout: string; stderr: string; exitCode: number }> {
  const root = PROGRAMS[name]
  assert.ok(root, `${name} is no program`)
  const said: Record<'stdout' | 'stderr', string[]> = { stdout: [], stderr: [] }
  const io: Parameters<typeof run>[2]['process'] & { exitCode?: number | string | null } = {
    stdout: { write: (text: string) => void said.stdout.push(text) },
    stderr: { write: (text: string) => void said.stderr.push(text) },
    env: {},
  }
  await run(applicationOf(name, root), words, { process: io })
  const [stdout, stderr] = [said.stdout.join(''), said.stderr.join('')]
  return { stdout, stderr, exitCode: Number(io.exitCode ?? 0) }
}

/** The words of a line as a shell has them, up to where it does something else with it. */
export function wordsOf(line: string): string[] {
  const [own = ''] = line.trim().split(/ (?:[>|]|&&) |\s{2,}/)
  return [...own.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '')
}
