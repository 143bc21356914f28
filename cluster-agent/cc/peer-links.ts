// The WireGuard devices to peer clouds, `mallee-p<number>`, each with a key of its own. Owns every
// device and key of that name: what nobody desires is gone at once. One that cannot be made does
// not keep the others, nor the rack's own network, from what they do.

import { messageOf } from '../../common/errors.ts'
import type { Exec } from '../../common/exec.ts'
import { linkAddressOf } from '../../common/link-address.ts'
import { reconcileOnce } from '../../common/reconcile.ts'
import type { PeerBorder, PeerLink } from '../../proto/gen/mallee/v1/border_pb.js'
import type { Status } from '../../proto/gen/mallee/v1/observed_pb.js'
import { PEER_KEEPALIVE_S } from '../../topology/ranges.ts'
import { listLinks } from '../host/ip.ts'
import { echoes } from '../host/ping.ts'
import { ensureKey, readDevices, type WgDevice } from '../host/wg.ts'
import { peerDevice, peerNumber } from './names.ts'
import { measurePathMtu } from './path-mtu.ts'
import { type BorderSeen, isAwaited, isDue, nextSeen, pathMtuOf } from './peer-border.ts'
import { conflictsOf, hostNetworks } from './peer-conflicts.ts'
import { peerLinkStatus } from './statuses.ts'
import {
  ownEndpoints,
  readWgHost,
  removeUnwantedDevices,
  type WgDevicesOptions,
  type WgHost,
  wgKeyFile,
} from './wg-devices.ts'
import { planWgLink, WgLink, type WgLinkPeer } from './wg-link.ts'

const KIND = { letter: 'p', what: 'link to a peer cloud', numberOf: peerNumber } as const

/** Once for all links. */
interface HostSeen extends WgHost {
  readonly hosts: ReturnType<typeof hostNetworks>
}

interface Held {
  readonly link: WgLink
  desired: PeerLink
  publicKey: string
  endpoints: readonly string[]
  /** By public key. */
  borders: ReadonlyMap<string, BorderSeen>
  trouble: string
}

export class PeerLinks {
  readonly #options: WgDevicesOptions
  readonly #held = new Map<number, Held>()
  readonly #listeners = new Set<() => void>()
  #isMeasuring = false
  #isClosed = false

  constructor(options: WgDevicesOptions) {
    this.#options = options
  }

