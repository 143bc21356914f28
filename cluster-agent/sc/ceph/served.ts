// Who was let in to a volume, and from where they came: a small file for each volume that is given
// out. Ceph's users are what counts; this is what they do not say.

import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { readIfThere, syncFolder, writeDurably } from '../../../common/durable-file.ts'
import { MalleeError } from '../../../common/errors.ts'
import { parseVolumeId, type VolumeId } from '../volumes/backend.ts'

export interface Served {
  readonly version: 1
  readonly tid: number
  readonly iqn: string
  readonly lets: readonly LetIn[]
}

export interface LetIn {
  readonly user: string
  readonly initiator: string
  /** address:0/number of its processes that were seen. */
  readonly clients: readonly string[]
}

const SUFFIX = '.json'

/** Null for one that is not given out. Throws DataCorrupt: a guess could leave one in. */
export async function readServed(folder: string, id: VolumeId): Promise<Served | null> {
  const file = join(folder, `${id}${SUFFIX}`)
  const text = await readIfThere(file)
  if (text === null) return null
  try {
    const served = JSON.parse(text) as Served
    const isWhole = served.lets.every(({ user, clients }) => {
      return typeof user === 'string' && Array.isArray(clients)
    })
    if (served.version === 1 && Number.isSafeInteger(served.tid) && isWhole) return served
  } catch {
    // As below.
  }
  throw new MalleeError('DataCorrupt', `${file} is not understood`)
}

/** Durable when it returns. */
export async function writeServed(folder: string, id: VolumeId, served: Served): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await writeDurably(join(folder, `${id}${SUFFIX}`), `${JSON.stringify(served)}\n`)
}

export async function removeServed(folder: string, id: VolumeId): Promise<void> {
  await rm(join(folder, `${id}${SUFFIX}`), { force: true })
  await syncFolder(folder)
}

export async function listServed(folder: string): Promise<readonly VolumeId[]> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  return (await readdir(folder)).flatMap((name) => {
    const id = parseVolumeId(name.endsWith(SUFFIX) ? name.slice(0, -SUFFIX.length) : '')
    return id.ok ? [id.value] : []
  })
}
