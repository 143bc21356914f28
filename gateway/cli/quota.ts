// `mallee quota …`: how much each account may have.

import { buildCommand, buildRouteMap, numberParser } from '@stricli/core'
import { answering, print, table } from '../../common/cli.ts'
import type { QuotaShown } from '../local/quotas.ts'
import { callLocal } from './client.ts'
import { jsonFlag, type LocalFlags, socketFlag } from './flags.ts'
import { accountName, quotaName } from './names.ts'

const flags = { socket: socketFlag, json: jsonFlag }

const listCommand = buildCommand<LocalFlags, [string]>({
  docs: {
    brief: 'Quotas of an account, and what it uses of them',
    fullDescription: [
      'Quotas of an account, and what it uses of them. Those without a number in USED are counted',
      'for each VPC.',
      '',
      'Example:',
      '  mallee quota list 111122223333',
    ].join('\n'),
  },
  parameters: { flags, positional: { kind: 'tuple', parameters: [accountName] } },
  func: ({ socket, json }, id) =>
    answering(json, async () => {
      const call = { method: 'GET', path: quotasPath(id) } as const
      const { quotas } = await callLocal<{ quotas: readonly QuotaShown[] }>(socket, call)
      const rows = quotas.map((one) => [
        one.id,
        String(one.value),
        String(one.default),
        String(one.used ?? '-'),
        one.name,
      ])
      print(json, { quotas }, table(['QUOTA', 'VALUE', 'DEFAULT', 'USED', 'NAME'], rows))
    }),
})

const setCommand = buildCommand<LocalFlags, [string, string, number]>({
  docs: {
    brief: 'Set a quota of an account',
    fullDescription: [
      'Set a quota of an account. What the account has already stays; it gets no more past the',
      'quota.',
      '',
      'Examples:',
      '  mallee quota set 111122223333 vcpus 64',
      '  mallee quota set 111122223333 "VPCs per Region" 5',
    ].join('\n'),
  },
  parameters: {
    flags,
    positional: {
      kind: 'tuple',
      parameters: [
        accountName,
        quotaName,
        { brief: 'How many, 0 for none', parse: numberParser, placeholder: 'value' },
      ],
    },
  },
  func: ({ socket, json }, id, name, value) =>
    answering(json, async () => {
      const call = { method: 'PUT', path: quotaPath(id, name), body: { value } } as const
      printQuota(json, await callLocal<QuotaShown>(socket, call))
    }),
})

const resetCommand = buildCommand<LocalFlags, [string, string]>({
  docs: {
    brief: 'Give a quota of an account its default value again',
    fullDescription: [
      'Give a quota of an account its default value again.',
      '',
      'Example:',
      '  mallee quota reset 111122223333 vcpus',
    ].join('\n'),
  },
  parameters: { flags, positional: { kind: 'tuple', parameters: [accountName, quotaName] } },
  func: ({ socket, json }, id, name) =>
    answering(json, async () => {
      const call = { method: 'DELETE', path: quotaPath(id, name) } as const
      printQuota(json, await callLocal<QuotaShown>(socket, call))
    }),
})

export const quotaRoutes = buildRouteMap({
  routes: { list: listCommand, set: setCommand, reset: resetCommand },
  docs: { brief: 'How much accounts may have' },
})

function quotasPath(id: string): string {
  return `/v1/accounts/${encodeURIComponent(id)}/quotas`
}

function quotaPath(id: string, name: string): string {
  return `${quotasPath(id)}/${encodeURIComponent(name)}`
}

function printQuota(json: boolean, one: QuotaShown): void {
  print(json, one, `${one.name}: ${one.value} (default ${one.default})`)
}
