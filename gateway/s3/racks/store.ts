// Blobs on the disks of a rack's hosts. A blob's id says on which disk it is, what hosts reported
// says on which host that disk is, and new ones go where there is room.

import type { BlobRef, BlobStore, ByteRange, StoredBlob } from '../../../common/blobs/blobs.ts'
import { diskOf, isBlobId } from '../../../common/blobs/disk.ts'
import type { Clock, RandomHex } from '../../../common/clock.ts'
import { codeOf, MalleeError } from '../../../common/errors.ts'
import { isStoring } from '../../federation/speaks-for.ts'
import type { DiskReport } from '../../store/disk-records.ts'
import type { HostRecord } from '../../store/records.ts'
import type { State } from '../../store/state.ts'
import type { MoreStores } from '../blobs/stores.ts'
import { askRead } from './ask-read.ts'
import { askDelete, askList, askVerify, askWrite } from './asks.ts'
import type { RackLanes } from './lanes.ts'
import type { Turn } from './turn.ts'

const PREFIX = 'rack:'

export interface RackStoreParts {
  readonly state: Pick<State, 'view' | 'fresh'>
  readonly lanes: Pick<RackLanes, 'take'>
  readonly clock: Clock
  readonly randomHex: RandomHex
}

/** The name of a rack's store, in references to blobs. Never changes. */
export function rackStore(rack: string): string {
  return `${PREFIX}${rack}`
}

/** Null when it is no store of a rack. */
export function rackOfStore(name: string): string | null {
  return name.startsWith(PREFIX) ? name.slice(PREFIX.length) : null
}

/** Racks with a host that has ever told of a disk. */
export function storingRacks({ view }: Pick<State, 'view'>): string[] {
  const hosts = view().all('host').filter(isStoring)
  return [...new Set(hosts.filter((one) => disksOf(one).length > 0).map(({ rack }) => rack))]
}

/** The stores of all racks. */
export function rackStores(parts: RackStoreParts): MoreStores {
  return {
    names: () => storingRacks(parts.state).map(rackStore),
    open: (name) => {
      const rack = rackOfStore(name)
      return rack === null ? null : openRackStore(parts, rack)
    },
  }
}

/** Beside what BlobStore says, all throw RackAway when a host is not reached, or is too slow. */
function openRackStore(parts: RackStoreParts, rack: string): BlobStore {
  const { state, lanes, clock, randomHex } = parts
  const store = rackStore(rack)
  return {
    name: store,
    write: async (bytes) => {
      let trouble: unknown = null
      for (const host of byRoom()) {
        const taken = await lanes.take(rack, host.host).catch((error: unknown) => {
          if (codeOf(error) !== 'RackAway') throw error
          trouble ??= error
          return null
        })
        if (taken === null) continue
        try {
          const written = await askWrite(turnOf(taken.lane, host.host), bytes)
          await checkTaken(host.host, written.id)
          return { store, ...written }
        } finally {
          taken.giveBack()
        }
      }
      throw trouble ?? noRoom()
    },
    read: (ref, range) => read(ref, range ?? { start: 0, end: ref.sizeBytes }),
    delete: async (id) => {
      // A disk that nobody has any more went with its host.
      const host = hostOf(id)
      if (host !== null) await asked(host, (turn) => askDelete(turn, id))
    },
    list,
    verify: async (id) => {
      const host = hostOf(id)
      if (host !== null) return asked(host, (turn) => askVerify(turn, id))
      throw new MalleeError('NotFound', `no host of rack ${rack} has the disk of blob ${id}`)
    },
  }

  /** A host that was taken out meanwhile, or is about to be, must not get what is acknowledged. */
  async function checkTaken(host: string, id: string): Promise<void> {
    const record = (await state.fresh()).get('host', rack, host)
    const isKnown = record !== null && disksOf(record).some((each) => each.id === diskOf(id))
    if (isKnown && record.storesNothing !== true) return
    throw new MalleeError('RackAway', `host ${host} of rack ${rack} is to keep nothing any more`)
  }

  async function* read(ref: BlobRef, range: ByteRange): AsyncGenerator<Uint8Array> {
    const host = mustHost(ref.id)
    const { lane, giveBack } = await lanes.take(rack, host)
    try {
      yield* askRead(turnOf(lane, host), ref, range)
    } finally {
      giveBack()
    }
  }

  async function* list(): AsyncGenerator<StoredBlob> {
    let trouble: unknown = null
    for (const { host } of hosts()) {
      try {
        const { lane, giveBack } = await lanes.take(rack, host)
        try {
          yield* askList(turnOf(lane, host))
        } finally {
          giveBack()
        }
      } catch (error) {
        // The others' are listed all the same.
        trouble ??= error
      }
    }
    if (trouble !== null) throw trouble
  }

  async function asked<T>(host: string, ask: (turn: Turn) => Promise<T>): Promise<T> {
    const { lane, giveBack } = await lanes.take(rack, host)
    try {
      return await ask(turnOf(lane, host))
    } finally {
      giveBack()
    }
  }

  function turnOf(lane: Turn['lane'], host: string): Turn {
    return { lane, clock, whose: `host ${host} of rack ${rack}` }
  }

  function hosts(): HostRecord[] {
    return state.view().withPrefix('host', `${rack}/`).filter(isStoring)
  }

  function hostOf(id: string): string | null {
    if (!isBlobId(id)) throw new MalleeError('NotFound', `${JSON.stringify(id)} is no blob`)
    const disk = diskOf(id)
    return hosts().find((one) => disksOf(one).some((each) => each.id === disk))?.host ?? null
  }

  function mustHost(id: string): string {
    const host = hostOf(id)
    if (host !== null) return host
    throw new MalleeError('RackAway', `no host of rack ${rack} has the disk of blob ${id}`)
  }

  /** Those with room, by chance and weight; those that are to leave come last. */
  function byRoom(): HostRecord[] {
    const left = hosts().filter((one) => roomOf(one) > 0)
    const ordered: HostRecord[] = []
    while (left.length > 0) {
      const total = left.reduce((sum, one) => sum + roomOf(one), 0)
      let at = (total * Number.parseInt(randomHex(4), 16)) / 2 ** 32
      const index = left.findIndex((one) => {
        at -= roomOf(one)
        return at < 0
      })
      ordered.push(...left.splice(Math.max(0, index), 1))
    }
    return [...ordered.filter((one) => !isLeaving(one)), ...ordered.filter(isLeaving)]
  }

  function noRoom(): MalleeError {
    if (hosts().some((one) => disksOf(one).length > 0)) {
      return new MalleeError('StoreFull', `no disk of rack ${rack} has room for objects`)
    }
    return new MalleeError('RackAway', `rack ${rack} has no disks for objects`)
  }
}

function disksOf({ status }: HostRecord): readonly DiskReport[] {
  return status?.disks ?? []
}

function roomOf(host: HostRecord): number {
  if (host.storesNothing === true || host.lostAtMs !== undefined) return 0
  const open = disksOf(host).filter(({ state }) => state === 'ok')
  return open.reduce((sum, { roomBytes }) => sum + roomBytes, 0)
}

function isLeaving({ cordoned, drain, status }: HostRecord): boolean {
  return cordoned === true || drain !== undefined || status?.draining === true
}
