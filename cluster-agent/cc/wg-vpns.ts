// The WireGuard devices to customers' own, `mallee-v<number>`, each with a key and one peer. The
// main table leads to none of what is behind them: many customers have the same there.

import { existsSync } from 'node:fs'
import { MalleeError, messageOf } from '../../common/errors.ts'
import type { Exec } from '../../common/exec.ts'
import { reconcileOnce } from '../../common/reconcile.ts'
import type { VpnLink, WireguardVpn } from '../../proto/gen/mallee/v1/border_pb.js'
import { TUNNEL_KEEPALIVE_S } from '../../topology/ranges.ts'
import { listLinks } from '../host/ip.ts'
import { knock } from '../host/ping.ts'
import { ensureKey, readDevices } from '../host/wg.ts'
import { isReachable } from './endpoints.ts'
import { vpnDevice, vpnNumber } from './names.ts'
import { type BorderSeen, nextSeen, OF_CUSTOMERS } from './peer-border.ts'
import type { VpnKind, VpnSeen } from './vpn-kind.ts'
import { hostOf } from './vpn-sets.ts'
import {
  ownEndpoints,
  readWgHost,
  removeUnwantedDevices,
  type WgDevicesOptions,
  type WgHost,
  wgKeyFile,
} from './wg-devices.ts'
import { planWgLink, WgLink, type WgLinkPeer } from './wg-link.ts'

const KIND = { letter: 'v', what: 'tunnel to a device of a customer' } as const
/**
 * A device that is up may have nothing to say. Whatever it is sent then, WireGuard there answers
 * within ten seconds (its paper, 6.5), well before it counts as silent.
 */
const QUIET_MS = 15_000

interface Held {
  readonly link: WgLink
  desired: VpnLink
  publicKey: string
  endpoints: readonly string[]
  isMade: boolean
  seen: BorderSeen | null
  trouble: string
}

export class WgVpns implements VpnKind {
  readonly #options: WgDevicesOptions
  readonly #held = new Map<number, Held>()
  #isKnocking = false
  #isClosed = false

  constructor(options: WgDevicesOptions) {
    this.#options = options
  }

