// A directory whose disk gives errors, as long as the test wants: EIO for what it cannot read or
// write, ENOSPC when it says that it is full.

import fs, { type FileHandle } from 'node:fs/promises'
import type { TestContext } from 'node:test'

export interface Breakage {
  readonly code: 'EIO' | 'ENOSPC'
  /** What fails of the files below the directory. */
  readonly calls: readonly ('read' | 'writev')[]
}

/** Until it is mended, or the test ends, in this process. */
export async function breakDisk(
  t: TestContext,
  dir: string,
  { code, calls }: Breakage,
): Promise<{ readonly mend: () => void }> {
  const handle = await fs.open(dir, 'r')
  const prototype: FileHandle = Object.getPrototypeOf(handle)
  await handle.close()
  const { readlink } = fs
  const mocks = calls.map((name) => {
    const real = prototype[name] as (...values: unknown[]) => Promise<unknown>
    return t.mock.method(prototype, name, async function (this: FileHandle, ...values: unknown[]) {
      const path = await readlink(`/proc/self/fd/${this.fd}`)
      if (!path.startsWith(`${dir}/`)) return await real.apply(this, values)
      throw Object.assign(new Error(`${code}: ${name}`), { code, syscall: name })
    } as never)
  })
  return {
    mend: () => {
      for (const { mock } of mocks.toReversed()) mock.restore()
    },
  }
}
