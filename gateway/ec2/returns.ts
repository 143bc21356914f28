// Where stopped instances start again: where their disk is. One that boots from a volume starts on
// another host of its rack when its own takes none.

import {
  explain,
  type Place,
  type PlaceHost,
  type Resources,
  roomFor,
} from '../../topology/placement.ts'
import type { State, Transaction, View } from '../store/state.ts'
import {
  busy,
  choose,
  claim,
  countLaunch,
  type HostChoice,
  isGroupSeen,
  MAX_TURNS,
  nameOf,
  noRoom,
  placedOf,
  placeHosts,
} from './capacity.ts'

/** An instance that is to start again. */
export interface Return {
  readonly place: Place
  /** On its own host, where its disks are. */
  readonly need: Resources
  /** Elsewhere, and with whom; null: it cannot. */
  readonly move: { readonly need: Resources; readonly group: HostChoice['group'] } | null
}

/**
 * Room for each, in their order: safe like chooseHosts. Throws InsufficientInstanceCapacity (500)
 * when one of them fits nowhere, and then there is room for none.
 */
export async function claimReturns(
  tx: Transaction,
  state: State,
  returns: readonly Return[],
): Promise<Place[]> {
  for (let turn = 0; turn < MAX_TURNS; turn += 1) {
    const view = await state.fresh()
    const places = placesFor(view, returns)
    const seen = new Map(places.map((one) => [nameOf(one), placedOf(view, one)]))
    const moves = returns.filter((one, i) => isElsewhere(one, places[i]))
    if (!moves.every(({ move }) => isGroupSeen(view, move?.group ?? null))) continue
    if (!(await claim(tx, places, seen))) continue
    for (const { move } of moves) if (move?.group) await countLaunch(tx, move.group.record)
    return places
  }
  throw busy()
}

function isElsewhere({ place }: Return, at: Place | undefined): boolean {
  return at !== undefined && nameOf(at) !== nameOf(place)
}

function placesFor(view: View, returns: readonly Return[]): Place[] {
  const hosts = new Map(placeHosts(view).map((host) => [nameOf(host), host]))
  return returns.map((one) => {
    const own = hosts.get(nameOf(one.place))
    const isBack = own?.eligible === true && roomFor(own.free, one.need) >= 1
    if (!isBack && one.move === null) {
      const reasons = own === undefined ? [] : explain([own], one.need)
      throw noRoom(`No room to start the instance: ${reasons.join('; ') || 'its host is gone'}`)
    }
    const at = isBack || one.move === null ? one.place : elsewhere(view, hosts, one, one.move)
    const taken = hosts.get(nameOf(at))
    if (taken !== undefined) {
      const need = isBack ? one.need : (one.move?.need ?? one.need)
      hosts.set(nameOf(at), { ...taken, free: without(taken.free, need) })
    }
    return { rack: at.rack, host: at.host }
  })
}

function elsewhere(
  view: View,
  hosts: ReadonlyMap<string, PlaceHost>,
  { place: own }: Return,
  { need, group }: NonNullable<Return['move']>,
): Place {
  const others = [...hosts.values()].filter((one) => one.rack === own.rack && one.host !== own.host)
  const [found] = choose(view, others, { need, minCount: 1, maxCount: 1, group })
  if (found === undefined) throw noRoom('No room to start the instance')
  return found
}

function without(free: Resources, need: Resources): Resources {
  return {
    vcpus: free.vcpus - need.vcpus,
    memoryMib: free.memoryMib - need.memoryMib,
    diskGib: free.diskGib - need.diskGib,
  }
}
