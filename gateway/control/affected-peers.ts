// What the agreements with peer clouds touch: the devices at the border, what other racks reach
// over it, and the VPCs and routes of the peering itself. No other peer's, no other VPC's.

import { ownSide } from '../peering/agreed.ts'
import { remotesOfVpc } from '../peering/asked.ts'
import { farGuestKeys, guestKey } from '../peering/far-guests.ts'
import type { PeeringRecord } from '../store/network-records.ts'
import type { Records } from '../store/records.ts'
import type { View } from '../store/state.ts'
import { touchedByTarget } from './affected-tenants.ts'
import { type Batch, inRacks, racksWith, type Seen, type Touched, versions } from './touched.ts'

/** The record changes with all that is heard; what the operators say is rare, and ends it all. */
export function touchedByPeer(batch: Batch, change: Seen<Records['peer']>): Touched[] {
  const { before, after } = change
  return before && after && saidBy(before) === saidBy(after) ? [] : allOf(batch, change)
}

function saidBy({ number, terms, region, state, card, heard }: Records['peer']): string {
  const own = [number, terms, region, state]
  return JSON.stringify([...own, card.suspended, card.limits, heard.epoch])
}

function allOf(batch: Batch, change: Seen<Records['peer']>): Touched[] {
  const { view } = batch
  const numbers = versions(change).map(({ number }) => number)
  const peerings = view.by('peering', 'remote.uid', change.id)
  return [
    ...numbers.flatMap((number) => linksOf(view, number)),
    ...peerings.flatMap((one) => touchedVpc(batch, one)),
  ]
}

export function touchedByPlan(batch: Batch): Touched[] {
  return batch.view
    .all('peer')
    .flatMap((peer) => allOf(batch, { id: peer.uid, before: peer, after: peer }))
}

/** `key` is what follows the peer's uid. */
export function touchedByStatement(batch: Batch, uid: string, key: readonly string[]): Touched[] {
  const { view } = batch
  const [kind, id = ''] = key
  const guest = guestKey(key.join('/'))
  if (guest !== null) return inRacks(null, guest)
  if (kind !== 'border' && kind !== 'connection') return []
  const peering = kind === 'border' ? null : view.get('peering', id)
  const links = touchedLinks(view, uid)
  return peering === null ? links : [...links, ...touchedVpc(batch, peering)]
}

export function touchedByRemote(batch: Batch, change: Seen<PeeringRecord>): Touched[] {
  return versions(change).flatMap((one) => [
    ...touchedLinks(batch.view, one.remote?.uid ?? ''),
    ...touchedVpc(batch, one),
  ])
}

/** What a CC reports of its device for the peer with this number. */
export function touchedByLink(view: View, [number, rack, host]: readonly string[]): Touched[] {
  return [...linksOf(view, Number(number)), ...inRacks(null, `tunnel/${rack}/${host}`)]
}

/** A CC that comes or goes holds other tunnels or none. */
export function touchedByBorder(view: View, rack: string, host: string): Touched[] {
  return view.all('peer').flatMap(({ number }) => {
    const isThere = view.get('peer-link', String(number), rack, host) !== null
    return isThere ? linksOf(view, number) : inRacks([rack], `peer-link/${number}`)
  })
}

/** A VPC's blocks are those of its peerings. */
export function touchedByBlocks(view: View, vpc: string): Touched[] {
  const peerings = remotesOfVpc(view, vpc)
  const uids = new Set(peerings.map(({ remote }) => remote?.uid ?? ''))
  return [
    ...[...uids].flatMap((uid) => touchedLinks(view, uid)),
    ...peerings.flatMap(({ id, remote }) =>
      inRacks(null, ...farGuestKeys(view, remote?.uid ?? '', id)),
    ),
  ]
}

function touchedLinks(view: View, uid: string): Touched[] {
  const peer = view.get('peer', uid)
  return peer === null ? [] : linksOf(view, peer.number)
}

/** The peer's devices, and the tunnels by which other racks reach them. */
function linksOf(view: View, number: number): Touched[] {
  const links = view.under('peer-link', String(number))
  return inRacks(
    null,
    `peer-link/${number}`,
    ...links.map(({ rack, host }) => `tunnel/${rack}/${host}`),
  )
}

function touchedVpc(batch: Batch, peering: PeeringRecord): Touched[] {
  if (peering.remote === undefined) return []
  const { vpc } = ownSide(peering)
  const routed = { id: peering.id, before: null, after: { vpc } }
  return [
    ...inRacks(racksWith(batch, [vpc]), `vpc/${vpc}`),
    ...touchedByTarget(batch, routed),
    ...inRacks(null, ...farGuestKeys(batch.view, peering.remote.uid, peering.id)),
  ]
}
