// What several `mallee` commands have: flags, and ways to say things.

import { DEFAULT_CONFIG_FILE, DEFAULT_SOCKET } from '../files.ts'

export const jsonFlag = {
  kind: 'boolean',
  brief: 'Print one JSON object',
  default: false,
} as const

export const socketFlag = {
  kind: 'parsed',
  parse: String,
  brief: "The gateway's local socket",
  placeholder: 'path',
  default: DEFAULT_SOCKET,
} as const

export const configFlag = {
  kind: 'parsed',
  parse: String,
  brief: 'Configuration file',
  placeholder: 'path',
  default: DEFAULT_CONFIG_FILE,
} as const

/** What `--help` says of a command that one sentence explains. */
export function helped(
  brief: string,
  example: string,
): { readonly brief: string; readonly fullDescription: string } {
  return { brief, fullDescription: [`${brief}.`, '', 'Example:', `  ${example}`].join('\n') }
}

export interface LocalFlags {
  readonly json: boolean
  readonly socket: string
}

/** Of a round of the scrubber or of rules. */
export function spanOf(round: { startedAtMs: number; endedAtMs: number | null }): string {
  const since = new Date(round.startedAtMs).toISOString()
  return `from ${since} to ${round.endedAtMs === null ? 'now' : new Date(round.endedAtMs).toISOString()}`
}
