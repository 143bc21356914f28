// What fades after a while: instances that were terminated an hour ago, client tokens of yesterday,
// deleted fleets, deregistered images that nothing runs from, imports that ended, private addresses
// that have rested,
// tags of rules that are in no security group any more, announcements of removals that nobody
// finished.

import type { FleetRecord } from '../store/compute-records.ts'
import type { ImageRecord, InstanceRecord } from '../store/records.ts'
import type { State, View } from '../store/state.ts'
import { forgetToken, TOKEN_MS } from './client-tokens.ts'
import { resourceTypeOf } from './ids.ts'
import { isOldImport } from './import-tasks.ts'
import { isFree } from './private-addresses.ts'
import { releaseInterfaces } from './release.ts'

/** EC2 shows a terminated instance for about an hour. */
const TERMINATED_MS = 3_600_000
/** A removal takes two transactions; whose announcement goes meanwhile announces it once more. */
const REMOVAL_MS = 3_600_000
/** Records of one transaction. */
const BATCH = 100

/** Deletes what is due at `nowMs`. Any number of gateways may do so at once. */
export async function purgeTerminated(state: State, nowMs: number): Promise<void> {
  const view = state.view()
  const instances = view.all('instance').filter((one) => isDue(one, nowMs))
  const tokens = view.all('client-token').filter((one) => nowMs - one.createdAtMs > TOKEN_MS)
  const images = unusedImages(view)
  const addresses = view.all('private-address').filter((one) => isFree(one, nowMs))
  for (const batch of batches(instances)) {
    await state.update(async (tx) => {
      for (const { id } of batch) {
        const instance = await tx.get('instance', id)
        if (instance === null || !isDue(instance, nowMs)) continue
        await releaseInterfaces(tx, instance)
        await tx.delete('tags', id)
        await tx.delete('profile-association', id)
        await tx.delete('instance-credentials', id)
        await tx.delete('instance', id)
      }
    })
  }
  for (const batch of batches(view.all('fleet').filter((one) => isOver(view, one, nowMs)))) {
    await state.update(async (tx) => {
      for (const { id } of batch) await tx.delete('fleet', id)
    })
  }
  for (const batch of batches(tokens)) {
    await state.update(async (tx) => {
      for (const token of batch) await forgetToken(tx, token)
    })
  }
  for (const batch of batches(addresses)) {
    await state.update(async (tx) => {
      for (const { address } of batch) {
        const record = await tx.get('private-address', address)
        if (record !== null && isFree(record, tx.nowMs())) {
          await tx.delete('private-address', address)
        }
      }
    })
  }
  for (const batch of batches(strayRuleTags(view))) {
    await state.update(async (tx) => {
      for (const rule of batch) await tx.delete('tags', rule)
    })
  }
  const removals = view.all('removal').filter((one) => nowMs - one.announcedAtMs > REMOVAL_MS)
  for (const batch of batches(removals)) {
    await state.update(async (tx) => {
      for (const { kind, id } of batch) await tx.delete('removal', kind, id)
    })
  }
  for (const batch of batches(view.all('import-task').filter((one) => isOldImport(one, nowMs)))) {
    await state.update(async (tx) => {
      for (const { id } of batch) {
        await tx.delete('import-task', id)
        await tx.delete('tags', id)
      }
    })
  }
  for (const batch of batches(images)) {
    await state.update(async (tx) => {
      for (const { id } of batch) await tx.delete('image', id)
    })
  }
}

function isDue({ state, terminatedAtMs }: InstanceRecord, nowMs: number): boolean {
  return state === 'terminated' && nowMs - (terminatedAtMs ?? 0) > TERMINATED_MS
}

/** What a deleted fleet launched is terminated, or past that. */
function isOver(view: View, fleet: FleetRecord, nowMs: number): boolean {
  if (fleet.deletedAtMs === null || nowMs - fleet.deletedAtMs <= TERMINATED_MS) return false
  const reservations = new Set(fleet.launched.map(({ reservation }) => reservation))
  const members = view.instancesOf('account', fleet.account)
  return members.every((one) => one.state === 'terminated' || !reservations.has(one.reservation))
}

/** Nothing is started from a deregistered image, so what is unused now stays unused. */
function unusedImages(view: View): ImageRecord[] {
  const gone = view.all('image').filter((image) => image.state === 'deregistered')
  if (gone.length === 0) return []
  const used = new Set(
    view
      .all('instance')
      .filter((one) => one.state !== 'terminated')
      .flatMap(({ image, kernel, ramdisk }) => [image, kernel, ramdisk]),
  )
  return gone.filter((image) => !used.has(image.id))
}

/**
 * Who tags a rule reads its group, and does not write it: a tag may come as the group goes. Ids of
 * rules are random and never come again, so what is in no group stays so.
 */
function strayRuleTags(view: View): string[] {
  const tagged = view
    .all('tags')
    .filter(({ resourceType }) => resourceType === resourceTypeOf('security-group-rule'))
  if (tagged.length === 0) return []
  const rules = view.all('security-group').flatMap((group) => group.rules.map((rule) => rule.id))
  const alive = new Set(rules)
  return tagged.map(({ resource }) => resource).filter((rule) => !alive.has(rule))
}

function* batches<T>(things: readonly T[]): Generator<readonly T[]> {
  for (let at = 0; at < things.length; at += BATCH) yield things.slice(at, at + BATCH)
}
