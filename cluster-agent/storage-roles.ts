// What a real host has of storage: its place in the rack's storage network with the roles sc and
// nc, and volumes with the role sc.

import { randomHex, systemClock } from '../common/clock.ts'
import type { Exec } from '../common/exec.ts'
import type { Machine } from '../common/machine.ts'
import type { VolumeTarget } from '../common/volume-target.ts'
import type { Status, VolumeStore } from '../proto/gen/mallee/v1/observed_pb.js'
import type { Desired } from '../proto/resources.ts'
import { parseLvName } from './host/lvm.ts'
import { ensureSwitch } from './host/switch.ts'
import { keepTrunk } from './host/trunk.ts'
import type { HostPass } from './host-roles.ts'
import type { HostParts } from './main-parts.ts'
import { volumeLedgersDir, volumePlaceFile, volumesDir } from './paths.ts'
import type { StatusListener } from './role.ts'
import { volumesInCeph } from './sc/ceph/open.ts'
import { type ParentBlocksParts, parentBlocks } from './sc/snapshots/parent-blocks.ts'
import { type Place, volumePlace } from './sc/volumes/place.ts'
import { portalOf } from './sc/volumes/portal.ts'
import { isAlive, type VolumesOptions, volumesRole } from './sc/volumes/role.ts'
import { servedBy } from './sc/volumes/served-by.ts'
import { thinPlace } from './sc/volumes/thin-place.ts'
import { keepStorageNet, removeStorageNet } from './storage-net/network.ts'

export interface StorageRoles {
  readonly passes: readonly HostPass[]
  readonly statuses: () => readonly Status[]
  readonly volumeStore: () => VolumeStore | null
  readonly onStatus: (listener: StatusListener) => () => void
  readonly close: () => Promise<void>
  /** While the switch still runs. */
  readonly removeAll: () => Promise<void>
}

export function storageRoles(
  {
    exec,
    config,
    paths,
    log,
    volumeTarget,
  }: Pick<HostParts, 'config' | 'paths' | 'log'> & {
    readonly exec: Exec
    /** Null without the role sc, and for volumes in Ceph. */
    readonly volumeTarget: VolumeTarget | null
  },
  machine: Machine,
  links: ParentBlocksParts['links'],
): StorageRoles {
  const has = (role: 'cc' | 'nc' | 'sc'): boolean => config.roles.includes(role)
  const common = { exec, paths, machine, log }
  /** Does the storage network alone need the switch? */
  const ownsSwitch = !has('cc') && !has('nc')
  const hasNet = (has('sc') || has('nc')) && !(ownsSwitch && config.storageAddress !== null)
  const listeners = new Set<StatusListener>()
  const endOf = parentBlocks({ config, links, clock: systemClock })
  const own = { exec, clock: systemClock, randomHex, log, paths, config, isAlive }
  const where =
    config.volumeCeph === null
      ? onOwnDisk()
      : volumesInCeph({ ...own, cloud: config.cloud }, config.volumeCeph)
  const volumes = has('sc') ? volumesRole({ ...own, ...where, endOf }) : null

  return {
    passes: [
      ...(hasNet ? [{ name: 'storage-net', run: netPass }] : []),
      ...(volumes === null
        ? []
        : [{ name: 'volumes', run: (desired: Desired) => volumes.pass(desired) }]),
    ],
    statuses: () => volumes?.statuses() ?? [],
    volumeStore: () => volumes?.store() ?? null,
    onStatus: (listener) => {
      listeners.add(listener)
      const off = volumes?.onStatus(listener)
      return () => {
        listeners.delete(listener)
        off?.()
      }
    },
    close: async () => volumes?.close(),
    removeAll: async () => {
      await volumes?.removeAll()
      if (volumes !== null) await where.place.leave()
      if (!hasNet || machine.ovs === 'missing') return
      await removeStorageNet({ exec, log, sw: await ensureSwitch(common) })
    },
  }

  function onOwnDisk(): Pick<VolumesOptions, 'place' | 'targets' | 'portalOf'> {
    return {
      place: placeOf(exec, { config, paths, log }),
      targets: servedBy(volumeTarget ?? 'tgt', { exec, paths, clock: systemClock }),
      portalOf: (rack) => portalOf({ exec, config }, rack),
    }
  }

  async function netPass(desired: Desired): Promise<void> {
    // Without it, an SC that keeps only objects has nothing to complain of.
    if (ownsSwitch && machine.ovs === 'missing') return
    const sw = await ensureSwitch(common)
    if (ownsSwitch) await keepTrunk({ exec, paths, sw, trunk: config.trunk }, log)
    const isOn = config.storageAddress === null
    const options = { exec, log, config, sw, isOn, ownsFlows: ownsSwitch }
    const steps = await keepStorageNet(options, desired)
    // The address is new, and so is a port that the NC's flows must know.
    if (steps > 0) for (const listener of listeners) listener()
  }
}

/** Of this host's volumes. */
function placeOf(
  exec: Exec,
  { config, paths, log }: Pick<HostParts, 'config' | 'paths' | 'log'>,
): Place {
  const { volumePool, volumeDir } = config
  const common = { exec, log, randomHex, known: volumePlaceFile(paths) }
  const where = { ...common, ledgers: volumeLedgersDir(paths) }
  const pool = volumePool === null ? null : parseLvName(volumePool)
  return pool?.ok === true
    ? thinPlace({ ...where, pool: pool.value, owner: config })
    : volumePlace({ ...where, folder: volumeDir ?? volumesDir(paths) })
}
