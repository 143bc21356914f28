// The process of a machine's QEMU: found by its own socket, and waited for until it ends.

import { readFile } from 'node:fs/promises'
import type { Clock } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import type { Exec } from '../../common/exec.ts'
import { machineFiles } from '../host/qemu.ts'

/** It is asked to end, then killed, then given up, after so long each. */
export const QUIT_MS = 10_000
const POLL_MS = 50

/** The pid of a machine's QEMU as long as it runs; another program's is never taken for it. */
export async function pidOf(exec: Exec, dir: string): Promise<string | null> {
  const files = machineFiles(dir)
  const text = await readFile(files.pid, 'utf8').catch(() => '')
  const pid = text.trim()
  if (!/^\d+$/.test(pid)) return null
  const { code, stdout } = await exec(['cat', `/proc/${pid}/cmdline`], { okCodes: [0, 1] })
  return code === 0 && stdout.includes(files.qmp) ? pid : null
}

export async function killProcess(exec: Exec, pid: string): Promise<void> {
  await exec(['kill', '-KILL', pid], { okCodes: [0, 1] })
}

/** Until it is gone, or is shown to be stuck and killed. Throws Unavailable when it stays. */
export async function waitForEnd(
  { exec, clock }: { readonly exec: Exec; readonly clock: Clock },
  dir: string,
): Promise<void> {
  const deadline = clock.nowMs() + QUIT_MS
  for (let pid = await pidOf(exec, dir); pid !== null; pid = await pidOf(exec, dir)) {
    if (clock.nowMs() > deadline) await killProcess(exec, pid)
    if (clock.nowMs() > deadline + QUIT_MS) {
      throw new MalleeError('Unavailable', `the process ${pid} of ${dir} does not end`)
    }
    await clock.sleep(POLL_MS)
  }
}
