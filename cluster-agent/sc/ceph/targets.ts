// Volumes in Ceph as their clients reach them: QEMU opens an image by itself, as a user that is of
// one attachment and may use that image alone. Who is thrown out loses the user, and its processes
// are put on the cluster's blocklist: a ticket that one holds is good for an hour without the user.
// A process of a user that is gone is put there whenever it is seen, by every host of the pool.

import { MalleeError, messageOf } from '../../../common/errors.ts'
import type { Log } from '../../../common/log.ts'
import * as ceph from '../../host/ceph.ts'
import { cephxKey } from '../../host/cephx.ts'
import { listRbdClients, makeRbdNamespace } from '../../host/rbd.ts'
import { parseVolumeId, type VolumeId } from '../volumes/backend.ts'
import {
  type Served as Look,
  LUN,
  type ServedTarget,
  type TargetName,
  type VolumeTargets,
} from '../volumes/targets.ts'
import type { Grant } from '../volumes/wanted.ts'
import { type CephPool, imageNamed } from './pool.ts'
import { Recent } from './recent.ts'
import {
  type LetIn,
  listServed,
  readServed,
  removeServed,
  type Served,
  writeServed,
} from './served.ts'
import { closedCaps, ENTITIES, entityOf, fullCaps, isOpen, volumeOf } from './users.ts'

export interface CephTargetsParts {
  readonly pool: CephPool
  readonly log: Log
  /** Folder of who was let in: lost, those are thrown out. */
  readonly served: string
  /** Where a volume's bytes are said to be. */
  readonly path: (id: VolumeId) => string
}

/** Far longer than a ticket (auth_service_ticket_ttl) is good for. */
const BLOCK_S = 86_400
/** Until one that is still seen is put there again. */
const AGAIN_MS = (BLOCK_S * 1000) / 2
/** How long somebody may be connected until that is seen. */
const SESSIONS_MS = 10_000
const FENCE_MS = 15_000
const POLL_MS = 100
/** Of one attachment: its guest was started so often. */
const MAX_CLIENTS = 256

interface Who {
  readonly sessions: readonly ceph.CephSession[]
  readonly users: readonly ceph.CephUser[]
}

