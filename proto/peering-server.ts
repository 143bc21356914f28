// The peering port: a TLS server whose own certificate and whose trusted CAs change while it runs.
// A change is for handshakes to come; calls under way go on, and who may call is asked each time.

import type { SecureContextOptions } from 'node:tls'
import * as grpc from '@grpc/grpc-js'
import type { PeeringRpc } from './peering-service.ts'
import { bindServer, shutDown } from './server.ts'
import { CHANNEL_OPTIONS } from './service.ts'
import { TLS_VERSION, type TlsIdentity } from './tls.ts'

/** A batch has 1 MiB at most; around it there is little. */
const MAX_REQUEST_BYTES = (1 << 20) + (64 << 10)
const OPTIONS: grpc.ChannelOptions = {
  ...CHANNEL_OPTIONS,
  'grpc.max_receive_message_length': MAX_REQUEST_BYTES,
  'grpc.max_concurrent_streams': 8,
  'grpc.max_connection_idle_ms': 300_000,
  'grpc.max_connection_age_ms': 3_600_000,
  'grpc.max_connection_age_grace_ms': 60_000,
}

export class PeeringServer {
  readonly #service: PeeringRpc
  #address: string
  #open: { readonly server: grpc.Server; readonly credentials: PeerCredentials } | null = null
  #port = 0
  /** What is shown and trusted. */
  #shown = ''

  /** `[::]:8776` listens on IPv4 as well. Port 0 picks a free one. */
  constructor(address: string, service: PeeringRpc) {
    this.#address = address
    this.#service = service
  }

  /**
   * Listens with that certificate, and takes clients with certificates of `roots` (PEM). One call
   * at a time. Throws Unavailable when the address cannot be had.
   */
  async show(identity: TlsIdentity, roots: readonly string[]): Promise<void> {
    const { certificatePem, keyPem, caPem } = identity
    const shown = [certificatePem, keyPem, ...roots].join('\n')
    if (this.#open !== null && this.#shown === shown) return
    const context: SecureContextOptions = {
      minVersion: TLS_VERSION,
      ca: [...roots],
      cert: `${certificatePem.trim()}\n${caPem}`,
      key: keyPem,
    }
    if (this.#open === null) {
      const server = new grpc.Server({ ...OPTIONS, interceptors: [this.#service.gate] })
      server.addService(this.#service.definition, this.#service.implementation)
      const credentials = new PeerCredentials(context)
      this.#port = await bindServer(server, this.#address, credentials)
      this.#open = { server, credentials }
      this.#address = this.#address.replace(/:0$/, `:${this.#port}`)
    } else {
      this.#open.credentials.renew(context)
    }
    this.#shown = shown
  }

  /** 0 while it does not listen. */
  port(): number {
    return this.#open === null ? 0 : this.#port
  }

  async close(): Promise<void> {
    const open = this.#open
    this.#open = null
    if (open !== null) await shutDown(open.server)
  }
}

class PeerCredentials extends grpc.ServerCredentials {
  constructor(context: SecureContextOptions) {
    super({ requestCert: true, rejectUnauthorized: true, minVersion: TLS_VERSION }, context)
  }

  renew(context: SecureContextOptions): void {
    this.updateSecureContextOptions(context)
  }

  override _equals(other: grpc.ServerCredentials): boolean {
    return this === other
  }
}
