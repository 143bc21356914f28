// `mallee key …`: with which access keys accounts come.

import { buildCommand, buildRouteMap } from '@stricli/core'
import { answering, print, table } from '../../common/cli.ts'
import type { Key, NewKey } from '../local/keys.ts'
import { callLocal } from './client.ts'
import { helped, jsonFlag, type LocalFlags, socketFlag } from './flags.ts'
import { accountName, keyName } from './names.ts'

const flags = { socket: socketFlag, json: jsonFlag }

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

function setStatus(verb: 'disable' | 'enable', brief: string) {
  return buildCommand<LocalFlags, [string, string]>({
    docs: helped(brief, `mallee key ${verb} 111122223333 AKIAIOSFODNN7EXAMPLE`),
    parameters: { flags, positional: { kind: 'tuple', parameters: [accountName, keyName] } },
    func: ({ socket, json }, id, key) =>
      answering(json, async () => {
        const path = `${keysPath(id)}/${encodeURIComponent(key)}`
        const body = { status: verb === 'enable' ? 'Active' : 'Inactive' }
        const now = await callLocal<Key>(socket, { method: 'PUT', path, body })
        print(json, now, `${now.id}: ${now.status}`)
      }),
  })
}

export const keyRoutes = buildRouteMap({
  routes: {
    create: createKeyCommand,
    list: listKeysCommand,
    disable: setStatus('disable', 'Let an access key sign nothing until it is enabled'),
    enable: setStatus('enable', 'Let a disabled access key sign again'),
    delete: deleteKeyCommand,
  },
  docs: { brief: 'Access keys of accounts' },
})

function keysPath(id: string): string {
  return `/v1/accounts/${encodeURIComponent(id)}/keys`
}

export function printKey(json: boolean, key: NewKey): void {
  const text = [
    `Account ${key.account}. The secret is shown only now:`,
    `  AWS_ACCESS_KEY_ID=${key.accessKeyId}`,
    `  AWS_SECRET_ACCESS_KEY=${key.secretAccessKey}`,
  ].join('\n')
  print(json, key, text)
}
