// Where there is room: every host with what instances may still take of it, and the choice of hosts
// for a request, safe against others who choose at the same moment.

import {
  explain,
  type Place,
  type PlaceHost,
  place,
  type Resources,
} from '../../topology/placement.ts'
import {
  type GroupPlace,
  type GroupRule,
  groupTrouble,
  placeInGroup,
} from '../../topology/placement-groups.ts'
import { ApiError } from '../aws/api-error.ts'
import { ephemeralGib } from '../ebs/host-disks.ts'
import type { PlacementGroupRecord } from '../store/compute-records.ts'
import type { HostRecord, InstanceRecord } from '../store/records.ts'
import type { State, Transaction, View } from '../store/state.ts'
import { instanceType } from './instance-types.ts'
import { isRackConnected } from './zones.ts'

/** The mirror catches up within milliseconds: more turns than this are a fault. */
export const MAX_TURNS = 10
/** Hosts whose reason a refused caller gets to read. */
const MAX_REASONS = 5

export interface HostChoice {
  readonly need: Resources
  readonly minCount: number
  readonly maxCount: number
  /** Racks that an instance may go to. */
  readonly racks: ReadonlySet<string>
  /** The placement group as the transaction read it, and the partition that is asked for. */
  readonly group: {
    readonly record: PlacementGroupRecord
    readonly partition: number | null
    /** An instance of the group that is to leave its host for another. */
    readonly moving?: string
  } | null
}

/** Every host that may have instances, with what is left of it. */
export function placeHosts(view: View): PlaceHost[] {
  const racks = new Map(view.all('rack').map((rack) => [rack.name, rackTrouble(view, rack.name)]))
  return view
    .all('host')
    .filter((host) => host.roles.includes('nc'))
    .map((host) => placeHost(view, host, racks.get(host.rack) ?? null))
}

/**
 * Hosts for minCount to maxCount instances. The choice is of what the mirror shows; that it shows
 * all there is, on these hosts and in the placement group, becomes a condition of the transaction.
 * Throws InsufficientInstanceCapacity (500) when minCount do not fit.
 */
export async function chooseHosts(
  tx: Transaction,
  state: State,
  choice: HostChoice,
): Promise<GroupPlace[]> {
  const { group } = choice
  for (let turn = 0; turn < MAX_TURNS; turn += 1) {
    const view = await state.fresh()
    // The view moves on while we wait: what it says now is read in one go.
    const hosts = placeHosts(view).filter((host) => choice.racks.has(host.rack))
    const places = choose(view, hosts, choice)
    const seen = new Map(places.map((one) => [nameOf(one), placedOf(view, one)]))
    if (!isGroupSeen(view, group) || !(await claim(tx, places, seen))) continue
    if (group !== null) await countLaunch(tx, group.record)
    return places
  }
  throw busy()
}

/** Launches into one group meet at its record, however far apart their hosts are. */
export function isGroupSeen(view: View, group: HostChoice['group']): boolean {
  if (group === null) return true
  const { id, launches } = group.record
  return (view.get('placement-group', id)?.launches ?? -1) >= launches
}

export async function countLaunch(tx: Transaction, group: PlacementGroupRecord): Promise<void> {
  await tx.put('placement-group', [group.id], { ...group, launches: group.launches + 1 })
}

/** Places among `hosts`, as chooseHosts has them. */
export function choose(
  view: View,
  hosts: readonly PlaceHost[],
  { need, minCount, maxCount, group }: Omit<HostChoice, 'racks'>,
): GroupPlace[] {
  const rule = group === null ? null : ruleOf(view, group)
  const places =
    rule === null
      ? place(hosts, need, { minCount, maxCount, rack: null, spread: true })
      : placeInGroup(hosts, need, { minCount, maxCount }, rule)
  if (places.ok) return places.value.map((one) => ({ partition: null, ...one }))
  const minded = rule === null ? hosts : hosts.map((host) => minding(host, rule))
  const reasons = explain(minded, need)
  const more = reasons.length - MAX_REASONS
  const text =
    reasons.length === 0 ? 'no rack has a host' : reasons.slice(0, MAX_REASONS).join('; ')
  const inGroup =
    group === null ? '' : ` in the ${group.record.strategy} group ${group.record.name}`
  throw noRoom(
    `No room for ${minCount} of that instance type${inGroup}: ${text}${more > 0 ? `; and ${more} more` : ''}`,
  )
}

