// nft(8) as values: rulesets go in by standard input, in one transaction each; tables come out as
// JSON (libnftables-json(5)).

import type { Exec } from '../../common/exec.ts'

export type NftFamily = 'inet' | 'netdev'

const NO_SUCH_TABLE = 'No such file or directory'

/** Loads a ruleset: all of it or nothing. Throws CommandFailed with nft's own words. */
export async function applyRuleset(exec: Exec, ruleset: string): Promise<void> {
  await exec(['nft', '-f', '-'], { input: ruleset, timeoutMs: 30_000 })
}

/** The objects of one table as nft prints them, `{table}`, `{chain}`, `{set}`…; null without it. */
export async function listTable(
  exec: Exec,
  family: NftFamily,
  table: string,
): Promise<readonly unknown[] | null> {
  // --terse: the elements of sets can be many, and nobody here reads them.
  const argv = ['nft', '--json', '--terse', 'list', 'table', family, table]
  const { code, stdout, stderr } = await exec(argv, { okCodes: [0, 1] })
  if (code === 0) return (JSON.parse(stdout) as { nftables: unknown[] }).nftables
  if (stderr.includes(NO_SUCH_TABLE)) return null
  await exec(argv)
  return null
}

/** Deletes a table; one that is gone already is no error. */
export async function deleteTable(exec: Exec, family: NftFamily, table: string): Promise<void> {
  // The first line makes sure that the second one finds something to delete.
  await applyRuleset(exec, `table ${family} ${table}\ndelete table ${family} ${table}\n`)
}
