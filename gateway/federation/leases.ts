// Which gateways have sessions of a rack.

import type { LeaseRecord } from '../store/records.ts'
import type { View } from '../store/state.ts'

/** The newest first. A gateway that died may stand there until somebody else has the session. */
export function leasesOf(view: Pick<View, 'withPrefix'>, rack: string): LeaseRecord[] {
  return [...view.withPrefix('lease', `${rack}/`)].sort((a, b) => b.renewedAtMs - a.renewedAtMs)
}
