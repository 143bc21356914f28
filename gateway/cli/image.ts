// `mallee image …`: brings image files into the cloud; RegisterImage makes machine images of them.

import { basename } from 'node:path'
import { buildCommand, buildRouteMap } from '@stricli/core'
import { answering, print, table } from '../../common/cli.ts'
import { MalleeError } from '../../common/errors.ts'
import type { ImageFile } from '../local/blobs.ts'
import type { ImageKind } from '../store/image-records.ts'
import { callLocal } from './client.ts'
import { helped, jsonFlag, type LocalFlags, socketFlag } from './flags.ts'
import { imageName } from './names.ts'

const KINDS = ['machine', 'kernel', 'ramdisk'] as const satisfies readonly ImageKind[]

interface ImportFlags extends LocalFlags {
  readonly name?: string
  readonly kind: ImageKind
}

const importCommand = buildCommand<ImportFlags, [string]>({
  docs: {
    brief: 'Bring in an image file',
    fullDescription: [
      'Bring in an image file: a disk, raw or qcow2, or what starts one that does not boot by',
      'itself, a kernel or a ramdisk. Then make an image of it:',
      '',
      '  mallee image import debian.qcow2 --name debian-13',
      '  aws ec2 register-image --name debian-13 --image-location debian-13',
      '',
      '  mallee image import vmlinuz --kind kernel',
      '  aws ec2 register-image --name linux-6 --image-location vmlinuz',
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
      kind: {
        kind: 'enum',
        values: KINDS,
        default: 'machine',
        brief: 'What the file is: a disk (machine), a kernel, or a ramdisk',
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

const removeCommand = buildCommand<LocalFlags, [string]>({
  docs: {
    brief: 'Take an image file away of which there is no image any more',
    fullDescription: [
      'Take an image file away of which there is no image any more: deregister-image first.',
      'Instances that run from it are in the way until they are terminated.',
      '',
      'Examples:',
      '  mallee image remove debian-13',
    ].join('\n'),
  },
  parameters: {
    flags: { socket: socketFlag, json: jsonFlag },
    positional: { kind: 'tuple', parameters: [imageName] },
  },
  func: ({ socket, json }, name) =>
    answering(json, async () => {
      const sha256 = await digestOf(socket, name)
      const call = { method: 'DELETE', path: `/v1/blobs/${sha256}` } as const
      const gone = await callLocal<ImageFile>(socket, call)
      print(json, gone, `${gone.names.join(', ')}: removed, ${gone.sizeBytes} bytes`)
    }),
})

const bundleCertificateCommand = buildCommand<LocalFlags>({
  docs: helped(
    'The certificate that users encrypt bundles of images for, as PEM',
    'mallee image bundle-certificate > cloud.pem',
  ),
  parameters: { flags: { socket: socketFlag, json: jsonFlag } },
  func: ({ socket, json }) =>
    answering(json, async () => {
      const call = { method: 'GET', path: '/v1/bundle-certificate' } as const
      const answer = await callLocal<{ certificate: string }>(socket, call)
      print(json, answer, answer.certificate.trimEnd())
    }),
})

export const imageRoutes = buildRouteMap({
  routes: {
    import: importCommand,
    list: listCommand,
    remove: removeCommand,
    bundleCertificate: bundleCertificateCommand,
  },
  docs: { brief: 'Image files' },
})

/** Of a file by its name, when just one has it, or by its digest. */
async function digestOf(socket: string, name: string): Promise<string> {
  const { blobs } = await callLocal<{ blobs: readonly ImageFile[] }>(socket, {
    method: 'GET',
    path: '/v1/blobs',
  })
  const found = blobs.filter((one) => one.sha256 === name || one.names.includes(name))
  const [first, ...others] = found.map(({ sha256 }) => sha256)
  if (first === undefined) throw new MalleeError('NotFound', `there is no image file ${name}`)
  if (others.length === 0) return first
  const digests = [first, ...others].join(', ')
  throw new MalleeError('BadArgument', `several files are named ${name}, say which: ${digests}`)
}

async function importImage(flags: ImportFlags, file: string): Promise<void> {
  const name = flags.name ?? basename(file)
  let shownMiB = 0
  const blob = await callLocal<ImageFile>(flags.socket, {
    method: 'PUT',
    path: `/v1/blobs?name=${encodeURIComponent(name)}&kind=${flags.kind}`,
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
