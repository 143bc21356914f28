// The gateway of a world: made and run with the real commands, asked over its local socket.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { MalleeError } from '../common/errors.ts'
import { callLocal } from '../gateway/cli/client.ts'
import { DEFAULT_SOCKET } from '../gateway/files.ts'
import type { SandboxHost, Started } from './host.ts'
import { until } from './until.ts'

const MALLEE = join(import.meta.dirname, '../bin/mallee')
const COMMAND_MS = 120_000
const START_MS = 30_000

export interface Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly account: string
}

/** The part of `mallee status` that the sandbox looks at. */
export interface CloudStatus {
  /** The tenants' IPv6 prefix. */
  readonly ipv6Pool: string
  readonly instances: Readonly<Record<string, number>>
  readonly racks: readonly {
    readonly name: string
    readonly state: string
    readonly hosts: readonly {
      readonly host: string
      readonly roles: readonly string[]
      readonly connected: boolean
      readonly instances: number
      readonly trouble?: string
    }[]
  }[]
  readonly tunnels: readonly {
    readonly fromRack: string
    readonly toRack: string
    readonly latestHandshakeMs: number
  }[]
}

/** A gateway that can be stopped, killed and started again. */
export class SandboxGateway {
  readonly host: SandboxHost
  readonly credentials: Credentials
  #program: Started | null = null

  private constructor(host: SandboxHost, credentials: Credentials) {
    this.host = host
    this.credentials = credentials
  }

  /** `mallee init`, then `mallee gateway`. */
  static async create(host: SandboxHost, cloud: string, region: string): Promise<SandboxGateway> {
    const argv = [MALLEE, 'init', '--name', cloud, '--region', region, '--json']
    const { stdout } = await host.exec(argv, { timeoutMs: COMMAND_MS })
    const gateway = new SandboxGateway(host, JSON.parse(stdout) as Credentials)
    await gateway.start()
    return gateway
  }

  /** Resolves when it answers. Throws CommandFailed when it ends instead; its log says why. */
  async start(): Promise<void> {
    const logFile = join(this.host.dir, 'gateway.log')
    const program = await this.host.start([MALLEE, 'gateway'], { logFile })
    this.#program = program
    const answers = async (): Promise<boolean> => {
      if (!program.running()) {
        throw new MalleeError('CommandFailed', `mallee gateway ${await program.ended}: ${logFile}`)
      }
      // A killed gateway leaves its socket file, which the next one replaces.
      return existsSync(this.#socket) && (await this.#isUp())
    }
    await until('the gateway answers', answers, { timeoutMs: START_MS, everyMs: 50 })
  }

  /** SIGTERM unless told otherwise; nothing happens when it does not run. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    await this.#program?.stop(signal)
  }

  /** One `mallee` command on the gateway's host, with `--json`. */
  async mallee(args: readonly string[]): Promise<unknown> {
    const { stdout } = await this.host.exec([MALLEE, ...args, '--json'], { timeoutMs: COMMAND_MS })
    return JSON.parse(stdout)
  }

  status(): Promise<CloudStatus> {
    return callLocal<CloudStatus>(this.#socket, { method: 'GET', path: '/v1/status' })
  }

  /** Socket files work across network namespaces, and /proc leads into the host's folders. */
  get #socket(): string {
    return `/proc/${this.host.pid}/root${DEFAULT_SOCKET}`
  }

  #isUp(): Promise<boolean> {
    return this.status().then(
      () => true,
      () => false,
    )
  }
}
