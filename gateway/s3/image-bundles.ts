// Bundles that users upload: a manifest and, beside it, the parts that it names.

import type { KeyObject } from 'node:crypto'
import { MalleeError } from '../../common/errors.ts'
import { type BundleManifest, MAX_MANIFEST_BYTES, parseManifest } from '../bundles/manifest.ts'
import { unbundle } from '../bundles/unbundle.ts'
import type { ObjectVersion, ReadObject } from './index/objects.ts'
import { bytesOf } from './objects/bytes.ts'
import type { ObjectParts } from './objects/parts.ts'

export interface BundleParts extends Pick<ObjectParts, 'index' | 'storeOf' | 'sealing'> {
  readonly bundleKey: () => Promise<KeyObject>
}

export function isManifest(key: string): boolean {
  return key.endsWith('.manifest.xml')
}

/** The key of a part: beside the manifest. */
export function partKey(manifestKey: string, part: string): string {
  return `${manifestKey.slice(0, manifestKey.lastIndexOf('/') + 1)}${part}`
}

/** Throws BadArgument for what is no manifest. */
export async function manifestIn(parts: BundleParts, found: ReadObject): Promise<BundleManifest> {
  const end = Math.min(found.version.sizeBytes, MAX_MANIFEST_BYTES + 1)
  const pieces: Uint8Array[] = []
  for await (const bytes of bytesOf(parts, found, { start: 0, end }, null)) pieces.push(bytes)
  return parseManifest(Buffer.concat(pieces))
}

/** The image's bytes. Throws BadArgument for a bundle that is not what its manifest says. */
export async function* bundledImage(
  parts: BundleParts,
  { bucket, key }: Pick<ObjectVersion, 'bucket' | 'key'>,
  manifest: BundleManifest,
): AsyncGenerator<Uint8Array> {
  const privateKey = await parts.bundleKey()
  yield* unbundle(manifest, privateKey, async function* ({ name }) {
    const found = await parts.index.read(bucket, partKey(key, name), null)
    if (found === null || found.version.isDeleteMarker) {
      throw new MalleeError('BadArgument', `there is no part ${name}`)
    }
    const { encryption, sizeBytes } = found.version
    if (encryption?.by === 'customer') {
      throw new MalleeError('BadArgument', `the part ${name} is encrypted with a key of its own`)
    }
    yield* bytesOf(parts, found, { start: 0, end: sizeBytes }, null)
  })
}
