// Reads the bytes of small objects, which are in the index itself, as the scrubber reads blobs:
// what the store has lost is found, and whose it is.

import { codeOf, messageOf } from '../../../common/errors.ts'
import type { StoredVersion } from '../index/garbage.ts'
import { inlineBytes } from '../index/inline.ts'
import { damageKey, inlineKey, scrubKey } from '../index/keys.ts'
import { type Damage, INDEX, lastRound, type ScrubParts, type ScrubRound } from './scrub.ts'

/** Rows between two notes of where a round is. */
const PAGE = 200
/** Where versions are: one after the other, as they sort. */
const PREFIXES = ['object/', 'version/'] as const

/** Goes on with the round under way until its end; begins one when the last has ended. */
export async function scrubIndex(parts: ScrubParts): Promise<ScrubRound> {
  const { store, clock, log } = parts
  const before = await lastRound(store, INDEX)
  const begun = { startedAtMs: clock.nowMs(), endedAtMs: null, after: '', blobs: 0, skipped: 0 }
  let round: ScrubRound = before === null || before.endedAtMs !== null ? begun : before
  for (const prefix of PREFIXES.slice(round.after.startsWith(PREFIXES[1]) ? 1 : 0)) {
    for (let more = true; more; ) {
      const after = round.after.startsWith(prefix) ? round.after : prefix
      const page = await store.list(prefix, { after, limit: PAGE })
      let blobs = 0
      for (const { value } of page.entries) {
        const version = JSON.parse(value) as StoredVersion
        // What is kept comes once more, among the versions.
        const isTwice = version.isKept === true && prefix === 'object/'
        if (version.inlineId === undefined || isTwice) continue
        await look(parts, version, version.inlineId)
        blobs += 1
      }
      more = page.more
      round = { ...round, after: page.entries.at(-1)?.key ?? after, blobs: round.blobs + blobs }
      await store.txn([], [{ put: scrubKey(INDEX), value: JSON.stringify(round) }])
    }
  }
  round = { ...round, endedAtMs: clock.nowMs() }
  await store.txn([], [{ put: scrubKey(INDEX), value: JSON.stringify(round) }])
  log.info('objects scrubbed', { store: INDEX, ...round })
  return round
}

async function look(
  { store, clock, log, pace }: ScrubParts,
  { bucket, key, sizeBytes }: StoredVersion,
  id: string,
): Promise<void> {
  const at = damageKey(INDEX, id)
  const row = await store.get(inlineKey(bucket, id))
  // Deleted meanwhile.
  if (row === null) return
  try {
    inlineBytes(id, row.value)
    await pace(sizeBytes)
    if ((await store.get(at)) !== null) await store.txn([], [{ del: at }])
  } catch (error) {
    if (codeOf(error) !== 'DataCorrupt') throw error
    const what = messageOf(error)
    const found: Damage = { store: INDEX, blob: id, bucket, key, what, foundAtMs: clock.nowMs() }
    await store.txn(
      [{ key: inlineKey(bucket, id), version: row.version }],
      [{ put: at, value: JSON.stringify(found) }],
    )
    log.error('object damaged', { ...found, error })
  }
}
