// What the parts of a host have in common: the CC's network, the NC's instances, the SC's volumes,
// and the simulated ones.

import type { Status } from '../proto/gen/mallee/v1/observed_pb.js'
import type { Desired } from '../proto/resources.ts'

export type Role = 'cc' | 'sc' | 'nc'

/** Told `true` when there is something to tell and nothing to make of it. */
export type StatusListener = (onlyTold?: boolean) => void

export interface RoleDriver {
  /** Makes the desired state true, as far as it is this role's. Called only when it is complete. */
  pass(desired: Desired): Promise<void>
  /** All that is. Cheap: the last pass's or event's findings. */
  statuses(): readonly Status[]
  /** Something changed between passes. Returns the function that ends it. */
  onStatus(listener: StatusListener): () => void
  /** Takes away everything that this role made on the host. */
  removeAll(): Promise<void>
}
