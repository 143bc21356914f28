// The CCs of both sides that hold tunnels between two clouds: this cloud's as they report, the
// other's as it states them. Nothing of a statement gets to a rack unread.

import { isIP } from 'node:net'
import { linkAddressOf } from '../../common/link-address.ts'
import { mustAddress } from '../../topology/cidr.ts'
import { isNowhere } from '../../topology/nowhere.ts'
import type { BorderEnd } from '../../topology/peering.ts'
import { LAST_PEER_NUMBER } from '../../topology/ranges.ts'
import type { PeerRecord } from '../store/peer-records.ts'
import type { HostRecord } from '../store/records.ts'
import type { View } from '../store/state.ts'
import { isOpen, statementsOf } from './agreed.ts'

export interface BorderOf extends BorderEnd {
  /** Base64, of 32 bytes. */
  readonly publicKey: string
  /** address:port, IPv6 in brackets. */
  readonly endpoints: readonly string[]
  readonly linkAddress: string
}

/** As many of a cloud count, in the order of their names. */
const MAX_BORDERS = 32
const MAX_ENDPOINTS = 8
const NAME = /^[a-z0-9][a-z0-9.-]{0,62}$/i

/** Does this CC hold tunnels to the peer cloud? */
export function isBorder(
  { terms, number, ...peer }: PeerRecord,
  host: Pick<HostRecord, 'rack' | 'roles'>,
): boolean {
  const isNamed = terms.borders === null || terms.borders.includes(host.rack)
  return isOpen(peer) && number <= LAST_PEER_NUMBER && isNamed && host.roles.includes('cc')
}

/**
 * This cloud's, those that have reported a key: what is stated to the other. One is up while it
 * hears one of the other's.
 */
export function ownBorders(view: View, peer: PeerRecord): BorderOf[] {
  const all = view.under('peer-link', String(peer.number)).flatMap((link): BorderOf[] => {
    const host = view.get('host', link.rack, link.host)
    if (host === null || !isBorder(peer, host)) return []
    const linkAddress = linkAddressOf(link.publicKey)
    if (linkAddress === null) return []
    const { rack, publicKey, endpoints } = link
    const heard = link.borders
      .filter(({ handshakeAtMs }) => handshakeAtMs > 0)
      .map((one) => `${one.rack}/${one.host}`)
      .slice(0, MAX_BORDERS)
    const up = heard.length > 0
    return [{ rack, host: link.host, publicKey, endpoints, linkAddress, up, heard }]
  })
  return all.slice(0, MAX_BORDERS)
}

/** What stands in the way of packets, for the operator. */
export function linkTroubles(view: View, peer: PeerRecord): string[] {
  if (!isOpen(peer)) return []
  if (!view.all('host').some((host) => isBorder(peer, host))) {
    return ['no CC of this cloud holds tunnels to it']
  }
  const links = view.under('peer-link', String(peer.number))
  const said = links.filter(({ trouble }) => trouble !== '')
  const isUp = ownBorders(view, peer).some(({ up }) => up)
  return [
    ...(isUp ? [] : ['no tunnel to it is up']),
    ...said.map(({ rack, host, trouble }) => `${rack}/${host}: ${trouble}`),
  ]
}

/** The other's: of what it states only what is well-formed, and no key twice. */
export function theirBorders(view: View, uid: string): BorderOf[] {
  const found = new Map<string, BorderOf>()
  for (const { key, body } of statementsOf(view, uid, 'border')) {
    if (body?.case !== 'border' || found.size >= MAX_BORDERS) continue
    const { rack, host, publicKey, endpoints, up, heard } = body.value
    const linkAddress = linkAddressOf(publicKey)
    const isWhole = NAME.test(rack) && NAME.test(host) && key === `border/${rack}/${host}`
    if (!isWhole || linkAddress === null || found.has(publicKey)) continue
    const usable = endpoints.filter(isEndpoint).slice(0, MAX_ENDPOINTS)
    const all = { rack, host, publicKey, endpoints: usable, linkAddress, up }
    found.set(publicKey, { ...all, heard: heard.slice(0, MAX_BORDERS) })
  }
  return [...found.values()]
}

/** An address, no name: what it leads to would be the other's to say, at any time. */
function isEndpoint(text: string): boolean {
  const match = /^(?:\[([0-9a-f:.]{2,45})\]|([0-9.]{7,15})):([1-9]\d{0,4})$/i.exec(text)
  const address = match?.[1] ?? match?.[2] ?? ''
  if (isIP(address) !== (match?.[1] === undefined ? 4 : 6) || Number(match?.[3]) > 65_535) {
    return false
  }
  return !isNowhere(mustAddress(address))
}