export function cephTargets(parts: CephTargetsParts): VolumeTargets {
  const { pool, served: folder, log } = parts
  const { exec, clock, place, images } = pool
  const who = new Recent(clock, SESSIONS_MS, ask)
  /** When an address was put on the list. */
  const blocked = new Map<string, number>()
  let hasNamespace = false

  return {
    direct: { revoke: (target, user) => withdraw(volumeOfTarget(target), [user]) },
    trouble: async () => {
      try {
        await ready()
        return null
      } catch (error) {
        return `Ceph cannot be used: ${messageOf(error)}`
      }
    },
    start: ready,
    look,
    forget: async () => undefined,
    serve: async ({ tid, iqn }) => {
      await writeServed(folder, volumeOfTarget({ iqn }), { version: 1, tid, iqn, lets: [] })
    },
    grant,
    withdraw: (target) => withdraw(volumeOfTarget(target), null),
    // Who is locked out gets errors by itself.
    retire: (target) => withdraw(volumeOfTarget(target), null),
    still: async (volumes, run) => {
      for (const id of volumes) {
        const strangers = await strangersOf(id, (await fresh()).sessions)
        if (strangers.length === 0) continue
        const why = `${id} is in use: in Ceph, snapshots of one moment of several volumes are had only while their instances are stopped`
        throw new MalleeError('NotSupported', why)
      }
      return run()
    },
    resume: async () => undefined,
    process: async () => null,
    stop: async () => {
      for (const id of await listServed(folder)) await withdraw(id, null)
    },
  }

  async function ready(): Promise<void> {
    await pool.monitors.get()
    if (!hasNamespace) await makeRbdNamespace(exec, place)
    hasNamespace = true
  }

  async function look(): Promise<Look> {
    const { users, sessions } = await who.get()
    const mine = new Set(await listServed(folder))
    for (const id of mine) await remember(id, sessions)
    const ids = new Set([...mine, ...users.flatMap((user) => volumeOf(place, user) ?? [])])
    const targets: ServedTarget[] = []
    for (const id of ids) {
      const served = await readServed(folder, id)
      const of = users.filter((user) => volumeOf(place, user) === id)
      targets.push(targetOf(id, served, of))
    }
    return { targets, leftovers: [] }
  }

  function targetOf(
    id: VolumeId,
    served: Served | null,
    users: readonly ceph.CephUser[],
  ): ServedTarget {
    const open = new Set(users.filter(isOpen).map(({ entity }) => entity))
    const lets = (served?.lets ?? []).filter(({ user }) => open.has(entityOf(user)))
    const lun = { lun: LUN, serial: id.replace('-', ''), file: parts.path(id), thin: true }
    return {
      tid: served?.tid ?? 0,
      // What was let in by nobody that is known is not what is wanted.
      iqn: served?.iqn ?? `ceph:${id}`,
      luns: [{ ...lun, sizeBytes: null }],
      accounts: users.map(({ entity }) => entity.slice(ENTITIES.length)),
      initiators: lets.map(({ initiator }) => initiator),
      sessions: [],
    }
  }

  async function grant({ iqn }: TargetName, one: Grant): Promise<void> {
    const id = volumeOfTarget({ iqn })
    const { chapUser: user, chapSecret, initiatorIqn: initiator } = one
    const key = cephxKey(chapSecret)
    const image = await imageNamed(pool, id)
    const served = await readServed(folder, id)
    if (served === null) throw new MalleeError('NotFound', `${id} is not given out`)
    // First: what is not known of who is in, would throw it out.
    const others = served.lets.filter((other) => other.user !== user)
    const lets = [...others, { user, initiator, clients: [] }]
    await writeServed(folder, id, { ...served, lets })
    const entity = entityOf(user)
    await ceph.putCephUser(exec, place, { entity, caps: fullCaps(place, image) }, key)
    who.forget()
  }

  /**
   * All who were let in, or these. When it returns, nothing of theirs will be written any more. The
   * user goes last: as long as it is there, whoever goes on after a crash knows what to do.
   */
  async function withdraw(id: VolumeId, some: readonly string[] | null): Promise<void> {
    const { users } = await fresh()
    const served = await readServed(folder, id)
    const isMeant = (entity: string): boolean =>
      some === null || some.some((user) => entityOf(user) === entity)
    const going = users.filter((one) => volumeOf(place, one) === id && isMeant(one.entity))
    for (const { entity } of going) {
      await ceph.limitCephUser(exec, place, { entity, caps: closedCaps(place, id) })
    }
    const { sessions } = await fresh()
    const lets = (served?.lets ?? []).filter(({ user }) => isMeant(entityOf(user)))
    const entities = new Set([
      ...going.map(({ entity }) => entity),
      ...lets.map(({ user }) => entityOf(user)),
    ])
    const theirs = sessions.filter(({ entity }) => entities.has(entity))
    const rest = some === null ? await strangersOf(id, sessions) : []
    const out = [
      ...lets.flatMap(({ clients }) => clients),
      ...theirs.map(({ address }) => address),
      ...rest,
    ]
    await block(out)
    await untilOut(id, out)
    for (const { entity } of going) await ceph.removeCephUser(exec, place, entity)
    who.forget()
    if (some === null) return removeServed(folder, id)
    if (served === null) return
    const kept = served.lets.filter((one) => !lets.includes(one))
    await writeServed(folder, id, { ...served, lets: kept })
  }

  async function block(addresses: readonly string[]): Promise<void> {
    const nowMs = clock.nowMs()
    for (const [address, atMs] of blocked) if (nowMs - atMs > AGAIN_MS) blocked.delete(address)
    for (const address of new Set(addresses)) {
      // It may stay connected, with nothing that it could do: each time is a map for all disks.
      if (blocked.has(address)) continue
      await ceph.blocklistCephClient(exec, place, { address, seconds: BLOCK_S })
      blocked.set(address, nowMs)
      log.info('a client of Ceph is locked out', { address })
    }
  }

  /** The disk that has an image's head knows it, too: it hangs up. Throws Unavailable. */
  async function untilOut(id: VolumeId, addresses: readonly string[]): Promise<void> {
    if (addresses.length === 0 || !(await images.get()).images.has(id)) return
    const deadlineMs = clock.nowMs() + FENCE_MS
    for (;;) {
      const { watchers } = await listRbdClients(exec, place, id)
      const [left] = watchers.filter((one) => addresses.includes(one))
      if (left === undefined) return
      if (clock.nowMs() > deadlineMs) {
        throw new MalleeError('Unavailable', `${left} still has ${id} open`)
      }
      await clock.sleep(POLL_MS)
    }
  }

  /** Who has an image open, or its lock, and is no program of this or another host of the pool. */
  async function strangersOf(
    id: VolumeId,
    sessions: readonly ceph.CephSession[],
  ): Promise<string[]> {
    if (!(await images.get()).images.has(id)) return []
    const { watchers, lockers } = await listRbdClients(exec, place, id)
    const ours = new Set(
      sessions.filter(({ entity }) => !entity.startsWith(ENTITIES)).map(({ address }) => address),
    )
    return [...new Set([...watchers, ...lockers])].filter((address) => !ours.has(address))
  }

  /** Who is connected is written down: one whose host is cut off from Ceph is not seen later. */
  async function remember(id: VolumeId, sessions: readonly ceph.CephSession[]): Promise<void> {
    const served = await readServed(folder, id)
    if (served === null) return
    const lets = served.lets.map((one): LetIn => {
      const seen = sessions
        .filter(({ entity }) => entity === entityOf(one.user))
        .map(({ address }) => address)
      const more = seen.filter((address) => !one.clients.includes(address))
      if (more.length === 0) return one
      return { ...one, clients: [...one.clients, ...new Set(more)].slice(-MAX_CLIENTS) }
    })
    if (lets.some((one, i) => one !== served.lets[i])) {
      await writeServed(folder, id, { ...served, lets })
    }
  }

  function fresh(): Promise<Who> {
    who.forget()
    return who.get()
  }

  async function ask(): Promise<Who> {
    // In this order: whoever is connected had a user at that time, and has none now if it is gone.
    const sessions = await ceph.listCephSessions(exec, place, await pool.monitors.get())
    const users = await ceph.listCephUsers(exec, place, ENTITIES)
    const known = new Set(users.map(({ entity }) => entity))
    const gone = sessions.filter(({ entity }) => entity.startsWith(ENTITIES) && !known.has(entity))
    await block(gone.map(({ address }) => address))
    return { sessions, users }
  }
}

function volumeOfTarget({ iqn }: Pick<TargetName, 'iqn'>): VolumeId {
  const id = parseVolumeId(iqn.slice(iqn.lastIndexOf(':') + 1))
  if (id.ok) return id.value
  throw new MalleeError('BadArgument', `${iqn} ends with no volume id`)
}
