// What gets into a node's namespace, as an nftables table: its listeners and nothing else; and UDP,
// which is led to a target there. Targets are elements of maps: others of them change, flows stay.

import { createHash } from 'node:crypto'
import { formatAddress, mustAddress } from '../../../topology/cidr.ts'
import { ascending } from '../../../topology/order.ts'
import { tableComment, tableElements } from '../../host/nft.ts'
import { nameOf } from './names.ts'
import type { ListenerWanted, NodeWanted, TargetWanted } from './wanted.ts'

export const FILTER_TABLE = 'mallee'

interface FilterSet {
  readonly name: string
  readonly type: string
  readonly elements: readonly string[]
}

export interface Filter {
  /** Of everything but the elements. */
  readonly digest: string
  readonly sets: readonly FilterSet[]
  readonly ruleset: string
}

/** A client's hash decides for one of so many places, and each place for one target. */
const PLACES = 256
const UDP_MAP = 'udp_'
/** The same everywhere and after each change: with stickiness it must lead to the same place. */
const SEED = '0x6d616c6c'

/** `usable` says who of a group gets new flows. */
export function filterOf(
  node: NodeWanted,
  usable: (groupId: string) => readonly TargetWanted[],
): Filter {
  const tcp = node.listeners.filter((listener) => listener.tcp)
  const udp = node.listeners.filter((listener) => listener.udp)
  const ports = (listeners: readonly ListenerWanted[]) => listeners.map(({ port }) => String(port))
  const hasTargets = ({ groupId }: ListenerWanted) => usable(groupId).length > 0
  const sets: FilterSet[] = [
    set('open', 'type inet_service', ports(tcp.filter(hasTargets))),
    set('shut', 'type inet_service', ports(tcp.filter((one) => !hasTargets(one)))),
    ...[...new Set(udp.map(({ groupId }) => groupId))].flatMap((groupId) =>
      ([4, 6] as const).map((family) =>
        set(
          mapName(groupId, family),
          `type mark : ipv${family}_addr . inet_service`,
          placesOf(usable(groupId), family),
        ),
      ),
    ),
  ]
  const chains = chainsOf(node, udp)
  const heads = JSON.stringify([chains, sets.map(({ name, type }) => [name, type])])
  const digest = createHash('sha256').update(heads).digest('hex').slice(0, 16)
  return { digest, sets, ruleset: rulesetOf(digest, sets, chains) }
}

/** The ruleset that makes a namespace's table what it shall be; empty when it is. */
export function planFilter({ digest, sets, ruleset }: Filter, text: string | null): string {
  if (text === null || tableComment(text) !== digest) return ruleset
  const seen = tableElements(text)
  return sets
    .flatMap(({ name, elements }) => {
      const there = seen.get(name) ?? []
      const gone = there.filter((element) => !elements.includes(element))
      const come = elements.filter((element) => !there.includes(element))
      return [change('delete', name, gone.map(keyOf)), change('add', name, come)]
    })
    .join('')
}

function change(verb: 'add' | 'delete', name: string, elements: readonly string[]): string {
  if (elements.length === 0) return ''
  return `${verb} element inet ${FILTER_TABLE} ${name} { ${elements.join(', ')} }\n`
}

/** Of a map an element is known by its key. */
function keyOf(element: string): string {
  return element.split(' : ')[0] ?? element
}

function rulesetOf(digest: string, sets: readonly FilterSet[], chains: string): string {
  const table = `table inet ${FILTER_TABLE}`
  const bodies = sets.map(({ name, type, elements }) => {
    const kind = type.includes(' : ') ? 'map' : 'set'
    const list = elements.length === 0 ? '' : `; elements = { ${elements.join(', ')} }`
    return `  ${kind} ${name} { ${type}${list}; }\n`
  })
  return `${table}\ndelete ${table}\n${table} {\n  comment "${digest}"\n${bodies.join('')}${chains}}\n`
}

function chainsOf(node: NodeWanted, udp: readonly ListenerWanted[]): string {
  const sticky = new Set(node.groups.filter((group) => group.sticky).map(({ id }) => id))
  const leads = udp.flatMap(({ port, groupId }) =>
    ([4, 6] as const).map((family) => {
      const ip = family === 4 ? 'ip' : 'ip6'
      const who = sticky.has(groupId) ? `${ip} saddr` : `${ip} saddr . udp sport`
      const place = `meta mark set jhash ${who} mod ${PLACES} seed ${SEED}`
      const lead = `dnat ${ip} addr . port to meta mark map @${mapName(groupId, family)}`
      return `    meta nfproto ipv${family} udp dport ${port} ${place} ${lead}\n`
    }),
  )
  // Nothing of the cloud's own is a target.
  const services = ['ip daddr 169.254.0.0/16 drop', 'ip6 daddr fd00:ec2::/32 drop']
  return `  chain prerouting {
    type nat hook prerouting priority dstnat; policy accept;
${leads.join('')}  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ct status dnat masquerade
  }
  chain input {
    type filter hook input priority filter; policy drop;
    ct state invalid drop
    ct state established,related accept
    ip protocol icmp accept
    meta l4proto ipv6-icmp accept
    tcp dport @open accept
    tcp dport @shut reject with tcp reset
  }
  chain forward {
    type filter hook forward priority filter; policy drop;
    ${services.join('\n    ')}
    ct status dnat accept
  }
  chain output {
    type filter hook output priority filter; policy accept;
    ${services.join('\n    ')}
  }
`
}

/** Each place's target is the one that ranks highest there: when one goes, only its places move. */
export function placesOf(targets: readonly TargetWanted[], family: 4 | 6): string[] {
  const own = targets.flatMap(({ address, port }) => {
    const at = mustAddress(address)
    const text = `${formatAddress(at)} . ${port}`
    return at.family === family ? [{ text, seed: seedOf(text) }] : []
  })
  if (own.length === 0) return []
  return Array.from({ length: PLACES }, (_, place) => {
    let best = own[0]
    for (const one of own) {
      if (best === undefined || rank(one.seed, place) > rank(best.seed, place)) best = one
    }
    return `0x${place.toString(16).padStart(8, '0')} : ${best?.text ?? ''}`
  })
}

function seedOf(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32BE()
}

/** Any even spread will do (the finalizer of MurmurHash3). */
function rank(seed: number, place: number): number {
  let mixed = seed ^ Math.imul(place + 1, 0x9e3779b1)
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}

function set(name: string, type: string, elements: readonly string[]): FilterSet {
  return { name, type, elements: [...new Set(elements)].sort(ascending) }
}

/** Is this a map of targets for UDP? */
export function isUdpMap(name: string): boolean {
  return name.startsWith(UDP_MAP)
}

function mapName(groupId: string, family: 4 | 6): string {
  return `${UDP_MAP}${nameOf(groupId)}_${family}`
}
