// `mallee bucket …`: buckets of all accounts, and how the storage of their objects is.

import { buildCommand, buildRouteMap, numberParser } from '@stricli/core'
import { answering, print, table } from '../../common/cli.ts'
import type { BucketShown, ObjectStorageShown } from '../local/objects.ts'
import { callLocal } from './client.ts'
import { helped, jsonFlag, type LocalFlags, socketFlag, spanOf } from './flags.ts'
import { bucketName } from './names.ts'

const HEADS = ['NAME', 'ACCOUNT', 'VERSIONING', 'STORE', 'OBJECTS', 'OLDER', 'BYTES']
/** By the power of 1,024. */
const UNITS = ['', 'KiB', 'MiB', 'GiB', 'TiB']
const flags = { socket: socketFlag, json: jsonFlag }

const listCommand = buildCommand<LocalFlags>({
  docs: helped(
    'Buckets of all accounts and what they held when last counted',
    'mallee bucket list',
  ),
  parameters: { flags },
  func: ({ socket, json }) =>
    answering(json, async () => {
      const call = { method: 'GET', path: '/v1/buckets' } as const
      const answer = await callLocal<{ buckets: readonly BucketShown[] }>(socket, call)
      const rows = answer.buckets.map(({ name, account, versioning, store, usage }) => {
        const counted = usage && [usage.objects, usage.olderVersions, usage.bytes]
        return [
          name,
          account,
          versioning,
          store ?? 'default',
          ...(counted ?? ['-', '-', '-']).map(String),
        ]
      })
      print(json, answer, table(HEADS, rows))
    }),
})

const reportCommand = buildCommand<LocalFlags>({
  docs: helped(
    'Disks of objects, how far scrubber and lifecycle rules are, and which objects are damaged',
    'mallee bucket report',
  ),
  parameters: { flags },
  func: ({ socket, json }) =>
    answering(json, async () => {
      const call = { method: 'GET', path: '/v1/object-storage' } as const
      const answer = await callLocal<ObjectStorageShown>(socket, call)
      print(json, answer, linesOf(answer).join('\n'))
    }),
})

function linesOf(report: ObjectStorageShown): string[] {
  const { disks, rackDisks, garbage, scrubs, lifecycles, damage } = report
  const rounds = Object.entries(scrubs).map(([store, round]) => {
    if (round === null) return `scrubber of ${store}: has not begun`
    return `scrubber of ${store}: ${round.blobs} blobs ${spanOf(round)}, ${round.skipped} skipped`
  })
  const expired = lifecycles.map(
    ({ bucket, objects, versions, markers, uploads, locked, ...round }) =>
      `lifecycle of ${bucket}: ${objects} objects, ${versions} versions, ${markers} markers, ${uploads} uploads ${spanOf(round)}, ${locked} locked`,
  )
  return [
    ...Object.entries(disks).map(([dir, state]) => `disk ${dir}: ${state}`),
    ...rackDisks.map(({ rack, host, connected, dir, state, roomBytes }) => {
      const now = connected ? state : 'away'
      return `disk ${dir} of host ${host} in rack ${rack}: ${now}, room for ${roomBytes} bytes`
    }),
    `garbage: ${garbage} entries wait`,
    ...rounds,
    ...expired,
    `damaged: ${damage.length}`,
    // A key may have line ends in it.
    ...damage.map(({ bucket, key, what }) => `  ${bucket} ${JSON.stringify(key)}: ${what}`),
  ]
}

interface MoveFlags extends LocalFlags {
  readonly to: string
}

const moveCommand = buildCommand<MoveFlags, [string]>({
  docs: {
    brief: 'Move the bytes of a bucket to another store, while it is in use',
    fullDescription: [
      'Move the bytes of a bucket to another store, while it is in use. New objects go there at',
      'once, the others follow; small ones stay in the index.',
      '',
      'Example:',
      '  mallee bucket move photos --to engine',
      '  mallee bucket move photos --to rack:a',
    ].join('\n'),
  },
  parameters: {
    flags: {
      to: {
        kind: 'parsed',
        parse: String,
        brief: 'local, engine or rack:<name>',
        placeholder: 'store',
      },
      ...flags,
    },
    positional: { kind: 'tuple', parameters: [bucketName] },
  },
  func: ({ to, socket, json }, name) =>
    answering(json, async () => {
      const path = `/v1/buckets/${encodeURIComponent(name)}`
      const call = { method: 'PUT', path, body: { store: to } } as const
      print(json, await callLocal(socket, call), `${name}: its bytes go to ${to}`)
    }),
})

interface QuotaFlags extends LocalFlags {
  readonly bytes?: number
  readonly objects?: number
}

const quotaCommand = buildCommand<QuotaFlags, [string]>({
  docs: {
    brief: 'Limit how much a bucket may hold; without a limit, take it away',
    fullDescription: [
      'Limit how much a bucket may hold; without a limit, take it away. Older versions and parts',
      'of uploads count. What is there already stays. That of an account is `mallee quota set`.',
      '',
      'Examples:',
      '  mallee bucket quota photos --bytes 10GiB --objects 100000',
      '  mallee bucket quota photos',
    ].join('\n'),
  },
  parameters: {
    flags: {
      bytes: {
        ...{ kind: 'parsed', parse: parseBytes, optional: true, placeholder: 'size' },
        brief: 'Bytes, or with KiB, MiB, GiB or TiB',
      },
      objects: {
        ...{ kind: 'parsed', parse: numberParser, optional: true, placeholder: 'n' },
        brief: 'Versions of objects',
      },
      ...flags,
    },
    positional: { kind: 'tuple', parameters: [bucketName] },
  },
  func: ({ bytes = null, objects = null, socket, json }, name) =>
    answering(json, async () => {
      const path = `/v1/buckets/${encodeURIComponent(name)}/quota`
      const call = { method: 'PUT', path, body: { bytes, objects } } as const
      const { quota } = await callLocal<BucketShown>(socket, call)
      const shown = (most: number | null | undefined): string => String(most ?? 'any number of')
      const text = `${name}: ${shown(quota?.bytes)} bytes, ${shown(quota?.objects)} objects`
      print(json, { name, quota }, text)
    }),
})

/** `10GiB`. Throws SyntaxError, which the command line says. */
function parseBytes(text: string): number {
  const [, digits, unit = ''] = /^(\d{1,15})(KiB|MiB|GiB|TiB)?$/.exec(text) ?? []
  const bytes = Number(digits) * 1024 ** UNITS.indexOf(unit)
  if (Number.isSafeInteger(bytes)) return bytes
  throw new SyntaxError(`${text} is no size like 500MiB or 10GiB`)
}

export const bucketRoutes = buildRouteMap({
  routes: {
    list: listCommand,
    move: moveCommand,
    quota: quotaCommand,
    report: reportCommand,
  },
  docs: { brief: 'Buckets and where their objects are' },
})
