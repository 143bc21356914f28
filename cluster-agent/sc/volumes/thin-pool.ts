// A thin pool as it was when it was last looked at. A pass begins with a look, and all that it
// asks about volumes is answered from that: one lvs, however many there are. What we change
// ourselves is looked at anew.

import { MalleeError } from '../../../common/errors.ts'
import type { Exec } from '../../../common/exec.ts'
import { type LogicalVolume, type LvName, listLvs, lvText } from '../../host/lvm.ts'
import type { StoreSpace } from './backend.ts'

export interface PoolSeen {
  readonly pool: LogicalVolume
  /** All of the group, by name: also those of others. */
  readonly volumes: ReadonlyMap<string, LogicalVolume>
}

/** To delete something, and for what snapshots of before still need. */
const RESERVE_BYTES = 1 << 30
const RESERVE_SHARE = 1 / 20

export class ThinPool {
  readonly name: LvName
  readonly #exec: Exec
  #seen: Promise<PoolSeen> | null = null

  constructor(exec: Exec, name: LvName) {
    this.#exec = exec
    this.name = name
  }

  /** As it is now. Throws Unavailable when there is no such pool, or no lvm2. */
  look(): Promise<PoolSeen> {
    this.#seen = null
    return this.last()
  }

  /** As above, as of the last look. */
  last(): Promise<PoolSeen> {
    if (this.#seen !== null) return this.#seen
    const seen = lookAt(this.#exec, this.name)
    this.#seen = seen
    seen.catch(() => {
      if (this.#seen === seen) this.#seen = null
    })
    return seen
  }

  /** Whether it goes well or not, nothing is as it was. */
  async change(run: () => Promise<void>): Promise<void> {
    try {
      await run()
    } finally {
      this.#seen = null
    }
  }
}

/** Less the reserve. Metadata that is full stops a pool as data does: its share left counts too. */
export function poolSpace({ pool }: PoolSeen): StoreSpace {
  const { sizeBytes, dataUsed, metadataUsed, health } = pool
  const reserve = Math.min(RESERVE_BYTES, sizeBytes * RESERVE_SHARE)
  const data = sizeBytes * (1 - (dataUsed ?? 0)) - reserve
  const metadata = sizeBytes * (1 - (metadataUsed ?? 0) - RESERVE_SHARE)
  const room = health === '' ? Math.min(data, metadata) : 0
  return { sizeBytes, roomBytes: Math.max(0, Math.floor(room)) }
}

/** Throws Unavailable that says what is wrong with its name. */
export async function lookAt(exec: Exec, name: LvName): Promise<PoolSeen> {
  const all = await listLvs(exec, name.vg).catch((error: unknown) => {
    if (!(error instanceof MalleeError) || error.code !== 'NotFound') throw error
    throw new MalleeError('Unavailable', error.message, { cause: error })
  })
  const volumes = new Map(all.map((one) => [one.name, one]))
  const pool = volumes.get(name.lv)
  if (pool === undefined) {
    throw new MalleeError('Unavailable', `there is no ${name.lv} in the volume group ${name.vg}`)
  }
  if (pool.kind === 'thin-pool') return { pool, volumes }
  throw new MalleeError('Unavailable', `${lvText(name)} is no thin pool: it is ${pool.kind}`)
}
