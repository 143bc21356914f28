// What a host does, as one: the parts that its roles and its kind (real or simulated) ask for.

import type { Duplex } from 'node:stream'
import type { Status, VolumeStore } from '../proto/gen/mallee/v1/observed_pb.js'
import type { Desired } from '../proto/resources.ts'
import type { RackImages } from './images/rack-images.ts'
import type { StatusListener } from './role.ts'

export interface HostPass {
  readonly name: string
  readonly run: (desired: Desired) => Promise<void>
}

/** What is done to guests at once. All throw NotFound for one that does not run here. */
export interface GuestDriver {
  /** What is on the screen, as a JPEG file. Throws NotSupported for a machine without one. */
  readonly screenshot: (id: string, wakeUp: boolean) => Promise<Uint8Array>
  /** A non-maskable interrupt. */
  readonly interrupt: (id: string) => Promise<void>
  /** Its serial port, until the stream is destroyed. Throws Conflict when somebody has it. */
  readonly serialPort: (id: string) => Promise<Duplex>
}

export interface HostRoles {
  /**
   * Each makes its part of a complete desired state true. They run beside each other: an image on
   * its way holds up no tunnel.
   */
  readonly passes: readonly HostPass[]
  readonly statuses: () => readonly Status[]
  readonly onStatus: (listener: StatusListener) => () => void
  /** Empty without the role cc. */
  readonly wireguardPublicKey: () => string
  readonly wireguardEndpoints: () => readonly string[]
  /** Null without the role sc, or before the first pass. */
  readonly volumeStore: () => VolumeStore | null
  /** Null without the role nc. */
  readonly consoleOutput: ((id: string, maxBytes: number) => Promise<Uint8Array>) | null
  /** Null without the role nc. */
  readonly guests: GuestDriver | null
  /** Null on a model of a host. */
  readonly images: RackImages | null
  /** Ends what runs in this process; what was made on the host stays. */
  readonly close: () => Promise<void>
  /** Takes away everything that was made on the host. */
  readonly removeAll: () => Promise<void>
}