  /** First in a pass: what is not agreed any more ends now. */
  async removeUnwanted(exec: Exec, links: readonly PeerLink[]): Promise<void> {
    const numbers = new Set(links.map(({ number }) => number))
    for (const number of this.#held.keys()) if (!numbers.has(number)) this.#held.delete(number)
    await removeUnwantedDevices(exec, this.#options, KIND, numbers)
  }

  /** Makes the devices; what fails is said in the statuses. */
  async pass(exec: Exec, links: readonly PeerLink[]): Promise<void> {
    if (links.length === 0) return
    const seen = { ...(await readWgHost(exec)), hosts: hostNetworks(await listLinks(exec)) }
    for (const desired of links) {
      try {
        await this.#passOne(exec, desired, seen)
      } catch (error) {
        const { log } = this.#options
        log.warn('link to a peer cloud', { device: peerDevice(desired.number), error })
        const held = this.#held.get(desired.number)
        if (held !== undefined) held.trouble = messageOf(error)
      }
    }
    void this.#measure()
  }

  statuses(): Status[] {
    return [...this.#held.values()]
      .filter(({ publicKey }) => publicKey !== '')
      .map((held) => peerLinkStatus(this.#options.config.host, held))
  }

  /** When a pass has something to make of what was found. Returns the function that ends it. */
  onNews(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Whether one was never heard: somebody waits for it. */
  isAwaiting(): boolean {
    const nowMs = this.#options.clock.nowMs()
    return this.#seen().some((one) => isAwaited(one, nowMs))
  }

  /** Whether there is one that may fall silent. */
  isWatching(): boolean {
    return this.#seen().length > 0
  }

  /** Looks again who is heard: between passes, cheaply. */
  async look(exec: Exec): Promise<void> {
    if (!this.isWatching()) return
    const devices = await readDevices(exec)
    const nowMs = this.#options.clock.nowMs()
    for (const held of this.#held.values()) {
      // What does not answer for once says nothing.
      const device = devices.get(peerDevice(held.desired.number))
      if (device !== undefined) this.#note(held, device, nowMs)
    }
  }

  async removeAll(exec: Exec): Promise<void> {
    await this.removeUnwanted(exec, [])
  }

  /** What is measured now is the last. */
  close(): void {
    this.#isClosed = true
  }

  async #passOne(
    exec: Exec,
    desired: PeerLink,
    { underlay, hosts, devices }: HostSeen,
  ): Promise<void> {
    const { paths, config, log } = this.#options
    const { number, listenPort } = desired
    const file = wgKeyFile(paths, KIND, number)
    const held = this.#held.get(number) ?? {
      ...{ link: new WgLink(this.#options, peerDevice(number), file), desired },
      ...{ publicKey: '', endpoints: [], borders: new Map(), trouble: '' },
    }
    this.#held.set(number, held)
    held.desired = desired
    held.publicKey = await ensureKey(file)
    held.endpoints = ownEndpoints(config, underlay, listenPort)
    const inTheWay = conflictsOf(desired, hosts)
    const wanted = {
      device: peerDevice(number),
      address: `${linkAddressOf(held.publicKey)}/128`,
      mtu: desired.mtu,
      listenPort,
      publicKey: held.publicKey,
      peers: desired.borders.map((one) => wgPeerOf(held, one, new Set(inTheWay.keys()))),
    }
    await reconcileOnce(
      {
        name: wanted.device,
        observe: async () => {
          const seen = await held.link.observe(exec, underlay, devices)
          this.#note(held, seen.device, seen.nowMs)
          return seen
        },
        plan: (seen) => planWgLink(wanted, seen),
        apply: (step) => held.link.apply(exec, step),
      },
      log,
    )
    held.trouble = [...inTheWay.values(), ...smallPaths(held)].join('; ')
  }

  #note(held: Held, device: WgDevice | null, nowMs: number): void {
    const peers = new Map((device?.peers ?? []).map((one) => [one.publicKey, one]))
    held.borders = new Map(
      held.desired.borders.map(({ publicKey: key }) => {
        const last = held.borders.get(key) ?? null
        return [key, nextSeen(last, peers.get(key) ?? null, nowMs)] as const
      }),
    )
  }

  #seen(): BorderSeen[] {
    return [...this.#held.values()].flatMap(({ borders }) => [...borders.values()])
  }

  /** One after the other: nobody waits for it, and a probe that is lost takes a second. */
  async #measure(): Promise<void> {
    if (this.#isMeasuring) return
    this.#isMeasuring = true
    for (const held of [...this.#held.values()]) {
      for (const border of held.desired.borders) await this.#measureOne(held, border)
    }
    this.#isMeasuring = false
  }

  async #measureOne(held: Held, { publicKey, linkAddress }: PeerBorder): Promise<void> {
    const { exec, clock, log } = this.#options
    const { number, mtu } = held.desired
    const seen = held.borders.get(publicKey)
    if (this.#isClosed || seen === undefined || !isDue(seen, clock.nowMs())) return
    const probe = (bytes: number): Promise<boolean> =>
      echoes(exec, peerDevice(number), linkAddress, bytes).catch(() => false)
    const path = await measurePathMtu(probe, mtu)
    const now = held.borders.get(publicKey)
    if (this.#isClosed || now === undefined) return
    const next = { ...now, path, measuredAtMs: clock.nowMs() }
    held.borders = new Map(held.borders).set(publicKey, next)
    if (JSON.stringify(path) === JSON.stringify(seen.path)) return
    log.info('way to a peer cloud measured', { device: peerDevice(number), path })
    for (const listener of this.#listeners) listener()
  }
}

function smallPaths({ desired, borders }: Held): string[] {
  return desired.borders.flatMap(({ rack, host, publicKey }) =>
    borders.get(publicKey)?.path?.kind === 'too-small'
      ? [`no packet of 1280 bytes gets through to ${rack}/${host}`]
      : [],
  )
}

function wgPeerOf(held: Held, border: PeerBorder, without: ReadonlySet<string>): WgLinkPeer {
  const { publicKey, endpoints, linkAddress } = border
  const mtu = pathMtuOf(held.borders.get(publicKey) ?? null)
  return {
    publicKey,
    presharedKey: new Uint8Array(),
    endpoints,
    allowedIps: [
      `${linkAddress}/128`,
      ...border.allowedIps.filter((prefix) => !without.has(prefix)),
    ],
    keepaliveS: PEER_KEEPALIVE_S,
    routeMtu: mtu === 0 || mtu >= held.desired.mtu ? null : mtu,
  }
}
