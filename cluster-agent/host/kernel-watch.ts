// Hears of changes of the kernel's network, whoever makes them, from a program that runs on: `ip
// monitor` (ip-monitor(8)) for links, addresses, routes and rules, `nft monitor` (nft(8)) for
// rulesets. What was listed while nothing was heard is still so.

import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import type { Clock } from '../../common/clock.ts'
import type { Log } from '../../common/log.ts'

/** One that ended is not started again before. */
const AGAIN_MS = 30_000
/** Protocols of netlink(7), in the second column of /proc/net/netlink. */
const MONITORS = {
  ip: { argv: ['ip', 'monitor', 'link', 'address', 'route', 'rule'], protocol: '0' },
  nft: { argv: ['nft', 'monitor'], protocol: '12' },
} as const

export interface KernelWatchParts {
  readonly clock: Clock
  readonly log: Log
}

export class KernelWatch {
  readonly #kind: keyof typeof MONITORS
  readonly #parts: KernelWatchParts
  #program: ChildProcess | null = null
  #subscribed = false
  #news = 0
  #startedAtMs = Number.NEGATIVE_INFINITY
  #closed = false

  constructor(kind: keyof typeof MONITORS, parts: KernelWatchParts) {
    this.#kind = kind
    this.#parts = parts
  }

  /**
   * A number that is another one after each change; null while something may happen unheard. Starts
   * the program when there is none.
   */
  news(): number | null {
    if (this.#closed) return null
    if (this.#program === null) this.#start()
    else this.#subscribed ||= this.#isSubscribed(this.#program.pid ?? 0)
    return this.#subscribed ? this.#news : null
  }

  close(): void {
    this.#closed = true
    this.#program?.kill('SIGKILL')
  }

  #start(): void {
    const { clock, log } = this.#parts
    if (clock.nowMs() - this.#startedAtMs < AGAIN_MS) return
    this.#startedAtMs = clock.nowMs()
    // It is not to outlive an agent that is killed.
    const argv = ['--pdeathsig=KILL', '--', ...MONITORS[this.#kind].argv]
    const program = spawn('setpriv', argv, { stdio: ['ignore', 'pipe', 'pipe'] })
    const heard = (): void => {
      this.#news += 1
    }
    // On standard error it says what it has missed.
    for (const output of [program.stdout, program.stderr]) {
      output.on('data', heard)
      // A child's pipe is a socket; it keeps nobody from ending.
      ;(output as Socket).unref()
    }
    const ended = (): void => {
      if (this.#program !== program) return
      // nft 1.0.6 reads beyond elements that are ranges of several fields, and may die of it. All
      // is asked then in each pass, until the next one listens.
      if (this.#subscribed && !this.#closed) log.info('a monitor has ended', { kind: this.#kind })
      this.#program = null
      this.#subscribed = false
      heard()
    }
    program.on('error', ended)
    program.on('exit', ended)
    program.unref()
    this.#program = program
  }

  /** Does its socket take part in a group? Only then nothing is missed. */
  #isSubscribed(pid: number): boolean {
    const lines = readFileSync('/proc/net/netlink', 'utf8').split('\n')
    return lines.some((line) => {
      const [, protocol, port, groups = '0'] = line.trim().split(/\s+/)
      const isIts = protocol === MONITORS[this.#kind].protocol && port === String(pid)
      return isIts && Number.parseInt(groups, 16) !== 0
    })
  }
}
