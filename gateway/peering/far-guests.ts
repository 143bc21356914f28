// What peer clouds state of the guests behind a peering: who is in which of their security groups,
// and their private names. Nothing of it counts that lies outside of what the peering covers, and
// their groups are never taken for groups of this cloud or of another peer.

import { isName } from '../../common/identity.ts'
import { contains, mustCidr, parseAddress } from '../../topology/cidr.ts'
import type { View } from '../store/state.ts'
import { statementAt } from './agreed.ts'
import type { Passing } from './passing.ts'
import { trafficOf } from './traffic.ts'

const MAX_ADDRESSES = 64

/** A group of a VPC in a peer cloud, as rules and members here name it. */
export function farGroup(peering: string, group: string): string {
  return `${peering}.${group}`
}

/** Null for a group of this cloud. */
export function readFarGroup(text: string): { peering: string; group: string } | null {
  const [, peering, group] = /^(pcx-[0-9a-f]+)\.(sg-[0-9a-f]+)$/.exec(text) ?? []
  return peering === undefined || group === undefined ? null : { peering, group }
}

/** The addresses of an interface that is in the group, by a peering of the VPC; null when none. */
export function farMember(
  view: View,
  group: string,
  card: string,
): { readonly vpc: string; readonly addresses: string[] } | null {
  const named = readFarGroup(group)
  const passing = named === null ? undefined : trafficOf(view).byPeering.get(named.peering)
  if (named === null || passing === undefined) return null
  const key = `member/${named.peering}/${named.group}/${card}`
  const body = statementAt(view, passing.peer.uid, key)?.body
  if (body?.case !== 'member') return null
  const addresses = covered(passing, body.value.addresses)
  return addresses.length === 0 ? null : { vpc: passing.vpc, addresses }
}

/** Keys of all members and names that are stated of a peering, whether they count or not. */
export function farGuestKeys(view: View, uid: string, peering: string): string[] {
  return ['member', 'name'].flatMap((kind) =>
    view
      .withPrefix('peer-statement', `${uid}/${kind}/${peering}/`)
      .flatMap(({ key }) => guestKey(key) ?? []),
  )
}

/** Under which key racks have what a statement says of a guest; null for any other statement. */
export function guestKey(key: string): string | null {
  return memberKey(key) ?? nameKey(key)
}

/** `member/<group>/<interface>` */
function memberKey(key: string): string | null {
  const [kind, peering = '', group = '', card = ''] = key.split('/')
  const isWhole = kind === 'member' && /^eni-[0-9a-f]{8,17}$/.test(card)
  const far = farGroup(peering, group)
  return isWhole && readFarGroup(far) !== null ? `member/${far}/${card}` : null
}

/** A private name under `<peering>.<zone>.<host name>`; null when there is none that counts. */
export function farName(
  view: View,
  id: string,
): { readonly vpc: string; readonly name: string; readonly addresses: string[] } | null {
  const [peering = '', zone = '', hostName = ''] = id.split('.')
  const passing = trafficOf(view).byPeering.get(peering)
  if (passing === undefined) return null
  const { peer, vpc } = passing
  const body = statementAt(view, peer.uid, `name/${peering}/${zone}/${hostName}`)?.body
  const name = nameIn(view, peer.region, { hostName, zone })
  if (body?.case !== 'name' || name === null) return null
  const addresses = covered(passing, body.value.addresses)
  return addresses.length === 0 ? null : { vpc, name, addresses }
}

/** Is it the id of such a name? That of a load balancer has more parts. */
export function isFarName(id: string): boolean {
  return /^pcx-[0-9a-f]+\.[a-z0-9-]+\.[a-z0-9-]+$/.test(id)
}

function nameKey(key: string): string | null {
  const [kind, peering, zone, hostName] = key.split('/')
  const id = [peering, zone, hostName].join('.')
  return kind === 'name' && isFarName(id) ? `name/${id}` : null
}

/** With the region of its cloud as it is called here; null for a name of this cloud's own. */
function nameIn(
  view: View,
  region: string,
  { hostName, zone }: { readonly hostName: string; readonly zone: string },
): string | null {
  if (!isName(hostName) || !isName(zone)) return null
  const domain = `${region}-${zone}`
  const own = view.get('cloud', 'self')?.region ?? ''
  const isOwn = domain.startsWith(`${own}-`) && isOwnZone(view, own, domain)
  return isOwn ? null : `${hostName}.${domain}.internal`
}

function isOwnZone(view: View, region: string, domain: string): boolean {
  const zone = domain.slice(region.length + 1)
  return zone === 'any' || view.get('rack', zone) !== null
}

function covered({ theirs }: Passing, addresses: readonly string[]): string[] {
  const blocks = theirs.map(mustCidr)
  return addresses.slice(0, MAX_ADDRESSES).filter((text) => {
    const address = parseAddress(text)
    return address.ok && blocks.some((one) => contains(one, address.value))
  })
}
