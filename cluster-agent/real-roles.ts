// The real parts of a host: its switch, and what its roles put on it.

import { probeAccelerator } from '../common/accelerator.ts'
import { systemClock } from '../common/clock.ts'
import { type Exec, exec as run } from '../common/exec.ts'
import type { Log } from '../common/log.ts'
import { probeMachine } from '../common/machine.ts'
import { VERSION } from '../common/version.ts'
import { chooseVolumeTarget } from '../common/volume-target.ts'
import { type Cc, openCc } from './cc/reconcilers.ts'
import { directReads } from './host/direct-reads.ts'
import { removeGuard } from './host/guard.ts'
import { KernelWatch } from './host/kernel-watch.ts'
import { listeners } from './host/listeners.ts'
import { restoreOriginals } from './host/originals.ts'
import { ensureSwitch, stopSwitch } from './host/switch.ts'
import { keepTrunk } from './host/trunk.ts'
import { watchedReads } from './host/watched-reads.ts'
import type { HostPass, HostRoles } from './host-roles.ts'
import { type HostFacts, imagesStatus } from './host-status.ts'
import { LazyImages } from './images/lazy-images.ts'
import { openRackImages } from './images/rack-images.ts'
import type { HostParts } from './main-parts.ts'
import { type NcRole, ncRole } from './nc/reconcilers.ts'
import { lazyImagesSocket } from './paths.ts'
import { storageRoles } from './storage-roles.ts'

/** So long a guest that boots from an arriving image has its host's line and processors alone. */
const FILL_AFTER_MS = 30_000
/** What comes within a second or two. */
const LAZY_FROM_BYTES = 256 << 20

/** Finds out what this machine has, starts or adopts its switch, and puts the roles together. */
export async function openRealRoles(
  parts: HostParts,
): Promise<{ roles: HostRoles; facts: HostFacts }> {
  const { config, paths, log } = parts
  const has = (role: 'cc' | 'nc'): boolean => config.roles.includes(role)
  const { exec, close: stopLooking } = openLooks(log)
  const machine = await probeMachine(exec)
  const common = { exec, paths, machine, log, clock: systemClock }
  const cc = has('cc')
    ? await openCc({ ...common, config: { ...config, ownsFlows: !has('nc') } })
    : null
  const accelerator = has('nc') ? await probeAccelerator(exec, { runDir: paths.runDir }) : null
  const images = openRackImages(parts)
  const volumeTarget = config.volumeCeph === null ? await chooseVolumeTarget(exec, config) : null
  const storage = storageRoles({ ...parts, exec, volumeTarget }, machine, images.links)
  const lazy = new LazyImages({
    ...{ images: images.images, socket: lazyImagesSocket(paths), starts: config.lazyImages },
    ...{ fillAfterMs: FILL_AFTER_MS, fromBytes: LAZY_FROM_BYTES },
    ...{ clock: systemClock, log },
  })
  const nc =
    accelerator === null
      ? null
      : ncRole({
          ...common,
          host: config.host,
          accelerator: accelerator.kind,
          switch: await ensureSwitch(common),
          images: images.images,
          lazy,
          capacity: config.capacity,
        })

  return {
    roles: {
      passes: [...passesOf(cc, nc), ...storage.passes],
      statuses: () => [
        ...(cc?.statuses() ?? []),
        ...(nc?.statuses() ?? []),
        ...storage.statuses(),
        imagesStatus(config.host, images.images.stats()),
      ],
      onStatus: (listener) => {
        const offs = [cc?.onStatus(listener), nc?.onStatus(listener), storage.onStatus(listener)]
        return () => {
          for (const off of offs) off?.()
        }
      },
      wireguardPublicKey: () => cc?.wireguardPublicKey() ?? '',
      wireguardEndpoints: () => cc?.wireguardEndpoints() ?? [],
      volumeStore: storage.volumeStore,
      consoleOutput: nc?.consoleOutput ?? null,
      guests: nc?.guests ?? null,
      images,
      close: async () => {
        await nc?.letGo()
        await storage.close()
        // First those who read: they wait for the next agent, and hear of no end.
        await lazy.close()
        await images.close()
        await cc?.close()
        stopLooking()
      },
      removeAll,
    },
    facts: {
      version: VERSION,
      accelerator: accelerator?.kind ?? '',
      ovsDatapath: machine.ovs,
      wireguard: has('cc') ? machine.wireguard : '',
      ipsec: has('cc') ? machine.ipsec : '',
      volumeTarget: volumeTarget ?? '',
      capacity: nc?.capacity() ?? null,
    },
  }

  function passesOf(edge: Cc | null, node: NcRole | null): HostPass[] {
    const passes: HostPass[] = []
    if (edge !== null) passes.push({ name: 'cc', run: (desired) => edge.pass(desired) })
    if (node === null) return [...passes, { name: 'images', run: () => useNone() }]
    const run: HostPass['run'] = async (desired) => {
      // A CC looks after the switch of its host.
      if (edge === null) await keepSwitch()
      await node.pass(desired)
    }
    return [
      ...passes,
      { name: 'nc', run },
      { name: 'balancers', run: (desired) => node.balancers(desired) },
      { name: 'reach', run: () => node.reach() },
    ]
  }

  /** Without machines, images are only kept for the rack's nodes. */
  async function useNone(): Promise<void> {
    await images.images.use(new Set())
  }

  /** The switch of a node: it runs, and the rack's trunk is plugged into it. */
  async function keepSwitch(): Promise<void> {
    const sw = await ensureSwitch(common)
    await keepTrunk({ exec, paths, sw, trunk: config.trunk }, log)
  }

  async function removeAll(): Promise<void> {
    await nc?.removeAll()
    await storage.close()
    await storage.removeAll()
    if (cc !== null) return cc.removeAll()
    await stopSwitch({ exec, paths })
    await removeGuard(exec, 'trunk')
    await restoreOriginals(exec, paths)
  }
}

/** Programs as all parts of this host start them: as few as there is something to do for. */
function openLooks(log: Log): { readonly exec: Exec; readonly close: () => void } {
  const parts = { clock: systemClock, log }
  const [ip, nft] = [new KernelWatch('ip', parts), new KernelWatch('nft', parts)]
  const watches = { ip, nft, ss: { news: listeners } }
  const exec = watchedReads(directReads(run), { ...watches, nowMs: systemClock.nowMs })
  const close = (): void => {
    ip.close()
    nft.close()
  }
  return { exec, close }
}
