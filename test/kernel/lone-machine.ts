// One machine with Debian's cloud kernel and the project, without a network and without a world:
// for what needs that kernel and nothing else. Programs of the project run in it, tests among them.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import type { Exec, ExecResult } from '../../common/exec.ts'
import { buildHostImage, buildProjectDisk, prepareMachine } from './machine.ts'

const NAME = 'alone'
const BOOT_MS = 300_000
const LAST_LINES = 30

export interface LoneMachine {
  /** Runs a command in the machine to its end. */
  readonly exec: Exec
  /** Runs a program of the project there, by its path in the project. */
  readonly run: (file: string, timeoutMs: number) => Promise<ExecResult>
  /** What it and its kernel said last. */
  readonly lastWords: () => string
  readonly stop: () => Promise<void>
}

export interface LoneMachineOptions {
  readonly memoryMib: number
  /** Empty disks beside its own, /dev/nvme2n1 and on, in MiB; they take discards. */
  readonly disksMib: readonly number[]
}

/** It is up when this returns. Throws Unavailable with its last words. */
export async function startLoneMachine({
  memoryMib,
  disksMib,
}: LoneMachineOptions): Promise<LoneMachine> {
  await buildHostImage()
  const dir = await mkdtemp(join(tmpdir(), 'mallee-alone-'))
  const projectDisk = join(dir, 'project.raw')
  await buildProjectDisk(projectDisk)
  const devices = disksMib.flatMap((sizeMib, index) => {
    const [id, file] = [`disk${index}`, join(dir, `disk${index}.raw`)]
    writeFileSync(file, '')
    truncateSync(file, sizeMib * 2 ** 20)
    const drive = `file=${file},if=none,id=${id},format=raw,cache=unsafe,discard=unmap`
    return ['-drive', drive, '-device', `nvme,drive=${id},serial=${id}`]
  })
  const { argv, link, consoleLog } = await prepareMachine({
    ...{ name: NAME, dir, projectDisk, memoryMib, devices },
    serve: 'test/kernel/serve-alone.ts',
  })
  const log = openSync(join(dir, 'qemu.log'), 'a')
  // It ends with us, however we end.
  const own = ['--pdeathsig', 'KILL', ...argv]
  const qemu = spawn('setpriv', own, { stdio: ['ignore', log, log] })
  closeSync(log)
  const ended = once(qemu, 'exit')
  const lastWords = (): string => {
    const texts = [consoleLog, join(dir, 'qemu.log')].map((file) => readFileSync(file, 'utf8'))
    return texts.join('').trimEnd().split('\n').slice(-LAST_LINES).join('\n')
  }
  const stop = async (): Promise<void> => {
    link.close()
    qemu.kill('SIGKILL')
    await ended
    await rm(dir, { recursive: true, force: true })
  }
  const timer = new AbortController()
  const late = systemClock.sleep(BOOT_MS, timer.signal)
  const isUp = await Promise.race([
    link.up.then(() => true),
    late.then(() => false),
    ended.then(() => false),
  ])
  timer.abort()
  if (!isUp) {
    const words = lastWords()
    await stop()
    throw new MalleeError('Unavailable', `the machine did not come up: ${words}`)
  }
  return {
    exec: link.exec,
    run: (file, timeoutMs) =>
      link.exec(['/opt/mallee/setup/node.sh', file], { timeoutMs, okCodes: [0, 1] }),
    lastWords,
    stop,
  }
}
