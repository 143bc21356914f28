// The test's end of the line to a guest: serve.ts is the other one. QEMU connects to our socket, so
// that the line is there before the guest is.

import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { type Code, MalleeError } from '../../common/errors.ts'
import type { Exec, ExecOptions, ExecResult } from '../../common/exec.ts'

/** The guest is ten times slower than its host: what takes a moment there takes some seconds. */
const DEFAULT_MS = 120_000
const SLACK_MS = 60_000

export interface Request {
  readonly id: number
  readonly argv: readonly string[]
  readonly options: ExecOptions
  /** Runs `argv` as one line of shell at this instance's console instead. */
  readonly instance?: string
}

export type Answer =
  | { readonly id: number; readonly result: ExecResult }
  | { readonly id: number; readonly error: { readonly code: Code; readonly message: string } }

interface Waiting {
  readonly resolve: (result: ExecResult) => void
  readonly reject: (error: Error) => void
}

export interface Link {
  /** Resolves when the guest listens. */
  readonly up: Promise<unknown>
  readonly exec: Exec
  /** Runs a line of shell at an instance's console, one at a time. */
  readonly inInstance: (instance: string, line: string, timeoutMs: number) => Promise<ExecResult>
  readonly close: () => void
}

/** Listens at `path` for the one QEMU that connects to it. */
export async function openLink(path: string): Promise<Link> {
  const waiting = new Map<number, Waiting>()
  let last = 0
  let socket: Socket | null = null
  const up = new Promise<ExecResult>((resolve, reject) => waiting.set(0, { resolve, reject }))
  up.catch(() => undefined)
  const server = createServer((one) => {
    socket = one
    one.on('error', () => one.destroy())
    one.on('close', () => {
      for (const { reject } of waiting.values()) {
        reject(new MalleeError('Unavailable', 'the guest is gone'))
      }
      waiting.clear()
    })
    createInterface(one).on('line', (line) => take(JSON.parse(line) as Answer))
  })
  function take(answer: Answer): void {
    const found = waiting.get(answer.id)
    waiting.delete(answer.id)
    if ('result' in answer) found?.resolve(answer.result)
    else found?.reject(new MalleeError(answer.error.code, answer.error.message))
  }
  const ask = (what: Omit<Request, 'id'>): Promise<ExecResult> =>
    new Promise((resolve, reject) => {
      last += 1
      const id = last
      const { argv, options } = what
      const timeoutMs = options.timeoutMs ?? DEFAULT_MS
      const late = (): void => {
        waiting.delete(id)
        reject(new MalleeError('CommandTimeout', `the guest did not answer ${argv.join(' ')}`))
      }
      const timer = setTimeout(late, timeoutMs + SLACK_MS)
      const done = <T>(settle: (value: T) => void) => {
        return (value: T): void => {
          clearTimeout(timer)
          settle(value)
        }
      }
      waiting.set(id, { resolve: done(resolve), reject: done(reject) })
      const request: Request = { ...what, id, options: { ...options, timeoutMs } }
      socket?.write(`${JSON.stringify(request)}\n`)
    })
  server.listen(path)
  await once(server, 'listening')
  return {
    up,
    exec: (argv, options = {}) => ask({ argv, options }),
    inInstance: (instance, line, timeoutMs) =>
      ask({ argv: [line], options: { timeoutMs }, instance }),
    close: () => {
      socket?.destroy()
      server.close()
    },
  }
}
