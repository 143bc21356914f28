// Where a host's volumes are: in its folder when that shares blocks between files, else in a file
// system of their own in one file there, made when the first volume comes. What was begun one way
// goes on that way. A folder that was marked is waited for: it may be a disk that is not mounted.

import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { RandomHex } from '../../../common/clock.ts'
import { isThere, readIfThere, writeDurably } from '../../../common/durable-file.ts'
import { MalleeError } from '../../../common/errors.ts'
import type { Exec } from '../../../common/exec.ts'
import type { Log } from '../../../common/log.ts'
import { probeVolumeTools } from '../../../common/volume-tools.ts'
import type { StoreSpace, VolumeBackend } from './backend.ts'
import { fileBackend, isInMemory, sharesBlocks, spaceOf } from './files.ts'
import * as image from './image.ts'
import { heldVolumes } from './ledger.ts'

export interface PlaceOptions {
  readonly exec: Exec
  readonly log: Log
  readonly randomHex: RandomHex
  readonly folder: string
  /** Remembers the mark of the folder, in the agent's state. */
  readonly known: string
  /** Folder of the ledgers: without a volume in them any folder will do. */
  readonly ledgers: string
}

/** How volumes are kept; `plain` shares no blocks. */
type Way = 'sharing' | 'plain' | 'image'

export interface Place {
  /** What keeps the bytes, in a word for people. */
  readonly backend: 'files' | 'lvm-thin' | 'rbd'
  /** Ready to be written to; again and again, as disks and mounts go. Throws Unavailable. */
  readonly open: () => Promise<VolumeBackend>
  /** Before there is a volume, too. */
  readonly look: () => Promise<StoreSpace & Omit<StoreKind, 'backend'>>
  /** For a host that leaves its cloud: nothing of it is mounted or active any more. */
  readonly leave: () => Promise<void>
}

/** What is told of a store of volumes. */
export interface StoreKind {
  readonly snapshots: boolean
  /** As VolumeStore says it. */
  readonly backend: string
  /** Where clients open volumes by themselves. */
  readonly rbd?: RbdPoolName
}

interface RbdPoolName {
  readonly fsid: string
  /** address:port, IPv6 in brackets. */
  readonly monitors: string[]
  readonly pool: string
  readonly namespace: string
}

const MARK = '.mallee-volumes'
const MARK_BYTES = 16

export function volumePlace(options: PlaceOptions): Place {
  const { exec, log, folder } = options
  let way: Way | null = null
  let inside: VolumeBackend | null = null
  /** Of a place without volumes so far. */
  let promised: boolean | null = null
  let turn: Promise<unknown> = Promise.resolve()

  return {
    backend: 'files',
    open: () => inTurn(open),
    look: () => inTurn(look),
    leave: () => closePlace(exec, folder),
  }

  /** Two passes at the same time make one image. */
  function inTurn<T>(step: () => Promise<T>): Promise<T> {
    const mine = turn.then(step)
    turn = mine.catch(() => undefined)
    return mine
  }

  async function open(): Promise<VolumeBackend> {
    await checkMark(options)
    way ??= await chooseWay()
    if (way === 'image') await keepImage()
    const at = way === 'image' ? image.imageFolder(folder) : folder
    inside ??= await fileBackend(exec, at)
    return { ...inside, space: async () => spaceNow(await spaceOf(at)) }
  }

  async function look(): Promise<StoreSpace & { readonly snapshots: boolean }> {
    await checkMark(options)
    if (inside !== null && way === 'image') {
      const space = await spaceNow(await spaceOf(image.imageFolder(folder)))
      return { ...space, snapshots: inside.snapshots }
    }
    promised = inside?.snapshots ?? promised ?? (await wayOf(folder, exec)) !== 'plain'
    return { ...(await spaceOf(folder)), snapshots: promised }
  }

  /** An image that cannot be made or mounted is no reason to have no volumes. */
  async function chooseWay(): Promise<Way> {
    const wanted = await wayOf(folder, exec)
    if (wanted !== 'image' || (await image.hasImage(folder))) return wanted
    const bytes = image.firstSize((await spaceOf(folder)).roomBytes)
    if (bytes === null) throw new MalleeError('StoreFull', `${folder} has no room for volumes`)
    try {
      await image.makeImage(exec, folder, bytes)
      await image.mountImage(exec, folder)
      return 'image'
    } catch (error) {
      log.warn('volumes without snapshots', { folder, error })
      await image.removeImage(folder)
      return 'plain'
    }
  }

  async function keepImage(): Promise<void> {
    if (await image.mountImage(exec, folder)) inside = null
    const { roomBytes } = await spaceOf(folder)
    const seen = await image.seeImage(folder, roomBytes)
    // After a start: the last growth may have broken off.
    const bytes = image.planGrowth(seen) ?? (inside === null ? seen.fileBytes : null)
    if (bytes === null) return
    inside = null
    await image.growImage(exec, folder, bytes)
    if (bytes > seen.fileBytes) log.info('volumes have more room', { folder, bytes })
  }

  async function spaceNow(own: StoreSpace): Promise<StoreSpace> {
    if (way !== 'image') return own
    const { roomBytes } = await spaceOf(folder)
    return {
      sizeBytes: own.sizeBytes + roomBytes,
      roomBytes: own.roomBytes + roomBytes,
    }
  }
}

/** Nothing is mounted any more. */
export async function closePlace(exec: Exec, folder: string): Promise<void> {
  if (await isThere(folder)) await image.unmountImage(exec, folder)
}

/** What there is goes on as it began. */
async function wayOf(folder: string, exec: Exec): Promise<Way> {
  if (await image.hasImage(folder)) return 'image'
  if (await sharesBlocks(exec, folder)) return 'sharing'
  const volumes = join(folder, 'volumes')
  const begun = (await isThere(volumes)) && (await readdir(volumes)).length > 0
  if (begun || (await isInMemory(exec, folder))) return 'plain'
  return (await probeVolumeTools(exec)).sharing ? 'image' : 'plain'
}

/** Throws Unavailable when the folder is not the one in which volumes were last. */
async function checkMark({ folder, known, ledgers, randomHex }: PlaceOptions): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const file = join(folder, MARK)
  const [here, wanted] = [await readIfThere(file), await readIfThere(known)]
  if (here !== null && here === wanted) return
  if (wanted !== null && (await heldVolumes(ledgers)).length > 0) {
    const why = here === null ? 'it has not their mark' : 'it has the mark of others'
    throw new MalleeError('Unavailable', `${folder} is not where the volumes are: ${why}`)
  }
  const mark = here ?? `${randomHex(MARK_BYTES)}\n`
  if (here === null) await writeDurably(file, mark)
  await writeDurably(known, mark)
}
