// Something for a cloud to state: devices of its CCs for the peer; and what the other was told.

import type { PeerLinkRecord, PeerRecord } from '../../../gateway/store/peer-records.ts'
import type { State } from '../../../gateway/store/state.ts'
import { host } from '../control/records.ts'

/** Of a CC that there is: what others report is nobody's. */
export function putLink(
  { state }: { readonly state: State },
  name: string,
  port = 52_001,
): Promise<void> {
  return state.update(async (tx) => {
    await tx.put('host', ['a', name], host('a', name, 1, 'K'))
    await tx.put('peer-link', ['1', 'a', name], link(name, port))
  })
}

/** Its only peer, as whoever has that state sees it. */
export function peerOf({ state }: { readonly state: State }): PeerRecord {
  const [first, ...others] = state.view().all('peer')
  if (first === undefined || others.length > 0) throw new Error('not one peer')
  return first
}

/** Keys of what the other states, as it is held here. */
export function told(here: { readonly state: State }): string[] {
  const { uid, heard } = peerOf(here)
  const all = here.state.view().withPrefix('peer-statement', `${uid}/`)
  return all.filter(({ epoch }) => epoch === heard.epoch).map(({ key }) => key)
}

function link(name: string, port: number): PeerLinkRecord {
  return {
    ...{ number: 1, rack: 'a', host: name, publicKey: `${'A'.repeat(43)}=`, trouble: '' },
    ...{ endpoints: [`203.0.113.9:${port}`], linkAddress: 'fe80::1234', borders: [] },
  }
}
