// The flows of a host's switch as they come and go: ovs-ofctl(8) prints each change when it is
// made, so looking costs nothing where the time is measured.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DEFAULT_PATHS } from '../cluster-agent/paths.ts'
import { MalleeError } from '../common/errors.ts'
import type { SandboxHost } from '../sandbox/host.ts'
import { until } from '../sandbox/until.ts'

const TIMEOUT_MS = 60_000

export interface FlowEvent {
  readonly kind: 'added' | 'deleted'
  /** The address of the peer that the flow is for. */
  readonly address: string
}

export class FlowWatch {
  readonly #program: ChildProcess
  /** Milliseconds of performance.now(), by event. */
  readonly #seen = new Map<string, number>()
  readonly #waiting = new Map<string, (atMs: number) => void>()
  readonly #ended: Promise<never>
  #flows = 0

  private constructor(program: ChildProcess, signal: AbortSignal) {
    this.#program = program
    const exited = once(program, 'exit').then(() => {
      throw new MalleeError('CommandFailed', 'ovs-ofctl ended')
    })
    const aborted = once(signal, 'abort').then(() => Promise.reject(signal.reason as Error))
    this.#ended = Promise.race([exited, aborted])
    // Whoever waits then hears of it.
    this.#ended.catch(() => undefined)
    // The flows that are there come on standard output, changes on standard error.
    for (const input of [program.stdout, program.stderr]) {
      if (input !== null) createInterface({ input }).on('line', (line) => this.#note(line))
    }
  }

  /** Resolves when the flows that were there are told. */
  static async open(host: SandboxHost, signal: AbortSignal): Promise<FlowWatch> {
    // Sockets work across network namespaces, and /proc leads into the host's folders.
    const root = `/proc/${host.pid}/root`
    const mgmt = `unix:${join(root, DEFAULT_PATHS.runDir, 'ovs/br-int.mgmt')}`
    const ofctl = ['ovs-ofctl', '-O', 'OpenFlow15', '--no-names', '--unixctl=none']
    const argv = ['-oL', ...ofctl, 'monitor', mgmt, 'watch:']
    const program = spawn('stdbuf', argv, { stdio: ['ignore', 'pipe', 'pipe'] })
    const watch = new FlowWatch(program, signal)
    await until('ovs-ofctl tells of flows', () => watch.#flows > 0, { signal })
    return watch
  }

  /** How many changes it has heard of. */
  get changes(): number {
    return this.#flows
  }

  /** When the switch added, or deleted, the flow of a peer. Throws CommandTimeout. */
  async when({ kind, address }: FlowEvent): Promise<number> {
    const key = `${kind} ${address}`
    const known = this.#seen.get(key)
    if (known !== undefined) return known
    let timer: NodeJS.Timeout | undefined
    const seen = new Promise<number>((resolve, reject) => {
      this.#waiting.set(key, resolve)
      const late = new MalleeError('CommandTimeout', `the flow of ${address} was not ${kind}`)
      timer = setTimeout(() => reject(late), TIMEOUT_MS)
    })
    return Promise.race([seen, this.#ended]).finally(() => clearTimeout(timer))
  }

  close(): void {
    this.#program.kill()
  }

  #note(line: string): void {
    const atMs = performance.now()
    if (line.includes(' event=')) this.#flows += 1
    const event = parseFlowEvent(line)
    if (event === null) return
    const key = `${event.kind} ${event.address}`
    if (!this.#seen.has(key)) this.#seen.set(key, atMs)
    this.#waiting.get(key)?.(atMs)
    this.#waiting.delete(key)
  }
}

/** What a line of `ovs-ofctl monitor` says of a peer that may come in over IPv4; else null. */
export function parseFlowEvent(line: string): FlowEvent | null {
  const found = /^ event=(ADDED|DELETED) .*[ ,]ip,(?:[^ ]*,)?nw_src=([\d.]+) actions=conj/.exec(
    line,
  )
  if (found === null) return null
  const [, kind, address = ''] = found
  return { kind: kind === 'ADDED' ? 'added' : 'deleted', address }
}
