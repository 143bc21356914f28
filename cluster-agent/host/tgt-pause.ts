// tgtd held still for a moment: what clients send meanwhile waits.

import type { Clock } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import type { Exec } from '../../common/exec.ts'
import { type TgtdFiles, tgtdPid } from './tgt.ts'

type Parts = { readonly exec: Exec; readonly clock: Clock }

const STOP_MS = 2_000
const POLL_MS = 2

/**
 * Runs while no thread of tgtd does: nothing is written through it, and nothing acknowledged. Also
 * without a tgtd. Throws Unavailable when it does not stand still; then nothing was run.
 */
export async function whileTgtdPauses<T>(
  { exec, clock }: Parts,
  files: Pick<TgtdFiles, 'socket'>,
  run: () => Promise<T>,
): Promise<T> {
  const pid = await tgtdPid(exec, files)
  if (pid === null) return run()
  await exec(['kill', '-STOP', String(pid)])
  try {
    const deadlineMs = clock.nowMs() + STOP_MS
    // A thread stops only when the call that it is in has ended: until then it may still write.
    while (!(await standsStill(exec, pid))) {
      if (clock.nowMs() > deadlineMs) {
        throw new MalleeError('Unavailable', `the process ${pid} of tgtd does not stand still`)
      }
      await clock.sleep(POLL_MS)
    }
    return await run()
  } finally {
    await exec(['kill', '-CONT', String(pid)], { okCodes: [0, 1] })
  }
}

/** After an agent that ended while it held tgtd. */
export async function resumeTgtd(exec: Exec, files: Pick<TgtdFiles, 'socket'>): Promise<void> {
  const pid = await tgtdPid(exec, files)
  if (pid !== null) await exec(['kill', '-CONT', String(pid)], { okCodes: [0, 1] })
}

async function standsStill(exec: Exec, pid: number): Promise<boolean> {
  const argv = ['ps', '-L', '-o', 'state=', '-p', String(pid)]
  const { stdout } = await exec(argv, { okCodes: [0, 1] })
  return stdout
    .trim()
    .split('\n')
    .every((state) => ['T', 't', 'Z', ''].includes(state.trim()))
}
