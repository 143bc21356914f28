// Where a host's volumes are when that is a thin pool of LVM. The pool is marked, as a folder is:
// no other host's volumes come into it, and none are made anew where those of before are missing.

import type { RandomHex } from '../../../common/clock.ts'
import { readIfThere, writeDurably } from '../../../common/durable-file.ts'
import { MalleeError, messageOf } from '../../../common/errors.ts'
import type { Exec } from '../../../common/exec.ts'
import type { Log } from '../../../common/log.ts'
import { LUKS_HEADER_BYTES } from '../../../common/volume-sizes.ts'
import * as lvm from '../../host/lvm.ts'
import { releaseMetadata } from '../../host/thin-metadata.ts'
import type { StoreSpace, VolumeBackend } from './backend.ts'
import { heldVolumes } from './ledger.ts'
import type { Place } from './place.ts'
import { markOf, newMark, ofOthers, type PoolOwner, unfit } from './pool-mark.ts'
import { isDraft, isOwn, thinBackend } from './thin.ts'
import { lookAt, type PoolSeen, poolSpace, ThinPool } from './thin-pool.ts'

export interface ThinPlaceOptions {
  readonly exec: Exec
  readonly log: Log
  readonly randomHex: RandomHex
  readonly pool: lvm.LvName
  readonly owner: PoolOwner
  /** Remembers the mark of the pool, in the agent's state. */
  readonly known: string
  /** Folder of the ledgers: without a volume in them any pool will do. */
  readonly ledgers: string
}

/** Sizes are whole GiB, with this before them when they are encrypted. */
const UNIT_BYTES = LUKS_HEADER_BYTES
const MARK_BYTES = 16

export function thinPlace(options: ThinPlaceOptions): Place {
  const { exec, log } = options
  const pool = new ThinPool(exec, options.pool)
  let backend: VolumeBackend | null = null
  let said = ''
  let turn: Promise<unknown> = Promise.resolve()

  return {
    backend: 'lvm-thin',
    open: () => inTurn(open),
    look: () => inTurn(look),
    leave: () => inTurn(() => leavePool(options)),
  }

  function inTurn<T>(step: () => Promise<T>): Promise<T> {
    const mine = turn.then(step)
    turn = mine.catch(() => undefined)
    return mine
  }

  async function look(): Promise<StoreSpace & { readonly snapshots: boolean }> {
    const seen = await pool.look()
    await ready(seen)
    return { ...poolSpace(await pool.last()), snapshots: true }
  }

  async function open(): Promise<VolumeBackend> {
    const tag = await ready(await pool.last())
    if (backend === null) {
      await begin(tag)
      backend = thinBackend({ exec, pool, tag })
    }
    await activate(tag)
    return backend
  }

  /** The pool's mark. Throws Unavailable when it is not the one for this host's volumes. */
  async function ready({ pool: now }: PoolSeen): Promise<string> {
    const why = unfit(now, options.pool, UNIT_BYTES)
    if (why !== null) throw new MalleeError('Unavailable', why)
    const tag = await keepMark(options, now, pool)
    // What is not active does not say how full it is.
    if (now.dataUsed === null) {
      await pool.change(() => lvm.activateLvs(exec, [options.pool]))
    }
    if (!now.failsWhenFull) await pool.change(() => lvm.failWhenFull(exec, options.pool))
    return tag
  }

  /** After a start: what an agent before had under way. */
  async function begin(tag: string): Promise<void> {
    await releaseMetadata(exec, options.pool)
    for (const draft of await own(tag, isDraft)) {
      await pool.change(() => lvm.removeLv(exec, draft))
    }
  }

  /** One that cannot be active is told by its look, and keeps no other. */
  async function activate(tag: string): Promise<void> {
    const names = await own(tag, ({ isActive }) => !isActive)
    if (names.length === 0) return
    let why = ''
    try {
      await pool.change(() => lvm.activateLvs(exec, names))
    } catch (error) {
      why = messageOf(error)
    }
    if (why !== '' && why !== said) log.error('volumes are not active', { why })
    if (why === '') log.info('volumes are active', { count: names.length })
    said = why
  }

  async function own(
    tag: string,
    which: (one: lvm.LogicalVolume) => boolean,
  ): Promise<lvm.LvName[]> {
    const { vg, lv } = options.pool
    const all = [...(await pool.last()).volumes.values()]
    return all
      .filter((one) => isOwn(one, lv, tag) && which(one))
      .map(({ name }) => ({ vg, lv: name }))
  }
}

/** Nothing is active any more, and the pool is free for others. */
async function leavePool({ exec, pool: name, known }: ThinPlaceOptions): Promise<void> {
  const tag = (await readIfThere(known))?.trim() ?? ''
  const now = await lookAt(exec, name).catch(() => null)
  if (tag === '' || now === null || !now.pool.tags.includes(tag)) return
  const active = [...now.volumes.values()].filter((one) => isOwn(one, name.lv, tag) && one.isActive)
  if (active.length > 0) {
    const names = active.map((one) => ({ vg: name.vg, lv: one.name }))
    await lvm.deactivateLvs(exec, names)
  }
  await lvm.setTag(exec, name, { tag, isOn: false })
}

async function keepMark(
  { exec, randomHex, pool: name, owner, known, ledgers }: ThinPlaceOptions,
  now: lvm.LogicalVolume,
  pool: ThinPool,
): Promise<string> {
  const [here, text] = [markOf(now, name), await readIfThere(known)]
  const wanted = text?.trim() ?? null
  if (here !== null && here.tag === wanted) return here.tag
  if (wanted !== null && (await heldVolumes(ledgers)).length > 0) {
    const why = here === null ? 'it has not their mark' : 'it has the mark of others'
    const what = `${lvm.lvText(name)} is not where the volumes are: ${why}`
    throw new MalleeError('Unavailable', what)
  }
  if (here !== null && !isOf(here, owner)) {
    throw new MalleeError('Unavailable', ofOthers(here, name))
  }
  const tag = here?.tag ?? newMark(owner, randomHex(MARK_BYTES))
  await writeDurably(known, `${tag}\n`)
  if (here === null) await pool.change(() => lvm.setTag(exec, name, { tag, isOn: true }))
  return tag
}

function isOf(mark: PoolOwner, { cloud, rack, host }: PoolOwner): boolean {
  return mark.cloud === cloud && mark.rack === rack && mark.host === host
}
