// The loop that does what ImportImage and ImportSnapshot asked for. Every gateway runs it; a lease
// has each task with one of them, and who dies leaves it to the next, which begins it anew.

import { codeOf, messageOf } from '../../common/errors.ts'
import { Loop } from '../../common/reconcile.ts'
import { ApiError } from '../aws/api-error.ts'
import type { TakenBlob } from '../blobs.ts'
import { dropImported } from '../ebs/imported-snapshot.ts'
import { keepImageFile } from '../ec2/image-files.ts'
import { insertImage } from '../ec2/images.ts'
import { ended } from '../ec2/import-tasks.ts'
import { keepFromRemoval } from '../ec2/removal.ts'
import type { TakeSource } from '../s3/image-objects.ts'
import type { ImportTaskRecord } from '../store/image-records.ts'
import {
  finishSnapshot,
  HOLDER_BYTES,
  KIND,
  letGo,
  mine,
  type SnapshotImportParts,
  type Turn,
} from './snapshot-imports.ts'

export interface ImportLoopParts extends SnapshotImportParts {
  readonly chance: () => number
  readonly takeSource: TakeSource
}

/** Leases end and waits are over without a change of a record. */
const LOOK_MS = 5_000
/** How long a gateway that says nothing more keeps a task. */
export const IMPORT_LEASE_MS = 30_000
const RENEW_MS = 5_000
/** Tasks of one gateway at a time: they share its disk. */
const AT_ONCE = 2
/** What fails by no fault of the object is tried so often. */
export const MAX_TRIES = 3
/** The first wait between tries; each is twice as long as the one before. */
const RETRY_MS = 10_000
/** No task is anybody's for longer. */
const MAX_WAIT_MS = Math.max(IMPORT_LEASE_MS, RETRY_MS * 2 ** MAX_TRIES)

interface Running {
  readonly account: string
  readonly end: AbortController
  readonly done: Promise<void>
}

/** Starts the loop; `stop` lets go of what is under way, for others or for later. */
export function startImports(parts: ImportLoopParts): { stop: () => Promise<void> } {
  const { state, clock, chance, log, randomHex } = parts
  const holder = randomHex(HOLDER_BYTES)
  const running = new Map<string, Running>()

  const loop = new Loop({
    ...{ name: 'image-imports', everyMs: LOOK_MS, clock, chance, log },
    pass: async () => {
      const tasks = [...state.view().all(KIND)]
      for (const task of tasks.filter((one) => one.state !== 'active')) {
        running.get(task.id)?.end.abort()
        if (!running.has(task.id)) await endDeleting(parts, task)
      }
      while (running.size < AT_ONCE) {
        const task = nextOf(tasks, running, clock.nowMs())
        if (task === null) return
        begin(task)
      }
    },
  })

  function begin({ id, account }: ImportTaskRecord): void {
    const end = new AbortController()
    const done = importOne(parts, { id, holder, signal: end.signal }).then(
      () => {
        running.delete(id)
        loop.wake()
      },
      (error) => {
        // The store does not answer: the loop looks again in a while.
        running.delete(id)
        log.error('an import was left', { task: id, error })
      },
    )
    running.set(id, { account, end, done })
  }

  const offChange = state.onChange((changes) => {
    if (changes.some(({ key }) => key.startsWith(`${KIND}/`))) loop.wake()
  })
  loop.start()
  return {
    stop: async () => {
      offChange()
      await loop.stop()
      for (const { end } of running.values()) end.abort()
      await Promise.all([...running.values()].map(({ done }) => done))
    },
  }
}

/** The oldest that is free, of an account that has none under way here if there is one. */
function nextOf(
  tasks: readonly ImportTaskRecord[],
  running: ReadonlyMap<string, Running>,
  nowMs: number,
): ImportTaskRecord | null {
  const busy = new Set([...running.values()].map(({ account }) => account))
  const free = tasks
    .filter((task) => task.state === 'active' && !running.has(task.id) && isFree(task, nowMs))
    .sort((a, b) => a.createdAtMs - b.createdAtMs)
  return free.find(({ account }) => !busy.has(account)) ?? free[0] ?? null
}

function isFree({ worker }: ImportTaskRecord, nowMs: number): boolean {
  // A clock that went back must not keep it held for longer than it could be.
  return worker === undefined || worker.untilMs <= nowMs || worker.untilMs > nowMs + MAX_WAIT_MS
}

