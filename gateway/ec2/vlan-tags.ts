// The VLAN tag and the VNI of a network. In scope `cloud` a tag means the same network in every
// rack; in scope `rack` every rack has tags of its own, and a network is told by its VNI.

import { STORAGE_VLAN_TAG, VLAN_TAGS, VNIS } from '../../topology/ranges.ts'
import { ApiError } from '../aws/api-error.ts'
import { EVERY_RACK } from '../store/network-records.ts'
import type { SubnetRecord } from '../store/records.ts'
import type { State, Transaction, View } from '../store/state.ts'
import { cloudOf } from './cloud.ts'
import { VLAN_TAG_POOL, VNI_POOL } from './pools.ts'

/** What one transaction may carry over: of more, those that have rested longest rest no more. */
const MAX_RESTING = 1_000
/** Records of one transaction. */
const BATCH = 500

export type NetworkNumbers = Pick<SubnetRecord, 'vlanTag' | 'rackTags' | 'vni'>

/** Throws VlanTagLimitExceeded when there is no tag left. */
export async function takeNumbers(
  tx: Transaction,
  state: State,
  rack: string,
): Promise<NetworkNumbers> {
  // Every network takes a VNI: who has it first is seen by those that come after.
  const vni = await tx.pool(VNI_POOL).take(VNIS)
  if (vni === null) throw noneLeft('Every VNI of the cloud was used.')
  const { vlanScope = 'cloud' } = await cloudOf(tx)
  if (vlanScope === 'cloud') {
    const vlanTag = await takeTag(tx)
    if (vlanTag !== null) return { vlanTag, rackTags: {}, vni }
    throw noneLeft(
      `All ${VLAN_TAGS.last - VLAN_TAGS.first + 1} VLAN tags of the cloud are taken or rest for a ` +
        "day after their subnet was deleted. The operator can give every rack tags of its own with 'mallee cloud set --vlan-scope rack'.",
    )
  }
  const view = await state.fresh()
  return { ...tagsIn(view, rack, tx.nowMs()), vni }
}

/** Once that of storage, which earlier versions had in the pool: nobody ever gives it back. */
async function takeTag(tx: Transaction): Promise<number | null> {
  const pool = tx.pool(VLAN_TAG_POOL)
  const band = { ...VLAN_TAGS, last: STORAGE_VLAN_TAG }
  const tag = await pool.take(band)
  return tag === STORAGE_VLAN_TAG ? await pool.take(band) : tag
}

/** Gives the tags of a subnet that goes; its VNI is nobody's for ever. */
export async function giveNumbers(tx: Transaction, subnet: SubnetRecord): Promise<void> {
  const { vlanScope = 'cloud' } = await cloudOf(tx)
  const { vlanTag, rackTags } = subnet
  if (vlanScope === 'cloud') return await tx.pool(VLAN_TAG_POOL).give(vlanTag)
  if (vlanTag > 0) await rest(tx, subnet.rack, vlanTag)
  for (const [rack, tag] of Object.entries(rackTags)) await rest(tx, rack, tag)
}

/** From now on racks have tags of their own. Networks keep those that they have. */
export async function useRackTags(tx: Transaction): Promise<void> {
  const cloud = await cloudOf(tx)
  if (cloud.vlanScope === 'rack') return
  await tx.put('cloud', ['self'], { ...cloud, vlanScope: 'rack' })
  for (const { n, freedAtMs } of await tx.pool(VLAN_TAG_POOL).freed(MAX_RESTING)) {
    if (tx.nowMs() - freedAtMs < VLAN_TAGS.quarantineMs) {
      await tx.put('resting-tag', [EVERY_RACK, String(n)], { rack: EVERY_RACK, tag: n, freedAtMs })
    }
  }
}

/** Stretched subnets without a tag in a rack, for one that joined after them. */
export function tagless(view: View): { subnet: string; rack: string }[] {
  const stretched = view.subnetsOf('rack', EVERY_RACK).filter((one) => one.vlanTag === 0)
  if (stretched.length === 0) return []
  const racks = view.all('rack').map((rack) => rack.name)
  return stretched.flatMap(({ id, rackTags }) =>
    racks.filter((rack) => rackTags[rack] === undefined).map((rack) => ({ subnet: id, rack })),
  )
}

