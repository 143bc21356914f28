// The whole flow table of a host, in units: one per port, group set, member address, network, ACL.
// A unit whose inputs are the same objects as before is the same unit: so a change costs what it
// changes.

import type { Network, Resource } from '../../proto/gen/mallee/v1/desired_pb.js'
import type { Acl, Group, Member } from '../../proto/gen/mallee/v1/tenants_pb.js'
import { bodies, bodyAt, type Desired } from '../../proto/resources.ts'
import { type Cidr, formatCidr, parseAddress, single } from '../../topology/cidr.ts'
import { anyGatewayMac, gatewayMac } from '../../topology/plan.ts'
import { addDigests, flowsDigest } from '../host/ovs.ts'
import { aclFlows } from './acl-flows.ts'
import { type GroupTables, INCOMING, OUTGOING, staticFlows } from './flow-tables.ts'
import * as groups from './group-flows.ts'
import { type NetworkPorts, networkFlows, storageFlows, trunkFlows } from './network-flows.ts'
import { type GuardedPort, portFlows } from './port-flows.ts'

/** The ports of the switch that matter here. */
export interface SwitchPorts {
  readonly taps: readonly GuardedPort[]
  readonly trunk: number | null
  readonly gateways: readonly { readonly tag: number; readonly ofport: number; mac: string }[]
  readonly vxlans: readonly { readonly tag: number; readonly ofport: number }[]
  /** The host's own, in the storage network; null without one. */
  readonly storage: { readonly tag: number; readonly ofport: number } | null
}

export interface FlowUnit {
  readonly flows: readonly string[]
  readonly digest: bigint
}

export interface WantedFlows {
  readonly units: ReadonlyMap<string, FlowUnit>
  readonly count: number
  readonly digest: bigint
}

interface Kept {
  readonly inputs: readonly unknown[]
  readonly unit: FlowUnit
}

interface Peers {
  readonly cidr: Cidr
  readonly sets: Map<GroupTables, number[]>
}

export class FlowPlanner {
  #kept = new Map<string, Kept>()
  #next = new Map<string, Kept>()
  /** Numbers of ACLs and peer sets; never given twice while we run. */
  readonly #numbers = new Map<string, number>()
  readonly #prefixes = new WeakMap<Member, readonly Cidr[]>()

  plan(desired: Desired, ports: SwitchPorts): WantedFlows {
    this.#next = new Map()
    this.#unit('static', [], staticFlows)
    if (ports.trunk !== null) {
      const { trunk } = ports
      this.#unit('trunk', [trunk], () => trunkFlows(trunk))
    }
    this.#storage(ports)
    this.#networks(desired, ports)
    for (const tap of ports.taps) {
      this.#unit(`port ${tap.ofport}`, [JSON.stringify(tap)], () => portFlows(tap))
    }
    this.#groups(desired, ports.taps)
    this.#kept = this.#next
    return total(this.#kept)
  }

  #storage({ storage, trunk }: SwitchPorts): void {
    if (storage === null) return
    const { tag, ofport } = storage
    this.#unit('storage', [tag, ofport, trunk], () => storageFlows(storage, trunk))
  }

