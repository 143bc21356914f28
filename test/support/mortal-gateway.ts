// Loaded before a gateway's own program (node --import), in each of its threads: it dies by SIGKILL
// at the step that it was told of. A step is a change of a file of objects, or a commit of their
// index: before it, after it, and for Redis with the command under way.

import fs, { type FileHandle } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { StatementSync } from 'node:sqlite'
import {
  getEnvironmentData,
  isMainThread,
  setEnvironmentData,
  workerData,
} from 'node:worker_threads'
import { Redis } from 'ioredis'
import { systemClock } from '../../common/clock.ts'

/** A message: after how many steps from now on to die; -1: never. The answer is the same. */
interface Death {
  readonly dieAt: number
}

/** Variable that says how far its clock is ahead of the system's, in milliseconds. */
const LATER = 'MORTAL_LATER_MS'
const SHARED = 'mortal'
const [STEPS, END] = [0, 1]
const NEVER = -1
/** Of a blob, whatever disk it is on. */
const BLOB_FILE = /\/[0-9a-f]{2}(?:\/[0-9a-f]{32})?$/

const counts = isMainThread
  ? new Int32Array(new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT))
  : (getEnvironmentData(SHARED) as Int32Array)
if (isMainThread) beMain()
else if ((workerData as { path?: string } | null)?.path?.endsWith('/objects.db')) watchSqlite()

function beMain(): void {
  counts[END] = NEVER
  setEnvironmentData(SHARED, counts)
  process.on('message', (death: Death) => {
    Atomics.store(counts, STEPS, 0)
    Atomics.store(counts, END, death.dieAt)
    process.send?.(death)
  })
  process.channel?.unref()
  const { nowMs } = systemClock
  const laterMs = Number(process.env[LATER] ?? 0)
  Object.assign(systemClock, { nowMs: () => nowMs() + laterMs })
  watchRedis()
}

/** Nothing after the last one happens, in any thread. */
function step(): void {
  if (Atomics.add(counts, STEPS, 1) === Atomics.load(counts, END)) die()
}

function die(): void {
  process.kill(process.pid, 'SIGKILL')
}

await watchFiles()

async function watchFiles(): Promise<void> {
  const paths = new WeakMap<object, string>()
  const { open, unlink } = fs
  fs.open = async (path, flags, mode) => {
    const isBlob = BLOB_FILE.test(`${path}`)
    if (isBlob && flags === 'wx') step()
    const handle = await open(path, flags, mode)
    if (isBlob) paths.set(handle, `${path}`)
    return handle
  }
  fs.unlink = async (path) => {
    if (BLOB_FILE.test(`${path}`)) step()
    await unlink(path)
  }
  syncBuiltinESMExports()
  const handle = await open('/', 'r')
  const prototype: FileHandle = Object.getPrototypeOf(handle)
  await handle.close()
  const { writev, datasync, sync } = prototype
  prototype.writev = async function (this: FileHandle, all: Uint8Array[], at?: number) {
    if (Atomics.load(counts, STEPS) === Atomics.load(counts, END)) {
      const [first = new Uint8Array()] = all
      await writev.call(this, [first.subarray(0, first.length >> 1)], at)
    }
    step()
    return await writev.call(this, all, at)
  } as FileHandle['writev']
  prototype.datasync = async function (this: FileHandle) {
    if (paths.has(this)) step()
    await datasync.call(this)
  }
  prototype.sync = async function (this: FileHandle) {
    if (paths.has(this)) step()
    await sync.call(this)
  }
}

/** What is between is one thing to the disk: SQLite writes its journal with the commit. */
function watchSqlite(): void {
  const { run } = StatementSync.prototype
  StatementSync.prototype.run = function (this: StatementSync, ...values: unknown[]) {
    const isCommit = this.sourceSQL === 'COMMIT'
    if (isCommit) step()
    const result = Reflect.apply(run, this, values)
    if (isCommit) step()
    return result
  } as StatementSync['run']
}

function watchRedis(): void {
  const { sendCommand } = Redis.prototype
  Redis.prototype.sendCommand = function (this: Redis, command, stream) {
    const isOurs = command.args.some((one) => /-objects}:log$/.test(`${one}`))
    if (!isOurs) return sendCommand.call(this, command, stream)
    step()
    const answer = sendCommand.call(this, command, stream) as Promise<unknown>
    step()
    return answer.then((value) => {
      step()
      return value
    })
  }
}