/** Throws VlanTagLimitExceeded when the rack has no tag left. */
export async function addRackTag(
  tx: Transaction,
  state: State,
  { subnet, rack }: { subnet: string; rack: string },
): Promise<void> {
  await tx.pool(VNI_POOL).watch()
  const record = await tx.get('subnet', subnet)
  if (record === null || (await tx.get('rack', rack)) === null) return
  if (record.rackTags[rack] !== undefined) return
  const { vlanTag } = tagsIn(await state.fresh(), rack, tx.nowMs())
  const rackTags = { ...record.rackTags, [rack]: vlanTag }
  await tx.put('subnet', [subnet], { ...record, rackTags })
}

/** Gives back the tags that stretched subnets have in a rack that leaves. */
export async function leaveStretchedSubnets(
  tx: Transaction,
  view: View,
  rack: string,
): Promise<void> {
  for (const { id } of view.subnetsOf('rack', EVERY_RACK)) {
    const subnet = await tx.get('subnet', id)
    const { [rack]: tag, ...rackTags } = subnet?.rackTags ?? {}
    if (subnet === null || tag === undefined) continue
    await rest(tx, rack, tag)
    await tx.put('subnet', [id], { ...subnet, rackTags })
  }
}

/** Deletes tags that have rested. */
export async function forgetRestedTags(state: State, nowMs: number): Promise<void> {
  const due = state
    .view()
    .all('resting-tag')
    .filter((one) => nowMs - one.freedAtMs >= VLAN_TAGS.quarantineMs)
    .slice(0, BATCH)
  if (due.length === 0) return
  await state.update(async (tx) => {
    for (const { rack, tag } of due) {
      const now = await tx.get('resting-tag', rack, String(tag))
      if (now !== null && nowMs - now.freedAtMs >= VLAN_TAGS.quarantineMs) {
        await tx.delete('resting-tag', rack, String(tag))
      }
    }
  })
}

async function rest(tx: Transaction, rack: string, tag: number): Promise<void> {
  await tx.put('resting-tag', [rack, String(tag)], { rack, tag, freedAtMs: tx.nowMs() })
}

/** A stretched network has one tag everywhere as long as there is one, which late racks get too. */
function tagsIn(
  view: View,
  rack: string,
  nowMs: number,
): Pick<SubnetRecord, 'vlanTag' | 'rackTags'> {
  if (rack !== EVERY_RACK) return { vlanTag: ownTag(view, rack, nowMs), rackTags: {} }
  const racks = view.all('rack').map((one) => one.name)
  const everywhere = lowestFree(new Set(racks.flatMap((one) => [...usedTags(view, one, nowMs)])))
  if (everywhere !== null && !isStretchedTag(view, everywhere)) {
    return { vlanTag: everywhere, rackTags: {} }
  }
  const tags = racks.map((one) => [one, ownTag(view, one, nowMs)] as const)
  return { vlanTag: 0, rackTags: Object.fromEntries(tags) }
}

function ownTag(view: View, rack: string, nowMs: number): number {
  const tag = lowestFree(usedTags(view, rack, nowMs))
  if (tag === null) throw noneLeft(`All VLAN tags of the rack ${rack} are taken or at rest.`)
  return tag
}

function usedTags(view: View, rack: string, nowMs: number): Set<number> {
  const used = new Set<number>()
  for (const subnet of view.subnetsOf('rack', rack)) used.add(subnet.vlanTag)
  for (const subnet of view.subnetsOf('rack', EVERY_RACK)) {
    used.add(subnet.rackTags[rack] ?? subnet.vlanTag)
  }
  for (const at of [rack, EVERY_RACK]) {
    for (const { tag, freedAtMs } of view.withPrefix('resting-tag', `${at}/`)) {
      if (nowMs - freedAtMs < VLAN_TAGS.quarantineMs) used.add(tag)
    }
  }
  return used
}

function isStretchedTag(view: View, tag: number): boolean {
  return view.subnetsOf('rack', EVERY_RACK).some((one) => one.vlanTag === tag)
}

function lowestFree(used: ReadonlySet<number>): number | null {
  for (let tag = VLAN_TAGS.first; tag <= VLAN_TAGS.last; tag += 1) if (!used.has(tag)) return tag
  return null
}

function noneLeft(text: string): ApiError {
  return new ApiError('VlanTagLimitExceeded', text)
}