function minding(host: PlaceHost, rule: GroupRule): PlaceHost {
  const why = host.eligible ? groupTrouble(host, rule) : null
  return why === null ? host : { ...host, eligible: false, why }
}

function ruleOf(
  view: View,
  { record, partition, moving }: NonNullable<HostChoice['group']>,
): GroupRule {
  const { strategy, level, partitions } = record
  const staying = membersOf(view, record).filter(({ id }) => id !== moving)
  const members = staying.map((one) => ({
    rack: one.rack,
    host: one.host,
    partition: one.group?.partition ?? null,
  }))
  return { strategy, level, partitions, partition, members }
}

/** The instances of a placement group: all that are not terminated. */
export function membersOf(
  view: View,
  { id, account }: Pick<PlacementGroupRecord, 'id' | 'account'>,
): InstanceRecord[] {
  return view
    .instancesOf('account', account)
    .filter((one) => one.group?.id === id && one.state !== 'terminated')
}

export function noRoom(text: string): ApiError {
  return new ApiError('InsufficientInstanceCapacity', text, 500)
}

export function busy(): ApiError {
  return new ApiError('Unavailable', 'The cloud is busy placing instances; try again', 503)
}

/** False when a host left, was cordoned, or got an instance that the view had not shown yet. */
export async function claim(
  tx: Transaction,
  places: readonly Place[],
  seen: ReadonlyMap<string, number>,
): Promise<boolean> {
  const counts = new Map<string, number>()
  for (const one of places) {
    const name = nameOf(one)
    const host = await tx.get('host', one.rack, one.host)
    if (host === null || host.cordoned === true) return false
    const stored = (await tx.get('placed', one.rack, one.host))?.count ?? 0
    if (counts.get(name) === undefined && stored > (seen.get(name) ?? 0)) return false
    counts.set(name, (counts.get(name) ?? stored) + 1)
  }
  for (const { rack, host } of places) {
    const count = counts.get(nameOf({ rack, host }))
    if (count !== undefined) await tx.put('placed', [rack, host], { rack, host, count })
  }
  return true
}

export function placedOf(view: View, { rack, host }: Place): number {
  return view.get('placed', rack, host)?.count ?? 0
}

/** The instances that are on a host: all that are not terminated. */
export function placedOn(view: View, { rack, host }: Place): InstanceRecord[] {
  return view
    .instancesOf('host', host)
    .filter((one) => one.rack === rack && one.state !== 'terminated')
}

/** How large its root on its host is: that of the type that it was launched with; 0 of a volume. */
export function rootGibOf(view: View, { diskGib, type }: InstanceRecord): number {
  return diskGib ?? instanceType(view, type)?.diskGib ?? 0
}

export function nameOf({ rack, host }: Place): string {
  return `${rack}/${host}`
}

function placeHost(view: View, host: HostRecord, troubleOfRack: string | null): PlaceHost {
  const instances = placedOn(view, host)
  const used = { vcpus: 0, memoryMib: 0, diskGib: 0 }
  for (const record of instances) {
    used.diskGib += rootGibOf(view, record) + ephemeralGib(record.ephemeral)
    const spec = instanceType(view, record.type)
    // What is stopped has its disk there and nothing else.
    if (spec === null || record.state === 'stopped') continue
    used.vcpus += spec.vcpus
    used.memoryMib += spec.memoryMib
  }
  const why = troubleOfRack ?? hostTrouble(host)
  return {
    rack: host.rack,
    host: host.host,
    free: {
      vcpus: (host.status?.vcpus ?? 0) - used.vcpus,
      memoryMib: (host.status?.memoryMib ?? 0) - used.memoryMib,
      diskGib: (host.status?.diskGib ?? 0) - used.diskGib,
    },
    instances: instances.length,
    eligible: why === null,
    why: why ?? '',
  }
}

/** As the end of a sentence about the host; null when it takes instances. */
function hostTrouble({ status, cordoned, drain }: HostRecord): string | null {
  if (status?.connected !== true) return 'is not connected'
  if (status.draining || drain !== undefined) return 'is being drained'
  return cordoned === true ? 'is cordoned' : null
}

/** The same of all hosts of a rack. */
function rackTrouble(view: View, rack: string): string | null {
  if (view.get('rack', rack)?.state === 'draining') return 'is in a rack that is being drained'
  return isRackConnected(view, rack) ? null : 'is in a rack that is not connected'
}
