// Asks before something is lost for ever: --yes says it beforehand, a terminal is asked.

import { createInterface } from 'node:readline/promises'
import { MalleeError } from '../../common/errors.ts'

/** Throws BadArgument when nobody says yes. `what` is a sentence of what would happen. */
export async function confirm(
  { yes, json }: { readonly yes: boolean; readonly json: boolean },
  what: string,
): Promise<void> {
  if (yes) return
  if (!json && process.stdin.isTTY === true) {
    const terminal = createInterface({ input: process.stdin, output: process.stderr })
    const answer = await terminal.question(`${what}. Go on? [y/N] `)
    terminal.close()
    if (/^y(?:es)?$/i.test(answer.trim())) return
    throw new MalleeError('BadArgument', 'nothing was done')
  }
  throw new MalleeError('BadArgument', `${what}: say --yes when that is meant`)
}
