// What a host does, as one: the parts that its roles and its kind (real or simulated) ask for.

import type { OpenBlob } from '../proto/blob.ts'
import type { Status } from '../proto/gen/mallee/v1/observed_pb.js'
import type { Desired } from '../proto/resources.ts'

export interface HostRoles {
  /** Makes a complete desired state true. */
  readonly pass: (desired: Desired) => Promise<void>
  readonly statuses: () => readonly Status[]
  readonly onStatus: (listener: () => void) => () => void
  /** Empty without the role cc. */
  readonly wireguardPublicKey: () => string
  readonly wireguardEndpoints: () => readonly string[]
  /** Null without the role nc. */
  readonly consoleOutput: ((id: string, maxBytes: number) => Promise<Uint8Array>) | null
  /** Image bytes for this rack's nodes. */
  readonly openImage: OpenBlob
  /** Takes away everything that was made on the host. */
  readonly removeAll: () => Promise<void>
}
