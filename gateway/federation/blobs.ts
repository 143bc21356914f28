// What a gateway serves of its image files, to hosts of its cloud.

import { CHUNK_BYTES } from '../../common/chunk-list.ts'
import type { BlobEnd } from '../../proto/blob.ts'
import { imageBytesIn, openBlob } from '../blobs.ts'

export function gatewayBlobs(dir: string): BlobEnd {
  const bytes = imageBytesIn(dir)
  return {
    // Whoever has a certificate of the cloud's CA.
    admit: () => undefined,
    open: (sha256, offset) => openBlob(dir, sha256, offset),
    chunkList: ({ sha256 }) => bytes.chunkList(sha256),
    chunk: ({ sha256 }, index) => bytes.read(sha256, index * CHUNK_BYTES, CHUNK_BYTES),
  }
}