  #networks(desired: Desired, { taps, trunk, gateways, vxlans }: SwitchPorts): void {
    const here = new Set([...taps, ...gateways, ...vxlans].map(({ tag }) => tag))
    const acls = new Map<string, Acl>()
    for (const network of bodies(desired, 'network')) {
      const { vlanTag: tag, aclId } = network
      if (!here.has(tag)) continue
      const of = <P extends { tag: number }>(ports: readonly P[]) =>
        ports.find((port) => port.tag === tag) ?? null
      const at: NetworkPorts = {
        ...{ gateway: of(gateways), vxlan: of(vxlans)?.ofport ?? null, trunk },
        edge: edgeOf(desired, network),
      }
      // An ACL that is not known lets nothing cross.
      const acl = aclId === '' ? null : bodyAt(desired, `acl/${aclId}`, 'acl')
      const number = aclId === '' ? null : this.#number(`acl ${aclId}`)
      if (acl !== null) acls.set(aclId, acl)
      this.#unit(`network ${network.id}`, [network, number, JSON.stringify(at)], () =>
        networkFlows(network, at, number),
      )
    }
    for (const [id, acl] of acls) {
      const number = this.#number(`acl ${id}`)
      this.#unit(`acl ${id}`, [acl, number], () => aclFlows(acl, number))
    }
  }

  #groups(desired: Desired, taps: readonly GuardedPort[]): void {
    const used = new Map<string, Group>()
    const setNumber = (set: groups.PeerSet) => this.#number(set.key)
    for (const { ofport, groupIds, openWithoutGroups } of taps) {
      // A group that is not known allows nothing.
      const own = [...new Set(groupIds)].flatMap((id) => {
        const group = bodyAt(desired, `group/${id}`, 'group')
        if (group !== null) used.set(id, group)
        return group === null ? [] : [group]
      })
      if (groupIds.length === 0 && openWithoutGroups) own.push(groups.EVERYTHING)
      this.#unit(`groups ${ofport}`, own, () => groups.portGroupFlows(ofport, own, setNumber))
    }
    this.#peers(desired, used)
  }

  /** The flows of those whom the rules in use name. */
  #peers(desired: Desired, used: ReadonlyMap<string, Group>): void {
    const peers = new Map<string, Peers>()
    const members = new Map<string, [GroupTables, number][]>()
    const seen = new Set<string>()
    for (const rule of [...used.values()].flatMap(({ rules }) => rules)) {
      const set = groups.peerSetOf(rule)
      const key = set === null ? '' : `${set.key} ${rule.egress}`
      if (set === null || seen.has(key)) continue
      seen.add(key)
      const tables = groups.tablesOf(rule)
      const number = this.#number(set.key)
      this.#unit(`met ${key}`, [number], () => [groups.metFlow(tables, number)])
      if ('cidrs' in set) addPeers(peers, groups.parsed(set.cidrs), [[tables, number]])
      else members.set(set.groupId, [...(members.get(set.groupId) ?? []), [tables, number]])
    }
    for (const [groupId, prefixes] of this.#members(desired)) {
      addPeers(peers, prefixes, members.get(groupId) ?? [])
    }
    for (const [text, { cidr, sets }] of peers) {
      const of = (tables: GroupTables) => (sets.get(tables) ?? []).sort((a, b) => a - b)
      for (const [name, tables] of [
        ['in', INCOMING],
        ['out', OUTGOING],
      ] as const) {
        const numbers = [...new Set(of(tables))]
        if (numbers.length === 0) continue
        this.#unit(`peer ${name} ${text}`, [numbers.join()], () => [
          groups.peerFlow(tables, cidr, numbers),
        ])
      }
    }
  }

  *#members(desired: Desired): Generator<[string, readonly Cidr[]]> {
    for (const { body } of desired.values() as Iterable<Resource>) {
      if (body.case !== 'member') continue
      const member = body.value
      let prefixes = this.#prefixes.get(member)
      if (prefixes === undefined) {
        prefixes = member.addresses.flatMap((text) => {
          const address = parseAddress(text)
          return address.ok ? [single(address.value)] : []
        })
        this.#prefixes.set(member, prefixes)
      }
      yield [member.groupId, prefixes]
    }
  }

  #unit(key: string, inputs: readonly unknown[], make: () => string[]): void {
    const kept = this.#kept.get(key)
    const same =
      kept?.inputs.length === inputs.length && inputs.every((x, i) => x === kept.inputs[i])
    if (kept !== undefined && same) {
      this.#next.set(key, kept)
      return
    }
    const flows = make()
    this.#next.set(key, { inputs, unit: { flows, digest: flowsDigest(flows) } })
  }

  #number(key: string): number {
    const known = this.#numbers.get(key)
    if (known !== undefined) return known
    const number = this.#numbers.size + 1
    this.#numbers.set(key, number)
    return number
  }
}

/** Null where nobody says who the gateway is: an older parent, or a rack without a CC. */
function edgeOf(desired: Desired, { vlanTag, gatewayHost }: Network): NetworkPorts['edge'] {
  const rack = bodyAt(desired, 'rack', 'rack')
  const member = rack?.members.find(({ host }) => host === gatewayHost)
  if (rack === null || member === undefined) return null
  const { rackIndex } = rack
  const mac = gatewayMac(rackIndex, member.index, vlanTag)
  return { mac, any: anyGatewayMac(rackIndex, vlanTag) }
}

function addPeers(
  peers: Map<string, Peers>,
  prefixes: readonly Cidr[],
  sets: readonly [GroupTables, number][],
): void {
  if (sets.length === 0) return
  for (const cidr of prefixes) {
    const text = formatCidr(cidr)
    const known = peers.get(text) ?? { cidr, sets: new Map<GroupTables, number[]>() }
    for (const [tables, number] of sets) {
      known.sets.set(tables, [...(known.sets.get(tables) ?? []), number])
    }
    peers.set(text, known)
  }
}

function total(kept: ReadonlyMap<string, Kept>): WantedFlows {
  const units = new Map([...kept].map(([key, { unit }]) => [key, unit]))
  const all = [...units.values()]
  const count = all.reduce((sum, { flows }) => sum + flows.length, 0)
  return { units, count, digest: addDigests(all.map(({ digest }) => digest)) }
}
