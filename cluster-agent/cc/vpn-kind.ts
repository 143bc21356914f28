// What the two kinds of VPN tunnels have in common for a CC: WireGuard's and IPsec's.

import type { Exec } from '../../common/exec.ts'
import type { VpnLink } from '../../proto/gen/mallee/v1/border_pb.js'

/** Of which kind a tunnel is. */
export type VpnKindName = 'wireguard' | 'ipsec'

export interface VpnSeen {
  /** Heard without a silence. */
  readonly up: boolean
  /** Of the device made for it, with WireGuard; else ''. */
  readonly publicKey: string
  /** Where the customer's device reaches this end, the best first. */
  readonly endpoints: readonly string[]
  /** What stands in the way; '' when all is made. */
  readonly trouble: string
}

/** `links` are all of this kind that the CC shall hold. */
export interface VpnKind {
  /** First in a pass: what is not wanted any more ends now, with its keys. */
  removeUnwanted(exec: Exec, links: readonly VpnLink[]): Promise<void>
  /** Makes devices and tunnels. What fails with one is its trouble, and keeps no other. */
  pass(exec: Exec, links: readonly VpnLink[]): Promise<void>
  /** Looks again at those that are not up: between passes, cheaply. */
  look(exec: Exec): Promise<void>
  /** The device by which a link's packets come and go; null while it is not there. */
  deviceOf(number: number): string | null
  /** Null of a link that it does not hold. */
  seen(number: number): VpnSeen | null
  /** Ends what runs in this process only. */
  close(): Promise<void>
  /** Leaves nothing on the host. */
  removeAll(exec: Exec): Promise<void>
}
