// nft(8) as values: rulesets go in by standard input, in one transaction each; a table comes out as
// nft writes it. Not as JSON: that of nft 1.0 has neither a table's comment nor a chain's devices.

import { MalleeError } from '../../common/errors.ts'
import type { Exec } from '../../common/exec.ts'

export type NftFamily = 'inet' | 'netdev'

const NO_SUCH_TABLE = 'No such file or directory'

/** Loads a ruleset: all of it or nothing. Throws CommandFailed with nft's own words. */
export async function applyRuleset(exec: Exec, ruleset: string): Promise<void> {
  await exec(['nft', '-f', '-'], { input: ruleset, timeoutMs: 30_000 })
}

/** One table's text without the elements of its sets; null when there is no such table. */
export async function readTable(
  exec: Exec,
  family: NftFamily,
  table: string,
): Promise<string | null> {
  const argv = ['nft', '--terse', 'list', 'table', family, table]
  const { code, stdout, stderr } = await exec(argv, { okCodes: [0, 1] })
  if (code !== 0 && !stderr.includes(NO_SUCH_TABLE)) {
    throw new MalleeError('CommandFailed', `${argv.join(' ')} exited ${code}: ${stderr.trim()}`)
  }
  return code === 0 ? stdout : null
}

/** The comment of a table in its text; null without one. */
export function tableComment(text: string): string | null {
  return text.match(/^\tcomment "([^"]*)"$/m)?.[1] ?? null
}

/** The devices that the chains of a netdev table's text hook, sorted. */
export function hookedDevices(text: string): string[] {
  const lists = [...text.matchAll(/ hook ingress devices? (?:= )?(\{[^}]*\}|"[^"]*")/g)]
  const names = lists.flatMap(([, list = '']) => list.match(/[^\s{},"]+/g) ?? [])
  return names.sort((a, b) => (a < b ? -1 : 1))
}

/** Deletes a table; one that is gone already is no error. */
export async function deleteTable(exec: Exec, family: NftFamily, table: string): Promise<void> {
  // The first line makes sure that the second one finds something to delete.
  await applyRuleset(exec, `table ${family} ${table}\ndelete table ${family} ${table}\n`)
}
