// A server of sessions whose certificate changes while it runs.

import { type RpcServer, type RpcServerOptions, startRpcServer } from './server.ts'
import type { TlsIdentity } from './tls.ts'

export interface RenewableServerOptions extends Omit<RpcServerOptions, 'identity'> {
  /** The newest; asked each time. */
  readonly identity: () => TlsIdentity
}

/** Calls of `ensure` and `close` follow one another: a Loop's pass, and the end of the loop. */
export class RenewableServer {
  #options: RenewableServerOptions
  #open: RpcServer | null = null
  /** The certificate that `#open` shows. */
  #shown = ''

  constructor(options: RenewableServerOptions) {
    this.#options = options
  }

  /**
   * Opens the server, or, when its certificate is not the newest, says Goodbye to all sessions and
   * opens it anew on the same ports. Throws Unavailable when a port cannot be had; calling again is
   * trying again.
   */
  async ensure(): Promise<void> {
    const identity = this.#options.identity()
    if (this.#open !== null && this.#shown === identity.certificatePem) return
    await this.close()
    const { sessionAddress, joinAddress } = this.#options
    const opened = await startRpcServer({ ...this.#options, identity })
    this.#open = opened
    this.#shown = identity.certificatePem
    // A free port is picked once: who knows it dials it again.
    this.#options = {
      ...this.#options,
      sessionAddress: sessionAddress.replace(/:0$/, `:${opened.sessionPort}`),
      joinAddress: joinAddress?.replace(/:0$/, `:${opened.joinPort}`) ?? null,
    }
  }

  /** Where it listens; zeros while it does not. */
  ports(): Pick<RpcServer, 'sessionPort' | 'joinPort'> {
    return this.#open ?? { sessionPort: 0, joinPort: 0 }
  }

  async close(): Promise<void> {
    const open = this.#open
    this.#open = null
    await open?.close()
  }
}
