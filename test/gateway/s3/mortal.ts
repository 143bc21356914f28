// A process that dies at a step of its choice: from then on no call reaches the disk or the store,
// as after kill -9. Then the disk may also forget all that was not synced, as after a power cut.

import { copyFileSync, existsSync, readdirSync, rmSync, truncateSync } from 'node:fs'
import fs, { type FileHandle } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { dirname, join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Store } from '../../../gateway/store/store.ts'
import { storeWith } from '../store/store-with.ts'

export interface Mortal {
  /** Dies when it has made so many steps from now on; a write of a file is then done by half. */
  readonly dieAt: (step: number) => void
  /** Lives again, as the next process. */
  readonly revive: () => void
  /** What a power cut leaves of the files in this folder (and those below) since dieAt. */
  readonly cutPower: (folder: string) => void
  /** The same store, whose transactions are steps; one may be done and its answer lost. */
  readonly store: (store: Store) => Store
}

const DEAD = new Error('the process is dead')

/** Until the test ends, every change of a file in this process is a step. */
export async function mortalProcess(t: TestContext, spare: string): Promise<Mortal> {
  let [steps, end] = [0, Number.POSITIVE_INFINITY]
  let halved = false
  const paths = new WeakMap<object, string>()
  /** Since dieAt: files whose content or whose name may get lost, and those that may come back. */
  const [content, names, unlinked] = [
    new Set<string>(),
    new Set<string>(),
    new Map<string, string>(),
  ]

  const isDead = (): boolean => steps >= end
  const step = (): void => {
    live()
    steps += 1
  }
  const live = (): void => {
    if (isDead()) throw DEAD
  }

  const real = { open: fs.open, unlink: fs.unlink }
  t.mock.method(fs, 'open', async (path: string, flags: string, mode?: number) => {
    const isNew = flags === 'wx'
    if (isNew) step()
    else live()
    const handle = await real.open(path, flags, mode)
    paths.set(handle, path)
    if (isNew) for (const set of [content, names]) set.add(path)
    return handle
  })
  t.mock.method(fs, 'unlink', async (path: string) => {
    step()
    const copy = join(spare, `${unlinked.size}`)
    if (existsSync(path)) copyFileSync(path, copy)
    await real.unlink(path)
    unlinked.set(path, copy)
  })
  syncBuiltinESMExports()
  t.after(() => {
    t.mock.restoreAll()
    syncBuiltinESMExports()
  })
  const handle = await real.open(spare, 'r')
  const prototype: FileHandle = Object.getPrototypeOf(handle)
  await handle.close()
  const { writev, datasync, sync } = prototype
  t.mock.method(prototype, 'writev', async function (this: FileHandle, all: Uint8Array[], at) {
    content.add(paths.get(this) ?? '')
    if (steps === end && !halved) {
      halved = true
      const [first = new Uint8Array()] = all
      await writev.call(this, [first.subarray(0, first.length >> 1)], at)
    }
    step()
    return await writev.call(this, all, at)
  } as FileHandle['writev'])
  t.mock.method(prototype, 'datasync', async function (this: FileHandle) {
    step()
    await datasync.call(this)
    content.delete(paths.get(this) ?? '')
  })
  t.mock.method(prototype, 'sync', async function (this: FileHandle) {
    step()
    await sync.call(this)
    const folder = paths.get(this) ?? ''
    for (const lost of [names, unlinked]) {
      for (const path of lost.keys()) if (dirname(path) === folder) lost.delete(path)
    }
  })

  return {
    dieAt: (at) => {
      ;[steps, end, halved] = [0, at, false]
      for (const set of [content, names, unlinked]) set.clear()
    },
    revive: () => {
      end = Number.POSITIVE_INFINITY
    },
    cutPower: (folder) => {
      const here = new Set(
        readdirSync(folder, { recursive: true }).map((one) => join(folder, `${one}`)),
      )
      for (const path of names) if (here.has(path)) rmSync(path)
      for (const path of content) if (here.has(path) && !names.has(path)) truncateSync(path)
      for (const [path, copy] of unlinked)
        if (!names.has(path) && existsSync(copy)) copyFileSync(copy, path)
    },
    store: (store) =>
      storeWith(store, {
        get: async (key) => {
          live()
          return await store.get(key)
        },
        list: async (prefix, options) => {
          live()
          return await store.list(prefix, options)
        },
        txn: async (when, then) => {
          if (then.length === 0) {
            live()
            return await store.txn(when, then)
          }
          step()
          const result = await store.txn(when, then)
          // Done, and nobody hears of it.
          step()
          return result
        },
      }),
  }
}
