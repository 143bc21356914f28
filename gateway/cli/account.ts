// `mallee account …` and `mallee key …`: who uses the cloud, and with which access keys.

import { buildCommand, buildRouteMap } from '@stricli/core'
import { answering, print, table } from '../../common/cli.ts'
import type { Account, Key, NewKey } from '../local/accounts.ts'
import { callLocal } from './client.ts'
import { helped, jsonFlag, type LocalFlags, socketFlag } from './flags.ts'
import { accountName, keyName } from './names.ts'
import { showCommand } from './show.ts'

const flags = { socket: socketFlag, json: jsonFlag }

const createAccountCommand = buildCommand<LocalFlags, [string]>({
  docs: {
    brief: 'Make an account with a default VPC and an access key',
    fullDescription: [
      'Make an account with a default VPC and an access key. The secret is printed once and kept',
      'only sealed.',
      '',
      'Example:',
      '  mallee account create research',
    ].join('\n'),
  },
  parameters: {
    flags,
    positional: {
      kind: 'tuple',
      parameters: [{ brief: 'Name of the account', parse: String, placeholder: 'name' }],
    },
  },
  func: ({ socket, json }, name) =>
    answering(json, async () => {
      const call = { method: 'POST', path: '/v1/accounts', body: { name } } as const
      printKey(json, await callLocal<NewKey>(socket, call))
    }),
})

const listAccountsCommand = buildCommand<LocalFlags>({
  docs: helped('Accounts, their keys and how many instances they have', 'mallee account list'),
  parameters: { flags },
  func: ({ socket, json }) =>
    answering(json, async () => {
      const call = { method: 'GET', path: '/v1/accounts' } as const
      const { accounts } = await callLocal<{ accounts: readonly Account[] }>(socket, call)
      const rows = accounts.map(({ id, name, keys, instances }) => [
        id,
        name,
        keys.join(' '),
        String(instances),
      ])
      print(json, { accounts }, table(['ACCOUNT', 'NAME', 'KEYS', 'INSTANCES'], rows))
    }),
})

const createKeyCommand = buildCommand<LocalFlags, [string]>({
  docs: helped(
    'Make another access key of an account; it may have two',
    'mallee key create 111122223333',
  ),
  parameters: { flags, positional: { kind: 'tuple', parameters: [accountName] } },
  func: ({ socket, json }, id) =>
    answering(json, async () => {
      printKey(json, await callLocal<NewKey>(socket, { method: 'POST', path: keysPath(id) }))
    }),
})

const listKeysCommand = buildCommand<LocalFlags, [string]>({
  docs: helped('Access keys of an account', 'mallee key list 111122223333'),
  parameters: { flags, positional: { kind: 'tuple', parameters: [accountName] } },
  func: ({ socket, json }, id) =>
    answering(json, async () => {
      const call = { method: 'GET', path: keysPath(id) } as const
      const { keys } = await callLocal<{ keys: readonly Key[] }>(socket, call)
      const rows = keys.map((key) => [key.id, key.status, new Date(key.createdAtMs).toISOString()])
      print(json, { keys }, table(['KEY', 'STATUS', 'MADE'], rows))
    }),
})

const deleteKeyCommand = buildCommand<LocalFlags, [string, string]>({
  docs: helped(
    'End an access key: what it signs is refused from now on',
    'mallee key delete 111122223333 AKIAIOSFODNN7EXAMPLE',
  ),
  parameters: {
    flags,
    positional: {
      kind: 'tuple',
      parameters: [accountName, keyName],
    },
  },
  func: ({ socket, json }, id, key) =>
    answering(json, async () => {
      const path = `${keysPath(id)}/${encodeURIComponent(key)}`
      print(json, await callLocal(socket, { method: 'DELETE', path }), `${key}: deleted`)
    }),
})

export const accountRoutes = buildRouteMap({
  routes: {
    create: createAccountCommand,
    list: listAccountsCommand,
    show: showCommand(
      'An account and its keys',
      'mallee account show 111122223333',
      accountName,
      '/v1/accounts',
    ),
  },
  docs: { brief: 'Accounts of the cloud' },
})

export const keyRoutes = buildRouteMap({
  routes: { create: createKeyCommand, list: listKeysCommand, delete: deleteKeyCommand },
  docs: { brief: 'Access keys of accounts' },
})

function keysPath(id: string): string {
  return `/v1/accounts/${encodeURIComponent(id)}/keys`
}

function printKey(json: boolean, key: NewKey): void {
  const text = [
    `Account ${key.account}. The secret is shown only now:`,
    `  AWS_ACCESS_KEY_ID=${key.accessKeyId}`,
    `  AWS_SECRET_ACCESS_KEY=${key.secretAccessKey}`,
  ].join('\n')
  print(json, key, text)
}
