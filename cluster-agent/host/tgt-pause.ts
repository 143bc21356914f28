// tgtd held still for a moment: what clients send meanwhile waits. A guard of its own process ends
// that after a while, whatever becomes of us.

import { rm } from 'node:fs/promises'
import type { Clock } from '../../common/clock.ts'
import { readIfThere } from '../../common/durable-file.ts'
import { MalleeError } from '../../common/errors.ts'
import type { Exec } from '../../common/exec.ts'
import { type TgtdFiles, tgtdPid } from './tgt.ts'

interface Parts {
  readonly exec: Exec
  readonly clock: Clock
  /** The longest that clients wait, in seconds; 30 when not given. */
  readonly mostS?: number
}

const STOP_MS = 2_000
const POLL_MS = 2
const MOST_S = 30
/**
 * Seconds, a process and when it began (proc(5), field 22): another one of that number is not the
 * one that stands still. It says its own number first.
 */
const GUARD =
  'echo $$; sleep "$1"; [ "$(cut -d " " -f 22 "/proc/$2/stat")" = "$3" ] && kill -CONT "$2"'

/**
 * Runs while no thread of tgtd does: nothing is written through it, and nothing acknowledged. Also
 * without a tgtd. Throws Unavailable when it does not stand still, then nothing was run; and when
 * it went on before all was run.
 */
export async function whileTgtdPauses<T>(
  { exec, clock, mostS = MOST_S }: Parts,
  files: Pick<TgtdFiles, 'socket'>,
  run: () => Promise<T>,
): Promise<T> {
  const pid = await tgtdPid(exec, files)
  if (pid === null) return run()
  const guard = await startGuard({ exec, clock }, files, pid, mostS)
  try {
    await exec(['kill', '-STOP', String(pid)])
    const deadlineMs = clock.nowMs() + STOP_MS
    // A thread stops only when the call that it is in has ended: until then it may still write.
    while (!(await standsStill(exec, pid))) {
      if (clock.nowMs() > deadlineMs) {
        throw new MalleeError('Unavailable', `the process ${pid} of tgtd does not stand still`)
      }
      await clock.sleep(POLL_MS)
    }
    const result = await run()
    if (await endGuard(exec, guard)) return result
    throw new MalleeError('Unavailable', `tgtd stood still for ${mostS} s, which was not enough`)
  } finally {
    await exec(['kill', '-CONT', String(pid)], { okCodes: [0, 1] })
    await endGuard(exec, guard)
  }
}

/** In a session of its own, which outlives us. The number of its process. */
async function startGuard(
  { exec, clock }: Parts,
  { socket }: Pick<TgtdFiles, 'socket'>,
  pid: number,
  mostS: number,
): Promise<string> {
  const outputFile = `${socket}.guard`
  await rm(outputFile, { force: true })
  const { stdout } = await exec(['cut', '-d', ' ', '-f', '22', `/proc/${pid}/stat`])
  const argv = ['sh', '-c', GUARD, 'guard', String(mostS), String(pid), stdout.trim()]
  await exec(['setsid', '--fork', ...argv], { outputFile })
  const deadlineMs = clock.nowMs() + STOP_MS
  for (;;) {
    const said = /^(\d+)\n/.exec((await readIfThere(outputFile)) ?? '')?.[1]
    if (said !== undefined) return said
    if (clock.nowMs() > deadlineMs) {
      throw new MalleeError('Unavailable', `nobody guards the process ${pid} of tgtd`)
    }
    await clock.sleep(POLL_MS)
  }
}

/** False when it had ended: what it guarded goes on. */
async function endGuard(exec: Exec, guard: string): Promise<boolean> {
  const { code } = await exec(['kill', '-KILL', '--', `-${guard}`], { okCodes: [0, 1] })
  return code === 0
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