/** One try. Throws only what the store throws. */
async function importOne(parts: ImportLoopParts, turn: Turn): Promise<void> {
  const { state, clock, log, takeSource } = parts
  const { id, signal } = turn
  const task = await claim(parts, turn)
  if (task === null) return
  let renewedAtMs = clock.nowMs()
  const progress = async (share: number): Promise<void> => {
    if (signal.aborted) throw letGo(id)
    if (clock.nowMs() - renewedAtMs < RENEW_MS) return
    renewedAtMs = clock.nowMs()
    await renew(parts, turn, Math.min(99, Math.floor(share * 100)))
  }
  try {
    const { source, format } = task
    const options = { ...(format === undefined ? {} : { format }), progress }
    const blob = await takeSource(source, options)
    if (task.into === 'snapshot') await finishSnapshot(parts, turn, blob, progress)
    else {
      const image = await finish(parts, turn, blob)
      log.info('image imported', { task: id, image, sha256: blob.sha256 })
    }
  } catch (error) {
    await state.update(async (tx) => {
      const now = await tx.get(KIND, id)
      if (now === null || now.worker?.holder !== turn.holder) return
      const next = afterFailure(now, error, signal.aborted, clock.nowMs())
      if (next.state === 'deleted') await dropImported(tx, next.snapshot, clock.nowMs())
      await tx.put(KIND, [id], next)
    })
    if (!signal.aborted) log.warn('image not imported', { task: id, error })
  }
}

async function claim(
  { state, clock }: ImportLoopParts,
  { id, holder }: Turn,
): Promise<ImportTaskRecord | null> {
  return await state.update(async (tx) => {
    const task = await tx.get(KIND, id)
    const nowMs = clock.nowMs()
    if (task === null || task.state !== 'active' || !isFree(task, nowMs)) return null
    const worker = { holder, untilMs: nowMs + IMPORT_LEASE_MS }
    await tx.put(KIND, [id], { ...task, worker, progress: 0, message: 'converting' })
    return task
  })
}

/** Throws Conflict when it is somebody else's by now, or cancelled. */
async function renew(
  { state, clock }: ImportLoopParts,
  { id, holder }: Turn,
  progress: number,
): Promise<void> {
  await state.update(async (tx) => {
    const task = mine(await tx.get(KIND, id), id, holder)
    const worker = { holder, untilMs: clock.nowMs() + IMPORT_LEASE_MS }
    await tx.put(KIND, [id], { ...task, worker, progress })
  })
}

/** The file, the image and the end of the task are one transaction. Returns the image's id. */
async function finish(
  { state, clock, randomHex }: ImportLoopParts,
  { id, holder }: Turn,
  blob: TakenBlob,
): Promise<string> {
  return await state.update(async (tx) => {
    const task = mine(await tx.get(KIND, id), id, holder)
    const { account, description, source } = task
    const { sha256, sizeBytes, virtualSizeBytes, format } = await keepImageFile(tx, blob)
    await keepFromRemoval(tx, 'blob', [sha256])
    const record = {
      // As with AWS, its name is the task's.
      ...{ account, name: id, description, sha256, sizeBytes, virtualSizeBytes, format },
      ...{ location: `${source.bucket}/${source.key}`, createdAtMs: clock.nowMs() },
    }
    const image = await insertImage(tx, { state, randomHex }, {}, record, new Map())
    const over = ended({ ...task, image, progress: 100, message: '' }, 'completed', clock.nowMs())
    await tx.put(KIND, [id], over)
    return image
  })
}

/** What a try that failed leaves. `isLetGo`: it was ended from here, by a cancel or a stop. */
function afterFailure(
  task: ImportTaskRecord,
  error: unknown,
  isLetGo: boolean,
  nowMs: number,
): ImportTaskRecord {
  const { worker: _, ...free } = task
  if (task.state === 'deleting') return ended(task, 'deleted', nowMs)
  if (isLetGo) return { ...free, progress: 0, message: 'pending' }
  const fail = (message: string) => ended({ ...task, message }, 'deleted', nowMs)
  if (error instanceof ApiError) return fail(`ClientError: ${error.message}`)
  switch (codeOf(error)) {
    case 'BadArgument':
      return fail(`ClientError: Disk validation failed [${messageOf(error)}]`)
    case 'StoreFull':
      return fail('ServerError: No room is left for the image.')
    default: {
      const failures = task.failures + 1
      const message = 'ServerError: an internal error has occurred during conversion.'
      if (failures >= MAX_TRIES) return fail(message)
      const worker = { holder: '', untilMs: nowMs + RETRY_MS * 2 ** task.failures }
      return { ...free, failures, worker, progress: 0, message: 'pending' }
    }
  }
}

/** Of a gateway that died before it let go. */
async function endDeleting(
  { state, clock }: ImportLoopParts,
  { id, state: known }: ImportTaskRecord,
): Promise<void> {
  if (known !== 'deleting') return
  await state.update(async (tx) => {
    const task = await tx.get(KIND, id)
    if (task?.state !== 'deleting' || !isFree(task, clock.nowMs())) return
    await dropImported(tx, task.snapshot, clock.nowMs())
    await tx.put(KIND, [id], ended(task, 'deleted', clock.nowMs()))
  })
}
