// Image files come in here, as a stream: the size of the file is no size of memory.

import type { FastifyInstance } from 'fastify'
import type { RandomHex } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import { takeBlob } from '../blobs.ts'
import { type BundleKeyParts, bundleCertificate } from '../bundles/bundle-key.ts'
import { checkSameFormat } from '../ec2/image-files.ts'
import { removeImageFile } from '../image-files.ts'
import type { BlobRecord } from '../store/records.ts'
import { route } from './route.ts'
import { integer, list, named, object, oneOf, type Typed, text, time } from './schema.ts'

interface BlobParts extends BundleKeyParts {
  readonly randomHex: RandomHex
  readonly blobsDir: string
}

const NAME = /^[\w.()[\]/@' -]{3,128}$/

const SHA256 = text({ pattern: '^[0-9a-f]{64}$', description: 'Of its bytes, 64 hex digits' })
const BLOB = named(
  'ImageFile',
  object({
    sha256: SHA256,
    names: list(text({}), { description: 'Under which it was brought in' }),
    sizeBytes: integer({ minimum: 0 }),
    virtualSizeBytes: integer({ minimum: 0, description: 'Of the disk that it is' }),
    format: oneOf('raw', 'qcow2', 'kernel', 'ramdisk'),
    createdAtMs: time('When it was brought in first'),
  }),
)
export type ImageFile = Typed<typeof BLOB>
const EXAMPLE: ImageFile = {
  ...{ sha256: '0123456789abcdef'.repeat(4), names: ['debian-13'], sizeBytes: 400 << 20 },
  ...{ virtualSizeBytes: 2 ** 31, format: 'qcow2', createdAtMs: 1_785_000_000_000 },
}

export function addBlobRoutes(app: FastifyInstance, parts: BlobParts): void {
  const { state, clock, randomHex, blobsDir } = parts
  route(
    app,
    {
      id: 'listImageFiles',
      summary: 'Image files in this cloud',
      method: 'GET',
      path: '/v1/blobs',
      answer: object({ blobs: list(BLOB) }),
      example: { blobs: [EXAMPLE] },
    },
    async () => ({ blobs: (await state.fresh()).all('blob').map(shown) }),
  )

  route(
    app,
    {
      id: 'removeImageFile',
      summary: 'Take an image file away of which there is no image any more',
      method: 'DELETE',
      path: '/v1/blobs/{sha256}',
      params: object({ sha256: SHA256 }),
      answer: BLOB,
      example: EXAMPLE,
      refusals: ['NotFound', 'Conflict'],
    },
    async ({ params: { sha256 } }) => shown(await removeImageFile(parts, sha256)),
  )

  route(
    app,
    {
      id: 'getBundleCertificate',
      summary: 'The certificate that users encrypt bundles of images for',
      method: 'GET',
      path: '/v1/bundle-certificate',
      answer: object({ certificate: text({ description: 'PEM' }) }),
      example: { certificate: '-----BEGIN CERTIFICATE-----\n…\n-----END CERTIFICATE-----\n' },
    },
    async () => ({ certificate: await bundleCertificate(parts) }),
  )

  app.register(async (streams) => {
    streams.removeAllContentTypeParsers()
    streams.addContentTypeParser('*', (_request, _payload, done) => done(null))
    route(
      streams,
      {
        id: 'importImageFile',
        summary: 'Bring in an image file, which is the body',
        method: 'PUT',
        path: '/v1/blobs',
        query: object(
          {
            name: text({
              minLength: 3,
              maxLength: 128,
              description: "RegisterImage's ImageLocation",
            }),
          },
          // Without it a disk, raw or qcow2.
          { kind: oneOf('machine', 'kernel', 'ramdisk') },
        ),
        isBinary: true,
        answer: BLOB,
        example: EXAMPLE,
        refusals: ['StoreFull', 'Conflict'],
      },
      async ({ raw, query: { name, kind = 'machine' } }) => {
        if (!NAME.test(name)) {
          const fits = "3 to 128 of A-Z a-z 0-9 ._-()[]/@'"
          throw new MalleeError('BadArgument', `image name ${JSON.stringify(name)} is not ${fits}`)
        }
        const about = { nowMs: clock.nowMs(), unique: randomHex(8), kind }
        const blob = await takeBlob(blobsDir, name, raw, about)
        const kept = await state.update(async (tx) => {
          const known = await tx.get('blob', blob.sha256)
          checkSameFormat(known, blob)
          const names = new Set([...(known?.names ?? []), name])
          if (known?.chunkListSha256 !== undefined && names.size === known.names.length)
            return known
          // The same bytes under another name: both names lead to them.
          const { chunkListSha256 } = blob
          const next = known === null ? blob : { ...known, names: [...names], chunkListSha256 }
          await tx.put('blob', [blob.sha256], next)
          return next
        })
        return shown(kept)
      },
    )
  })
}

function shown(blob: BlobRecord): ImageFile {
  const { sha256, names, sizeBytes, virtualSizeBytes, format, createdAtMs } = blob
  return { sha256, names, sizeBytes, virtualSizeBytes, format, createdAtMs }
}
