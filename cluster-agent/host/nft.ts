// nft(8) as values: rulesets go in by standard input, in one transaction each; a table comes out as
// nft writes it. Not as JSON: that of nft 1.0 has neither a table's comment nor a chain's devices.

import { MalleeError } from '../../common/errors.ts'
import type { Exec } from '../../common/exec.ts'

export type NftFamily = 'inet' | 'netdev'

const MAX_BYTES = 256 << 20
const NO_SUCH_TABLE = 'No such file or directory'

/** Loads a ruleset: all of it or nothing. Throws CommandFailed with nft's own words. */
export async function applyRuleset(exec: Exec, ruleset: string): Promise<void> {
  await exec(['nft', '-f', '-'], { input: ruleset, timeoutMs: 30_000 })
}

/** One table's text, without the elements of its sets unless asked for; null without the table. */
export async function readTable(
  exec: Exec,
  family: NftFamily,
  table: string,
  { elements = false } = {},
): Promise<string | null> {
  const argv = ['nft', ...(elements ? [] : ['--terse']), 'list', 'table', family, table]
  const { code, stdout, stderr } = await exec(argv, { okCodes: [0, 1], maxBytes: MAX_BYTES })
  if (code !== 0 && !stderr.includes(NO_SUCH_TABLE)) {
    throw new MalleeError('CommandFailed', `${argv.join(' ')} exited ${code}: ${stderr.trim()}`)
  }
  return code === 0 ? stdout : null
}

/** The comment of a table in its text; null without one. */
export function tableComment(text: string): string | null {
  return text.match(/^\tcomment "([^"]*)"$/m)?.[1] ?? null
}

/** The elements of each set and map in a table's text, as nft writes them. */
export function tableElements(text: string): Map<string, string[]> {
  const found = new Map<string, string[]>()
  for (const [, name = '', body = ''] of text.matchAll(/^\t(?:set|map) (\S+) \{\n(.*?)^\t\}$/gms)) {
    const list = /elements = \{ (.*) \}/s.exec(body)?.[1] ?? ''
    found.set(name, list === '' ? [] : list.split(/,\s+/))
  }
  return found
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
