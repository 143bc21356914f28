// `mallee image …`: brings image files into the cloud; RegisterImage makes machine images of them.

import { basename } from 'node:path'
import { buildCommand, buildRouteMap } from '@stricli/core'
import { answering, print, table } from '../../common/cli.ts'
import type { ImageFile } from '../local/blobs.ts'
import { callLocal } from './client.ts'
import { helped, jsonFlag, type LocalFlags, socketFlag } from './flags.ts'

interface ImportFlags extends LocalFlags {
  readonly name?: string
}

const importCommand = buildCommand<ImportFlags, [string]>({
  docs: {
    brief: 'Bring in an image file, raw or qcow2',
    fullDescription: [
      'Bring in an image file, raw or qcow2. Then make a machine image of it:',
      '',
      '  mallee image import debian.qcow2 --name debian-13',
      '  aws ec2 register-image --name debian-13 --image-location debian-13',
    ].join('\n'),
  },
  parameters: {
    flags: {
      name: {
        kind: 'parsed',
        parse: String,
        brief: "Name for RegisterImage's ImageLocation; the file's name when not given",
        placeholder: 'name',
        optional: true,
      },
      socket: socketFlag,
      json: jsonFlag,
    },
    positional: {
      kind: 'tuple',
      parameters: [{ brief: 'The file', parse: String, placeholder: 'file' }],
    },
  },
  func: (flags, file) => answering(flags.json, () => importImage(flags, file)),
})

const listCommand = buildCommand<LocalFlags>({
  docs: helped('Image files in this cloud', 'mallee image list'),
  parameters: { flags: { socket: socketFlag, json: jsonFlag } },
  func: ({ socket, json }) =>
    answering(json, async () => {
      const call = { method: 'GET', path: '/v1/blobs' } as const
      const { blobs } = await callLocal<{ blobs: readonly ImageFile[] }>(socket, call)
      const rows = blobs.map((one) => [
        one.names.join(', '),
        one.format,
        `${one.sizeBytes}`,
        one.sha256,
      ])
      print(json, { blobs }, table(['NAME', 'FORMAT', 'BYTES', 'SHA-256'], rows))
    }),
})

export const imageRoutes = buildRouteMap({
  routes: { import: importCommand, list: listCommand },
  docs: { brief: 'Image files' },
})

async function importImage(flags: ImportFlags, file: string): Promise<void> {
  const name = flags.name ?? basename(file)
  let shownMiB = 0
  const blob = await callLocal<ImageFile>(flags.socket, {
    method: 'PUT',
    path: `/v1/blobs?name=${encodeURIComponent(name)}`,
    file: {
      path: file,
      onProgress: (bytes) => {
        const mib = bytes >> 20
        if (mib < shownMiB + 64) return
        shownMiB = mib
        process.stderr.write(`${mib} MiB sent\n`)
      },
    },
  })
  const text = `${name}: ${blob.format}, ${blob.sizeBytes} bytes, sha256 ${blob.sha256}`
  print(flags.json, blob, text)
}
