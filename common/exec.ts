// The one place that starts programs: argv as an array, never a shell; C locale, deadline, bounded
// output, secrets by standard input or file. Long-running daemons: startDaemon.

import { spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { MalleeError } from './errors.ts'

export interface ExecOptions {
  readonly input?: string
  /** Milliseconds until SIGKILL; 10,000 when not given. */
  readonly timeoutMs?: number
  /** Bytes of standard output and error together; 8 MiB when not given. */
  readonly maxBytes?: number
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** Exit codes that are an answer and not a failure; [0] when not given. */
  readonly okCodes?: readonly number[]
  /** Output is appended here and not returned: for programs that leave a daemon behind. */
  readonly outputFile?: string
}

export interface ExecResult {
  readonly stdout: string
  readonly stderr: string
  readonly code: number
}

/** Runs one command to its end. Throws CommandFailed or CommandTimeout. */
export type Exec = (argv: readonly string[], options?: ExecOptions) => Promise<ExecResult>

export const exec: Exec = (argv, options = {}) =>
  new Promise((resolve, reject) => {
    const [program = '', ...args] = argv
    const timeoutMs = options.timeoutMs ?? 10_000
    const maxBytes = options.maxBytes ?? 8 << 20
    const okCodes = options.okCodes ?? [0]
    // A daemon that inherits a pipe keeps it open for its whole life: we would wait for its end.
    const file = options.outputFile === undefined ? null : openSync(options.outputFile, 'a', 0o600)
    const child = spawn(program, args, {
      stdio: ['pipe', file ?? 'pipe', file ?? 'pipe'],
      env: { PATH: searchPath(), LC_ALL: 'C', ...options.env },
      cwd: options.cwd,
    })
    if (file !== null) closeSync(file)
    const out: Buffer[] = []
    const err: Buffer[] = []
    let bytes = 0
    let killedBecause: 'timeout' | 'flood' | null = null
    const timer = setTimeout(() => kill('timeout'), timeoutMs)

    function kill(why: 'timeout' | 'flood'): void {
      killedBecause ??= why
      child.kill('SIGKILL')
    }
    function take(into: Buffer[]): (chunk: Buffer) => void {
      return (chunk) => {
        bytes += chunk.length
        if (bytes > maxBytes) kill('flood')
        else into.push(chunk)
      }
    }
    child.stdout?.on('data', take(out))
    child.stderr?.on('data', take(err))
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(options.input ?? '')
    child.on('error', (cause) => {
      clearTimeout(timer)
      reject(
        new MalleeError('CommandFailed', `${program} cannot be started: ${cause.message}`, {
          cause,
        }),
      )
    })
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      const stdout = Buffer.concat(out).toString()
      const stderr = Buffer.concat(err).toString()
      const line = argv.join(' ')
      if (killedBecause === 'timeout') {
        reject(new MalleeError('CommandTimeout', `${line} did not end within ${timeoutMs} ms`))
      } else if (killedBecause === 'flood') {
        reject(new MalleeError('CommandFailed', `${line} printed more than ${maxBytes} bytes`))
      } else if (code !== null && okCodes.includes(code)) {
        resolve({ stdout, stderr, code })
      } else {
        const how = code === null ? `was ended by ${signal}` : `exited ${code}`
        reject(new MalleeError('CommandFailed', `${line} ${how}: ${stderr.trim()}`))
      }
    })
  })

export interface DaemonOptions {
  readonly logFile: string
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
}

/**
 * Starts a program in a session of its own that outlives this process; output goes to `logFile`.
 * Returns its pid. Inheriting our pipes instead would keep them open for the daemon's whole life.
 */
export function startDaemon(argv: readonly string[], options: DaemonOptions): number {
  const [program = '', ...args] = argv
  const log = openSync(options.logFile, 'a', 0o600)
  try {
    const child = spawn(program, args, {
      detached: true,
      stdio: ['ignore', log, log],
      env: { PATH: searchPath(), LC_ALL: 'C', ...options.env },
      cwd: options.cwd,
    })
    child.on('error', () => undefined)
    child.unref()
    if (child.pid === undefined)
      throw new MalleeError('CommandFailed', `${program} cannot be started`)
    return child.pid
  } finally {
    closeSync(log)
  }
}

function searchPath(): string {
  return process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin'
}
