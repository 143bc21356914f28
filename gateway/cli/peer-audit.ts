// `mallee peer audit`: the log about a peer cloud, and whether it is whole.

import { buildCommand } from '@stricli/core'
import { answering, print, table } from '../../common/cli.ts'
import { MalleeError } from '../../common/errors.ts'
import type { AuditCheck, AuditEntryShown } from '../local/peer-audit.ts'
import { callLocal } from './client.ts'
import { jsonFlag, type LocalFlags, socketFlag } from './flags.ts'
import { peerName } from './names.ts'

interface Flags extends LocalFlags {
  readonly verify: boolean
}

const HASH_SHOWN = 16

export const auditCommand = buildCommand<Flags, [string]>({
  docs: {
    brief: 'The log about a peer cloud',
    fullDescription: [
      'The log about a peer cloud: what was stated to it, also of what users did, what was heard of it, and',
      'what operators did; with --json every word, and the receipts. With --verify every hash and signature',
      "is computed anew and compared with the other's receipts; fails at the first that does not fit.",
      '',
      'Examples:',
      '  mallee peer audit partner',
      '  mallee peer audit partner --verify',
    ].join('\n'),
  },
  parameters: {
    flags: {
      verify: { kind: 'boolean', brief: 'Check it, also against the other side', default: false },
      socket: socketFlag,
      json: jsonFlag,
    },
    positional: { kind: 'tuple', parameters: [peerName] },
  },
  func: (flags, name) =>
    answering(flags.json, () => (flags.verify ? verify(flags, name) : list(flags, name))),
})

async function list({ socket, json }: Flags, name: string): Promise<void> {
  const call = { method: 'GET', path: pathOf(name) } as const
  const answer = await callLocal<{ entries: readonly AuditEntryShown[] }>(socket, call)
  const rows = answer.entries.map(({ sequence, atMs, what, detail, hash }) => [
    ...[String(sequence), new Date(atMs).toISOString(), what, summaryOf(detail)],
    hash.slice(0, HASH_SHOWN),
  ])
  print(json, answer, table(['ENTRY', 'TIME', 'WHAT', 'OF', 'HASH'], rows))
}

async function verify({ socket, json }: Flags, name: string): Promise<void> {
  const call = { method: 'POST', path: `${pathOf(name)}/check` } as const
  const check = await callLocal<AuditCheck>(socket, call)
  const { entries, first, fault, compared, difference } = check
  const wrong = fault ?? difference
  if (wrong !== null) {
    throw new MalleeError('DataCorrupt', `entry ${wrong.sequence} of ${name}: ${wrong.why}`)
  }
  const whole = `${entries} entries, from number ${first} on, follow from each other`
  print(json, check, `${whole}; the other cloud has the same ${compared} links`)
}

function summaryOf(detail: object): string {
  const { act, sequence, counts } = detail as {
    readonly act?: string
    readonly sequence?: number
    readonly counts?: Readonly<Record<string, number>>
  }
  if (act !== undefined) return act
  const kinds = Object.entries(counts ?? {}).map(([kind, count]) => `${count} ${kind}`)
  return `link ${sequence}: ${kinds.join(', ')}`
}

function pathOf(name: string): string {
  return `/v1/peers/${encodeURIComponent(name)}/audit`
}
