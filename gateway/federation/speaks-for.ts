// Whose word a gateway takes for a host with the role sc: that of a CC of its rack, with the key
// and the session that it has here.

import type { Identity } from '../../common/identity.ts'
import type { HostRecord } from '../store/records.ts'
import type { View } from '../store/state.ts'
import type { Sessions } from './sessions.ts'

/** Null when that is nobody who may speak for such a host. */
export function speakerFor(
  view: View,
  sessions: Pick<Sessions, 'isOpen'>,
  { peer, keyFingerprint }: { readonly peer: Identity; readonly keyFingerprint: string },
  host: string,
): { readonly rack: string; readonly cc: string } | null {
  if (peer.kind !== 'host' || !peer.roles.includes('cc')) return null
  const { rack, host: cc } = peer
  const isKnown = view.get('host', rack, cc)?.keyFingerprint === keyFingerprint
  const isOpen = sessions.isOpen({ rack, host: cc })
  return isOpen && isKnown && isStoring(view.get('host', rack, host)) ? { rack, cc } : null
}

/** Is that a host that keeps bytes? */
export function isStoring(record: HostRecord | null): record is HostRecord {
  return record?.roles.includes('sc') === true
}