  async removeUnwanted(exec: Exec, links: readonly VpnLink[]): Promise<void> {
    const { paths } = this.#options
    const numbers = new Set(links.map(({ number }) => number))
    for (const number of this.#held.keys()) if (!numbers.has(number)) this.#held.delete(number)
    const isAny = (await listLinks(exec)).some(({ name }) => vpnNumber(name) !== null)
    const wireguards = isAny ? await readDevices(exec) : new Map()
    // Devices of the other kind have such names too.
    const numberOf = (device: string): number | null => {
      const number = vpnNumber(device)
      if (number === null || wireguards.has(device)) return number
      return existsSync(wgKeyFile(paths, KIND, number)) ? number : null
    }
    await removeUnwantedDevices(exec, this.#options, { ...KIND, numberOf }, numbers)
  }

  async pass(exec: Exec, links: readonly VpnLink[]): Promise<void> {
    if (links.length === 0) return
    const host = await readWgHost(exec)
    for (const desired of links) {
      const held = this.#hold(desired)
      try {
        await this.#passOne(exec, held, host)
      } catch (error) {
        this.#options.log.warn(KIND.what, { device: vpnDevice(desired.number), error })
        held.trouble = messageOf(error)
      }
    }
    void this.#knock()
  }

  async look(exec: Exec): Promise<void> {
    const silent = [...this.#held.values()].filter(({ seen }) => !isUp(seen))
    if (silent.length === 0) return
    const devices = await readDevices(exec)
    const nowMs = this.#options.clock.nowMs()
    for (const held of silent) {
      const peers = devices.get(vpnDevice(held.desired.number))?.peers ?? []
      held.seen = nextSeen(held.seen, peers[0] ?? null, nowMs, OF_CUSTOMERS)
    }
  }

  deviceOf(number: number): string | null {
    return this.#held.get(number)?.isMade === true ? vpnDevice(number) : null
  }

  seen(number: number): VpnSeen | null {
    const held = this.#held.get(number)
    if (held === undefined) return null
    const { publicKey, endpoints, trouble } = held
    return { up: isUp(held.seen), publicKey, endpoints, trouble }
  }

  async close(): Promise<void> {
    this.#isClosed = true
  }

  async removeAll(exec: Exec): Promise<void> {
    await this.removeUnwanted(exec, [])
  }

  #hold(desired: VpnLink): Held {
    const { number } = desired
    const file = wgKeyFile(this.#options.paths, KIND, number)
    const held = this.#held.get(number) ?? {
      ...{ link: new WgLink(this.#options, vpnDevice(number), file), desired, isMade: false },
      ...{ publicKey: '', endpoints: [], seen: null, trouble: '' },
    }
    this.#held.set(number, held)
    held.desired = desired
    return held
  }

  async #passOne(exec: Exec, held: Held, { underlay, devices }: WgHost): Promise<void> {
    const { paths, config, log } = this.#options
    const { number, mtu, insideAddress: address } = held.desired
    const tunnel = tunnelOf(held.desired)
    const { listenPort } = tunnel
    held.publicKey = await ensureKey(wgKeyFile(paths, KIND, number))
    held.endpoints = ownEndpoints(config, underlay, listenPort)
    const { publicKey } = held
    const peer = wgPeerOf(held.desired, tunnel)
    const device = { device: vpnDevice(number), address, mtu, listenPort, publicKey }
    const wanted = { ...device, peers: [peer], hasRoutes: false }
    await reconcileOnce(
      {
        name: wanted.device,
        observe: async () => {
          const seen = await held.link.observe(exec, underlay, devices)
          held.isMade = seen.link !== null
          const there = seen.device?.peers.find((one) => one.publicKey === peer.publicKey) ?? null
          held.seen = nextSeen(held.seen, there, seen.nowMs, OF_CUSTOMERS)
          return seen
        },
        plan: (seen) => planWgLink(wanted, seen),
        apply: (step) => held.link.apply(exec, step),
      },
      log,
    )
    held.isMade = true
    held.trouble = peer.endpoints.every((one) => isReachable(one, underlay.reachable))
      ? ''
      : `this host has no way to ${tunnel.endpoint}`
  }

  /** One after the other: nobody waits for it. */
  async #knock(): Promise<void> {
    if (this.#isKnocking) return
    this.#isKnocking = true
    const { exec, clock } = this.#options
    for (const { desired, seen } of [...this.#held.values()]) {
      if (this.#isClosed || !isUp(seen)) continue
      if (clock.nowMs() - (seen?.heardMs ?? 0) < QUIET_MS) continue
      const address = hostOf(desired.farInsideAddress)
      await knock(exec, vpnDevice(desired.number), address).catch(() => undefined)
    }
    this.#isKnocking = false
  }
}

function isUp(seen: BorderSeen | null): boolean {
  return seen !== null && seen.upSinceMs > 0
}

function tunnelOf({ number, kind }: VpnLink): WireguardVpn {
  if (kind.case === 'wireguard') return kind.value
  throw new MalleeError('BadMessage', `tunnel ${number} of a VPN connection is no WireGuard tunnel`)
}

/** Without an endpoint it is where the device dials from. */
function wgPeerOf(desired: VpnLink, { publicKey, presharedKey, endpoint }: WireguardVpn) {
  const farInside = `${hostOf(desired.farInsideAddress)}/32`
  return {
    publicKey,
    presharedKey,
    endpoints: endpoint === '' ? [] : [endpoint],
    allowedIps: [...desired.remotePrefixes, farInside],
    keepaliveS: TUNNEL_KEEPALIVE_S,
  } satisfies WgLinkPeer
}
