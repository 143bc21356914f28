// The SC's volumes as a part of a host: what is wanted of them is made true in every pass, and what
// they are is told. Files and what serves them outlive this process: the next one finds them.

import { readFile } from 'node:fs/promises'
import { type Clock, chance, type RandomHex } from '../../../common/clock.ts'
import { MalleeError } from '../../../common/errors.ts'
import type { Exec } from '../../../common/exec.ts'
import type { Log } from '../../../common/log.ts'
import type { RackConfig } from '../../../proto/gen/mallee/v1/desired_pb.js'
import type { Status, VolumeStore } from '../../../proto/gen/mallee/v1/observed_pb.js'
import { bodies, bodyAt, type Desired } from '../../../proto/resources.ts'
import { no, type Result } from '../../../topology/result.ts'
import {
  type Paths,
  restoreLedgersDir,
  restoresRunDir,
  snapshotLedgersDir,
  volumeLedgersDir,
} from '../../paths.ts'
import type { RoleDriver, StatusListener } from '../../role.ts'
import { Restores } from '../restore/restores.ts'
import { hideRestores } from '../restore/shown.ts'
import { type SnapshotsOptions, SnapshotsRole } from '../snapshots/role.ts'
import type { VolumeBackend } from './backend.ts'
import { badVolume, volumeStatus, volumeStore, wantedVolume } from './messages.ts'
import type { Place } from './place.ts'
import { reconcileVolumes, type VolumeStatus } from './reconcile.ts'
import { isTargetOf, type VolumeTargets } from './targets.ts'
import type { WantedVolume } from './wanted.ts'

export interface VolumesOptions {
  readonly exec: Exec
  readonly clock: Clock
  readonly randomHex: RandomHex
  readonly log: Log
  readonly paths: Paths
  readonly config: { readonly host: string }
  /** Where clients find volumes, `address:port`, IPv6 in brackets; or why there is none now. */
  readonly portalOf: (rack: RackConfig) => Promise<Result<string>>
  readonly place: Place
  readonly targets: VolumeTargets
  /** Of a process on this host. */
  readonly isAlive: (pid: number) => boolean
  /** Where the blocks of a snapshot go. */
  readonly endOf: SnapshotsOptions['endOf']
}

export interface VolumesRole extends RoleDriver {
  /** Null before the first pass. */
  readonly store: () => VolumeStore | null
  /** Ends what runs in this process. */
  readonly close: () => Promise<void>
}

/** How long guests wait at most until somebody sees that what served them has died. */
const WATCH_MS = 500
const NO_SPACE = { sizeBytes: 0, roomBytes: 0 }

export function volumesRole(options: VolumesOptions): VolumesRole {
  const { exec, clock, randomHex, log, paths, config, place, targets } = options
  const { isAlive, endOf } = options
  const { host } = config
  const listeners = new Set<StatusListener>()
  const stopped = new AbortController()
  const watching = watch()
  let statuses: readonly Status[] = []
  let store: VolumeStore | null = null
  let server: number | null = null
  let said = ''
  let hasBegun = false
  let restores: Restores | null = null
  const snapshots = new SnapshotsRole({
    ...{ exec, log, host, endOf, still: targets.still, ledgers: snapshotLedgersDir(paths) },
    attached: async (id) => (await targets.look())?.targets.some(isTargetOf(id)) ?? false,
    changed: () => {
      for (const listener of listeners) listener(true)
    },
  })

  return {
    pass,
    statuses: () => [...statuses, ...snapshots.statuses()],
    store: () => store,
    onStatus: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    close: async () => {
      stopped.abort()
      await watching
      await snapshots.close()
      await restores?.close()
    },
    removeAll: async () => {
      await targets.stop()
      const [ledgers, runDir] = [restoreLedgersDir(paths), restoresRunDir(paths)]
      await hideRestores({ exec, clock, ledgers, runDir })
    },
  }

  async function pass(desired: Desired): Promise<void> {
    const rack = bodyAt(desired, 'rack', 'rack')
    if (rack === null) throw new MalleeError('BadMessage', 'the desired state names no rack')
    if (!hasBegun) await targets.resume()
    hasBegun = true
    const mine = bodies(desired, 'volume').filter((volume) => volume.host === host)
    const wanted: WantedVolume[] = []
    const bad: Status[] = []
    for (const volume of mine) {
      const read = wantedVolume(volume)
      if (read.ok) wanted.push(read.value)
      else bad.push(badVolume(host, volume, read.why))
    }
    const portal = await portalNow(rack)
    const space = await place.look().catch((error: unknown) => {
      // Until it is back nothing new is to come here.
      store = volumeStore('', NO_SPACE, { backend: place.backend, snapshots: false })
      throw error
    })
    const taken = bodies(desired, 'volumeSnapshot').some((one) => one.host === host)
    const backend = wanted.length > 0 || taken ? await place.open() : null
    if (backend !== null) await takeSnapshots(desired, backend)
    const made = backend === null ? [] : await makeTrue(backend, portal, wanted)
    statuses = [...made.map((status) => volumeStatus(host, status)), ...bad]
    const { backend: kind } = place
    store = volumeStore(portal.ok ? portal.value : '', space, { ...space, backend: kind })
    const isServed = wanted.some(({ grants }) => grants.length > 0)
    if (server === null && isServed) server = await targets.process()
    if (!portal.ok && isServed) throw new MalleeError('Unavailable', portal.why)
  }

  async function takeSnapshots(desired: Desired, backend: VolumeBackend): Promise<void> {
    const { settled } = await restoresOf(backend)
    await snapshots.pass(desired, backend, settled).catch((error: unknown) => {
      log.error('snapshots', { error })
    })
  }

  async function makeTrue(
    backend: VolumeBackend,
    portal: Result<string>,
    wanted: readonly WantedVolume[],
  ): Promise<readonly VolumeStatus[]> {
    const ledgers = volumeLedgersDir(paths)
    const restores = await restoresOf(backend)
    const parts = { randomHex, log, backend, ledgers, targets, restores }
    const made = { ...parts, portal: portal.ok ? portal.value : null }
    return (await reconcileVolumes(made, wanted)).statuses
  }

  async function restoresOf(backend: VolumeBackend): Promise<Restores> {
    restores ??= await Restores.open({
      ...{ exec, clock, chance, log, endOf, backend, runDir: restoresRunDir(paths) },
      ledgers: restoreLedgersDir(paths),
      bootId: (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim(),
      changed: () => {
        for (const listener of listeners) listener()
      },
    })
    return restores
  }

  /** Also of a host without volumes: the gateway gives it none before it has a portal. */
  async function portalNow(rack: RackConfig): Promise<Result<string>> {
    const portal = await freePortal(rack)
    const why = portal.ok ? '' : portal.why
    if (why !== said && why !== '') log.warn('no volumes are served', { why })
    said = why
    return portal
  }

  async function freePortal(rack: RackConfig): Promise<Result<string>> {
    const portal = await options.portalOf(rack)
    if (!portal.ok) return portal
    const trouble = await targets.trouble(portal.value)
    return trouble === null ? portal : no(trouble)
  }

  async function watch(): Promise<void> {
    for (;;) {
      await clock.sleep(WATCH_MS, stopped.signal)
      if (stopped.signal.aborted) return
      if (server === null || isAlive(server)) continue
      log.warn('what served volumes has ended', { pid: server })
      server = null
      for (const listener of listeners) listener()
    }
  }
}

/** On this host: signal 0 is for asking (kill(2)). */
export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
