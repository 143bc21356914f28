// The shell on a guest's serial console: runs commands inside an instance, as its user would.

import { connect, type Socket } from 'node:net'
import { MalleeError } from '../common/errors.ts'
import { until } from './until.ts'

const MAX_OUTPUT_CHARS = 1 << 20
/** What the guest itself says meanwhile, in lines of its own. */
const REPORTS = /^MALLEE-GUEST .*\n/gm

export interface GuestAnswer {
  readonly output: string
  readonly code: number
}

/** One at a time: QEMU lets one client at the console's socket. */
export class GuestShell {
  readonly #socket: Socket
  #heard = ''
  #count = 0
  #trouble: Error | null = null

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.setEncoding('utf8')
    socket.on('data', (text: string) => {
      this.#heard = (this.#heard + text).slice(-MAX_OUTPUT_CHARS)
    })
    socket.on('error', (error) => {
      this.#trouble = error
    })
    socket.on('close', () => {
      this.#trouble ??= new MalleeError('Unavailable', 'the console was closed')
    })
  }

  /** Connects to a console socket and waits until its shell answers. */
  static async open(path: string, timeoutMs = 30_000): Promise<GuestShell> {
    const shell = new GuestShell(connect(path))
    try {
      // The console waits for Enter before it starts its shell; one that runs ignores an empty
      // line.
      shell.#socket.write('\n')
      await shell.run('true', timeoutMs)
      return shell
    } catch (error) {
      shell.close()
      throw error
    }
  }

  /** Runs one line of shell. Throws CommandTimeout, Unavailable when the guest goes away. */
  async run(command: string, timeoutMs = 30_000): Promise<GuestAnswer> {
    this.#count += 1
    const n = this.#count
    this.#heard = ''
    // The terminal echoes what is sent: quotes within the marks tell the echo from the answer.
    this.#socket.write(`echo 'MA''RK' ${n} BEGIN; ${command}; echo 'MA''RK' ${n} $?\n`)
    const answer = new RegExp(`^MARK ${n} BEGIN\\r?\\n([^]*?)^MARK ${n} (\\d+)\\r?$`, 'm')
    let found: RegExpExecArray | null = null
    await until(
      `the guest answers ${command}`,
      () => {
        if (this.#trouble !== null) throw this.#trouble
        found = answer.exec(this.#heard)
        return found !== null
      },
      { timeoutMs },
    )
    const [, output = '', code = ''] = found ?? []
    return { output: output.replaceAll('\r', '').replace(REPORTS, ''), code: Number(code) }
  }

  close(): void {
    this.#socket.destroy()
  }
}
