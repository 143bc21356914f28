// `mallee account …`: who uses the cloud.

import { buildCommand, buildRouteMap } from '@stricli/core'
import { answering, print, table } from '../../common/cli.ts'
import type { Account } from '../local/accounts.ts'
import type { NewKey } from '../local/keys.ts'
import { callLocal } from './client.ts'
import { helped, jsonFlag, type LocalFlags, socketFlag } from './flags.ts'
import { printKey } from './key.ts'
import { accountName } from './names.ts'
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
      const rows = accounts.map(({ id, name, keys, instances, isBlocked }) => [
        id,
        name,
        keys.join(' '),
        String(instances),
        isBlocked ? 'blocked' : '',
      ])
      print(json, { accounts }, table(['ACCOUNT', 'NAME', 'KEYS', 'INSTANCES', 'NOTE'], rows))
    }),
})

const renameAccountCommand = buildCommand<LocalFlags, [string, string]>({
  docs: helped('Give an account another name', 'mallee account rename 111122223333 research'),
  parameters: {
    flags,
    positional: {
      kind: 'tuple',
      parameters: [accountName, { brief: 'The new one', parse: String, placeholder: 'name' }],
    },
  },
  func: (given, id, name) => answering(given.json, () => change(given, id, { name })),
})

function block(verb: 'block' | 'unblock', brief: string, more: string) {
  return buildCommand<LocalFlags, [string]>({
    docs: {
      brief,
      fullDescription: [
        `${brief}. ${more}`,
        '',
        'Example:',
        `  mallee account ${verb} 111122223333`,
      ].join('\n'),
    },
    parameters: { flags, positional: { kind: 'tuple', parameters: [accountName] } },
    func: (given, id) =>
      answering(given.json, () => change(given, id, { isBlocked: verb === 'block' })),
  })
}

export const accountRoutes = buildRouteMap({
  routes: {
    create: createAccountCommand,
    list: listAccountsCommand,
    rename: renameAccountCommand,
    block: block(
      'block',
      'Refuse all calls of an account',
      'Also those of its users and sessions. What it has goes on: instances run, nothing is lost.',
    ),
    unblock: block('unblock', 'Take calls of a blocked account again', 'Undoes block.'),
    show: showCommand(
      'An account and its keys',
      'mallee account show 111122223333',
      accountName,
      '/v1/accounts',
    ),
  },
  docs: { brief: 'Accounts of the cloud' },
})

async function change({ socket, json }: LocalFlags, id: string, body: object): Promise<void> {
  const call = { method: 'PUT', path: `/v1/accounts/${encodeURIComponent(id)}`, body } as const
  const now = await callLocal<Account>(socket, call)
  print(json, now, `${id}: ${now.name}, ${now.isBlocked ? 'blocked' : 'not blocked'}`)
}
