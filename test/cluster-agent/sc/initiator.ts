// QEMU's iSCSI initiator, without a machine around it: qemu-io on a volume of a simulated host.

import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import type { Grant } from '../../../cluster-agent/sc/volumes/wanted.ts'
import { until } from '../../../sandbox/until.ts'
import type { SimulatedHost } from '../../support/netns.ts'

export interface Login {
  readonly portal: string
  readonly targetIqn: string
  readonly grant: Pick<Grant, 'chapUser' | 'chapSecret' | 'initiatorIqn'>
  readonly withoutChap?: boolean
}

/** Where it runs. */
export type InitiatorHost = Pick<SimulatedHost, 'exec' | 'pid'> & {
  readonly paths: Pick<SimulatedHost['paths'], 'stateDir'>
}

const ANSWER = /(wrote|read|discard) \d+\/\d+ bytes|failed/

/** Runs one command and ends; everything it said. */
export async function qemuIo(host: InitiatorHost, login: Login, command: string): Promise<string> {
  const argv = ['qemu-io', ...flagsOf(host, login), '-c', command]
  const { stdout, stderr } = await host.exec(argv, { okCodes: [0, 1], timeoutMs: 30_000 })
  return stdout + stderr
}

/** One that stays logged in. */
export class Client {
  readonly #process: ChildProcessByStdio<Writable, Readable, Readable>
  #said = ''

  constructor(host: InitiatorHost, login: Login) {
    const enter = [`--target=${host.pid}`, '--all', '--', 'qemu-io']
    this.#process = spawn('nsenter', [...enter, ...flagsOf(host, login)], {
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    this.#process.stdin.on('error', () => undefined)
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        this.#said += chunk.toString()
      })
    }
  }

  async says(command: string): Promise<string> {
    return await this.begin(command).answer()
  }

  /** Gives a command that may wait for its answer. */
  begin(command: string): { soFar: () => string; answer: () => Promise<string> } {
    const from = this.#said.length
    this.#process.stdin.write(`${command}\n`)
    const soFar = () => this.#said.slice(from)
    const answer = async () => {
      await until(`an answer to ${command}`, () => {
        const { exitCode } = this.#process
        if (exitCode !== null) throw new Error(`qemu-io exited ${exitCode}: ${this.#said}`)
        return ANSWER.test(soFar())
      })
      return soFar()
    }
    return { soFar, answer }
  }

  async end(): Promise<void> {
    const gone = once(this.#process, 'exit')
    this.#process.kill('SIGKILL')
    this.#process.stdin.end()
    await gone
  }
}

function flagsOf(host: InitiatorHost, login: Login): string[] {
  const { portal, targetIqn, grant, withoutChap = false } = login
  const secret = join(host.paths.stateDir, `${grant.chapUser}.secret`)
  writeFileSync(secret, grant.chapSecret, { mode: 0o600 })
  const chap = withoutChap ? '' : `,file.user=${grant.chapUser},file.password-secret=s`
  const target = `file.portal=${portal},file.target=${targetIqn},file.lun=1`
  const own = `file.initiator-name=${grant.initiatorIqn}`
  return [
    ...['--object', `secret,id=s,file=${secret}`, '--image-opts'],
    `driver=raw,discard=unmap,file.driver=iscsi,file.transport=tcp,${target},${own}${chap}`,
  ]
}
