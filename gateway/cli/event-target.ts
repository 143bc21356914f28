// `mallee event-target …`: where buckets may tell of changes to their objects.

import { readFile } from 'node:fs/promises'
import { buildCommand, buildRouteMap, numberParser } from '@stricli/core'
import { answering, print, table } from '../../common/cli.ts'
import { MalleeError, messageOf } from '../../common/errors.ts'
import type { EventTargetShown } from '../local/event-targets.ts'
import { callLocal } from './client.ts'
import { helped, jsonFlag, type LocalFlags, socketFlag } from './flags.ts'
import { accountName, targetName } from './names.ts'

const HEADS = ['NAME', 'KIND', 'ACCOUNT', 'BUCKETS', 'PENDING', 'LAST ERROR']
const flags = { socket: socketFlag, json: jsonFlag }
const PATH = '/v1/event-targets'

interface CreateFlags extends LocalFlags {
  readonly url?: string
  readonly redis?: string
  readonly secretFile?: string
  readonly account?: string
  readonly maxLength: number
}

const createCommand = buildCommand<CreateFlags, [string]>({
  docs: {
    brief: 'Let buckets tell a webhook or a Redis stream of changes',
    fullDescription: [
      'Let buckets tell a webhook or a Redis stream of changes. Gateways call what is named here:',
      'it may be an address that only they reach. The secret in the file signs the messages of a',
      'webhook; for Redis it is the password.',
      '',
      'Examples:',
      '  mallee event-target create thumbnails --url https://hooks.example.com/s3 --secret-file key',
      '  mallee event-target create work --redis redis://queue.example.com:6379/0/s3',
    ].join('\n'),
  },
  parameters: {
    flags: {
      url: {
        ...{ kind: 'parsed', parse: String, optional: true, placeholder: 'url' },
        brief: 'http: or https: URL of a webhook',
      },
      redis: {
        ...{ kind: 'parsed', parse: String, optional: true, placeholder: 'url' },
        brief: 'redis://[user@]host[:port][/db]/stream, or rediss:',
      },
      secretFile: {
        ...{ kind: 'parsed', parse: String, optional: true, placeholder: 'path' },
        brief: 'File with the key of signatures, or the password',
      },
      account: { kind: 'parsed', ...accountName, optional: true, brief: 'Only for this account' },
      maxLength: {
        ...{ kind: 'parsed', parse: numberParser, default: '0', placeholder: 'n' },
        brief: 'About how many entries a stream keeps, 0 for all',
      },
      ...flags,
    },
    positional: { kind: 'tuple', parameters: [{ ...targetName, brief: 'Name of the target' }] },
  },
  func: ({ socket, json, ...given }, name) =>
    answering(json, async () => {
      const { url, redis, secretFile, account = '', maxLength } = given
      if ((url === undefined) === (redis === undefined)) {
        throw new MalleeError('BadArgument', 'give either --url or --redis')
      }
      const secret = secretFile === undefined ? '' : await secretIn(secretFile)
      const kind = url === undefined ? 'stream' : 'webhook'
      const body = { name, kind, url: url ?? redis, account, maxLength, secret }
      const target = await callLocal<EventTargetShown>(socket, { method: 'POST', path: PATH, body })
      print(json, target, `${name}: users name it ${target.arn}`)
    }),
})

const listCommand = buildCommand<LocalFlags>({
  docs: helped(
    'Targets of events, what waits for them and what is wrong with them',
    'mallee event-target list',
  ),
  parameters: { flags },
  func: ({ socket, json }) =>
    answering(json, async () => {
      const call = { method: 'GET', path: PATH } as const
      const answer = await callLocal<{ targets: readonly EventTargetShown[] }>(socket, call)
      const rows = answer.targets.map(({ name, kind, account, buckets, pending, trouble }) => [
        ...[name, kind, account === '' ? 'all' : account, String(buckets.length), String(pending)],
        trouble?.message ?? '',
      ])
      print(json, answer, table(HEADS, rows))
    }),
})

const showCommand = buildCommand<LocalFlags, [string]>({
  docs: helped('A target of events', 'mallee event-target show thumbnails'),
  parameters: { flags, positional: { kind: 'tuple', parameters: [targetName] } },
  func: ({ socket, json }, name) =>
    answering(json, async () => {
      const call = { method: 'GET', path: pathOf(name) } as const
      const target = await callLocal<EventTargetShown>(socket, call)
      print(json, target, linesOf(target).join('\n'))
    }),
})

const deleteCommand = buildCommand<LocalFlags, [string]>({
  docs: helped(
    'Delete a target that no bucket sends to; what waits for it is dropped',
    'mallee event-target delete thumbnails',
  ),
  parameters: { flags, positional: { kind: 'tuple', parameters: [targetName] } },
  func: ({ socket, json }, name) =>
    answering(json, async () => {
      const call = { method: 'DELETE', path: pathOf(name) } as const
      print(json, await callLocal<{ name: string }>(socket, call), `${name} is deleted`)
    }),
})

export const eventTargetRoutes = buildRouteMap({
  routes: {
    create: createCommand,
    list: listCommand,
    show: showCommand,
    delete: deleteCommand,
  },
  docs: { brief: 'Where buckets may tell of changes to their objects' },
})

function pathOf(name: string): string {
  return `${PATH}/${encodeURIComponent(name)}`
}

function linesOf(target: EventTargetShown): string[] {
  const { name, kind, url, account, arn, buckets, pending, trouble, hasSecret } = target
  const signed = hasSecret ? 'with a secret' : 'without a secret'
  const error = trouble && `${trouble.message} (${new Date(trouble.atMs).toISOString()})`
  return [
    `${name}: ${kind} at ${url}, ${signed}`,
    `users name it: ${arn}`,
    `for: ${account === '' ? 'all accounts' : account}`,
    `buckets: ${buckets.join(', ') || 'none'}`,
    `pending: ${pending}`,
    `last error: ${error ?? 'none'}`,
  ]
}

/** Without the line's end that editors put there. */
async function secretIn(file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).replace(/\r?\n$/, '')
  } catch (cause) {
    throw new MalleeError('BadArgument', `${file} cannot be read: ${messageOf(cause)}`, { cause })
  }
}
