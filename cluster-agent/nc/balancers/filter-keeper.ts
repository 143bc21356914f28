// Keeps a namespace's filter as it shall be, and ends UDP flows to targets that get none any more:
// a client that never falls silent would else stay with a dead one for ever.

import type { Exec } from '../../../common/exec.ts'
import { formatAddress, mustAddress } from '../../../topology/cidr.ts'
import { applyRuleset, readTable, tableElements } from '../../host/nft.ts'
import { FILTER_TABLE, filterOf, isUdpMap, planFilter } from './filter.ts'
import type { NodeWanted, TargetWanted } from './wanted.ts'

/** As an NLB: a flow in which nobody said anything for so long is forgotten. */
const UDP_IDLE_S = 120

type Usable = (groupId: string) => readonly TargetWanted[]

export class FilterKeeper {
  readonly #inside: Exec
  #ruleset = ''
  /** Targets to which flows may go on: `address port`. */
  #flowing: ReadonlySet<string> = new Set()

  /** `inside` runs commands in the namespace. */
  constructor(inside: Exec) {
    this.#inside = inside
  }

  /** Looks at what stands there and mends it. */
  async pass(wanted: NodeWanted, usable: Usable): Promise<void> {
    const filter = filterOf(wanted, usable)
    const seen = await readTable(this.#inside, 'inet', FILTER_TABLE, { elements: true })
    const ruleset = planFilter(filter, seen)
    // A new agent: who was led there before it came?
    if (this.#ruleset === '' && seen !== null) this.#flowing = ledTo(seen)
    if (ruleset !== '') await applyRuleset(this.#inside, ruleset)
    if (ruleset === filter.ruleset && wanted.listeners.some(({ udp }) => udp)) await this.#setIdle()
    this.#ruleset = filter.ruleset
    await this.#endFlows(wanted, usable)
  }

  /** The same when something else shall stand there than the last time; cheap when not. */
  async follow(wanted: NodeWanted, usable: Usable): Promise<void> {
    if (filterOf(wanted, usable).ruleset !== this.#ruleset) await this.pass(wanted, usable)
  }

  async #setIdle(): Promise<void> {
    const keys = ['nf_conntrack_udp_timeout', 'nf_conntrack_udp_timeout_stream']
    const values = keys.map((key) => `net.netfilter.${key}=${UDP_IDLE_S}`)
    await this.#inside(['sysctl', '--quiet', '--write', ...values])
  }

  async #endFlows(wanted: NodeWanted, usable: Usable): Promise<void> {
    const flowing = flowingTargets(wanted, usable)
    const ended = [...this.#flowing].filter((target) => !flowing.has(target))
    for (const target of ended) {
      const [address = '', port = ''] = target.split(' ')
      const flows = ['-p', 'udp', '--reply-src', address, '--reply-port-src', port]
      const name = address.includes(':') ? 'ipv6' : 'ipv4'
      // Exits 1 when there is none.
      await this.#inside(['conntrack', '-D', '-f', name, ...flows], { okCodes: [0, 1] })
    }
    this.#flowing = flowing
  }
}

/** Where a table leads UDP. */
function ledTo(table: string): Set<string> {
  const maps = [...tableElements(table)].filter(([name]) => isUdpMap(name))
  const places = maps.flatMap(([, elements]) => elements)
  return new Set(places.map((place) => (place.split(' : ')[1] ?? '').replace(' . ', ' ')))
}

/**
 * Those that get new flows, and those that keep what they have: that are draining, or ill where the
 * group does not mind.
 */
function flowingTargets({ listeners, groups }: NodeWanted, usable: Usable): Set<string> {
  const ids = new Set(listeners.filter(({ udp }) => udp).map(({ groupId }) => groupId))
  const targets = groups
    .filter(({ id }) => ids.has(id))
    .flatMap(({ id, targets: all, endsUnwell }) => [
      ...usable(id),
      ...all.filter(({ draining }) => draining || !endsUnwell),
    ])
  return new Set(
    targets.map(({ address, port }) => `${formatAddress(mustAddress(address))} ${port}`),
  )
}
