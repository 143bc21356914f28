// Takes image files out of the cloud again, when nothing was made of them that is still there.

import type { RandomHex } from '../common/clock.ts'
import { MalleeError } from '../common/errors.ts'
import { forgetBlob } from './blobs.ts'
import { removeUnused } from './ec2/removal.ts'
import type { BlobRecord } from './store/records.ts'
import type { State, View } from './store/state.ts'

interface Parts {
  readonly state: State
  readonly randomHex: RandomHex
  readonly blobsDir: string
}

const UNIQUE_BYTES = 8

/**
 * The record first, then the file: who dies in between leaves a file that nobody finds. Throws
 * NotFound, and Conflict while there is an image of it, also a deregistered one that instances
 * have.
 */
export async function removeImageFile(parts: Parts, sha256: string): Promise<BlobRecord> {
  const { state, randomHex, blobsDir } = parts
  const record = (await state.fresh()).get('blob', sha256)
  if (record === null) throw unknown(sha256)
  await removeUnused(
    parts,
    {},
    {
      kind: 'blob',
      id: sha256,
      check: (view) => checkUnused(view, sha256),
      remove: async (tx) => {
        if ((await tx.get('blob', sha256)) === null) throw unknown(sha256)
        await tx.delete('blob', sha256)
      },
    },
  )
  // Brought in again meanwhile, it stays.
  const isBack = async (): Promise<boolean> => (await state.fresh()).get('blob', sha256) !== null
  await forgetBlob(blobsDir, sha256, { unique: randomHex(UNIQUE_BYTES), isBack })
  return record
}

function checkUnused(view: View, sha256: string): void {
  const [first, ...others] = view.all('image').filter((image) => image.sha256 === sha256)
  if (first === undefined) return
  const more = others.length === 0 ? '' : ` and ${others.length} more`
  const hint = first.state === 'available' ? 'deregister it first' : 'instances have it still'
  throw new MalleeError('Conflict', `${first.id}${more} is made of file ${sha256}: ${hint}`)
}

function unknown(sha256: string): MalleeError {
  return new MalleeError('NotFound', `there is no image file ${sha256}`)
}
