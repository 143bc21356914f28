// The WireGuard tunnels of this CC: one interface, one peer per remote CC, one route per allowed
// IP. Owns every peer and every route of the interface: what nobody desires is removed.

import { createHash } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import type { Exec } from '../../common/exec.ts'
import type { Machine } from '../../common/machine.ts'
import type { Reconciler } from '../../common/reconcile.ts'
import type { Tunnel } from '../../proto/gen/mallee/v1/desired_pb.js'
import { formatCidr, mustCidr } from '../../topology/cidr.ts'
import { ascending } from '../../topology/order.ts'
import { never } from '../../topology/result.ts'
import { ipBatch, type Link, listLinks, listRoutes, readSysctls, writeSysctls } from '../host/ip.ts'
import { noteOriginals } from '../host/originals.ts'
import * as wg from '../host/wg.ts'
import type { Paths } from '../paths.ts'
import { nextEndpoint, remember, type Try } from './endpoints.ts'
import { TUNNEL_DEVICE } from './names.ts'
import { forwardingSysctls, readUnderlay, type Underlay } from './underlay.ts'

export interface TunnelsDesired {
  /** This host's address in the fabric, with length. */
  readonly address: string
  readonly mtu: number
  readonly listenPort: number
  readonly publicKey: string
  readonly tunnels: readonly Tunnel[]
}

export interface TunnelsSeen {
  readonly link: Link | null
  readonly device: wg.WgDevice | null
  /** Destinations that leave by the interface, with length. */
  readonly routes: readonly string[]
  readonly sysctls: ReadonlyMap<string, string>
  readonly underlay: Underlay
  readonly tries: ReadonlyMap<string, Try>
  /** True when the underlay's addresses are others than at the last pass. */
  readonly moved: boolean
  readonly nowMs: number
}

export type TunnelStep =
  | { readonly kind: 'create' }
  | { readonly kind: 'key'; readonly listenPort: number }
  | { readonly kind: 'sysctls'; readonly values: ReadonlyMap<string, string> }
  | { readonly kind: 'ip'; readonly lines: readonly string[] }
  | { readonly kind: 'set'; readonly peer: wg.PeerSettings }
  | { readonly kind: 'endpoint'; readonly publicKey: string; readonly endpoint: string }
  | { readonly kind: 'remove'; readonly publicKey: string }

export interface TunnelsOptions {
  readonly paths: Paths
  readonly machine: Pick<Machine, 'wireguard'>
  readonly clock: Pick<Clock, 'nowMs'>
}

/** Keeps the tunnels; remembers which endpoints it tried, and nothing else. */
export class Tunnels {
  readonly #options: TunnelsOptions
  #tries: ReadonlyMap<string, Try> = new Map()
  #addresses: string | null = null

  constructor(options: TunnelsOptions) {
    this.#options = options
  }

  reconciler(exec: Exec, desired: TunnelsDesired): Reconciler<TunnelsSeen, TunnelStep> {
    return {
      name: 'tunnels',
      observe: () => this.#observe(exec),
      plan: (seen) => planTunnels(desired, seen),
      apply: (step) => this.#apply(exec, step),
    }
  }

  async #observe(exec: Exec): Promise<TunnelsSeen> {
    const { clock } = this.#options
    const links = await listLinks(exec)
    const link = links.find(({ name }) => name === TUNNEL_DEVICE) ?? null
    const device = link === null ? null : await wg.readDevice(exec, TUNNEL_DEVICE)
    if (link !== null && device === null) {
      throw new MalleeError('Conflict', `${TUNNEL_DEVICE} is there and does not answer wg`)
    }
    const underlay = await readUnderlay(exec)
    const nowMs = clock.nowMs()
    const peers = device?.peers ?? []
    this.#tries = new Map(
      peers.map((peer) => {
        const last = this.#tries.get(peer.publicKey) ?? null
        return [peer.publicKey, remember(peer, last, nowMs)]
      }),
    )
    const addresses = underlay.addresses.join()
    const moved = this.#addresses !== null && this.#addresses !== addresses
    this.#addresses = addresses
    const routes = link === null ? [] : await listRoutes(exec, TUNNEL_DEVICE)
    return {
      link,
      device,
      routes: routes
        .filter(({ protocol }) => protocol !== 'kernel')
        .map(({ destination }) => destination),
      sysctls: await readSysctls(exec, [...forwardingSysctls(underlay).keys()]),
      underlay,
      tries: this.#tries,
      moved,
      nowMs,
    }
  }

  async #apply(exec: Exec, step: TunnelStep): Promise<void> {
    const { paths, machine, clock } = this.#options
    switch (step.kind) {
      case 'create': {
        mkdirSync(paths.runDir, { recursive: true })
        const logFile = join(paths.runDir, 'wireguard.log')
        const { wireguard } = machine
        return wg.createDevice(exec, { device: TUNNEL_DEVICE, wireguard, logFile })
      }
      case 'key':
        return wg.setDevice(exec, TUNNEL_DEVICE, { keyFile: keyFile(paths), ...step })
      case 'sysctls': {
        const were = await readSysctls(exec, [...step.values.keys()])
        await noteOriginals(paths, { sysctls: Object.fromEntries(were) })
        return writeSysctls(exec, step.values)
      }
      case 'ip':
        return ipBatch(exec, step.lines)
      case 'set':
        this.#tried(step.peer.publicKey, step.peer.endpoint, clock.nowMs())
        return wg.setPeer(exec, TUNNEL_DEVICE, step.peer, paths.stateDir)
      case 'endpoint':
        this.#tried(step.publicKey, step.endpoint, clock.nowMs())
        return wg.setEndpoint(exec, TUNNEL_DEVICE, step.publicKey, step.endpoint)
      case 'remove':
        return wg.removePeer(exec, TUNNEL_DEVICE, step.publicKey)
      default:
        return never(step)
    }
  }

  #tried(publicKey: string, endpoint: string | null, nowMs: number): void {
    if (endpoint === null) return
    const last = this.#tries.get(publicKey)
    const fresh = { receivedBytes: last?.receivedBytes ?? 0, heardMs: last?.heardMs ?? 0 }
    this.#tries = new Map(this.#tries).set(publicKey, { endpoint, sinceMs: nowMs, ...fresh })
  }
}

export function planTunnels(desired: TunnelsDesired, seen: TunnelsSeen): TunnelStep[] {
  const steps: TunnelStep[] = []
  const { link, device } = seen
  if (link === null) steps.push({ kind: 'create' })
  if (device?.publicKey !== desired.publicKey || device.listenPort !== desired.listenPort) {
    steps.push({ kind: 'key', listenPort: desired.listenPort })
  }
  const lines = linkLines(desired, link)
  if (lines.length > 0) steps.push({ kind: 'ip', lines })
  const have = new Map((device?.peers ?? []).map((peer) => [peer.publicKey, peer]))
  const tunnels = desired.tunnels.toSorted((a, b) => ascending(a.publicKey, b.publicKey))
  // Set before remove: WireGuard hands an allowed IP over to the peer that names it last, so a CC
  // that rejoins with a new key keeps its routes all the way through.
  for (const tunnel of tunnels) {
    const step = peerStep(tunnel, have.get(tunnel.publicKey) ?? null, seen)
    if (step !== null) steps.push(step)
  }
  const wanted = new Set(tunnels.map(({ publicKey }) => publicKey))
  for (const publicKey of [...have.keys()].sort(ascending)) {
    if (!wanted.has(publicKey)) steps.push({ kind: 'remove', publicKey })
  }
  const routes = routeLines(tunnels, seen.routes)
  if (routes.length > 0) steps.push({ kind: 'ip', lines: routes })
  // Last: nothing is forwarded before everything that it may take stands.
  const sysctls = forwardingSysctls(seen.underlay)
  const values = new Map([...sysctls].filter(([key, value]) => seen.sysctls.get(key) !== value))
  if (values.size > 0) steps.push({ kind: 'sysctls', values })
  return steps
}

function linkLines({ address, mtu }: TunnelsDesired, link: Link | null): string[] {
  const lines: string[] = []
  // No link-local address: it would be a neighbour of nobody, in every rack another one.
  if (link === null) lines.push(`link set dev ${TUNNEL_DEVICE} addrgenmode none`)
  if (link?.mtu !== mtu) lines.push(`link set dev ${TUNNEL_DEVICE} mtu ${mtu}`)
  if (!link?.up) lines.push(`link set dev ${TUNNEL_DEVICE} up`)
  const global = (link?.addresses ?? []).filter(({ scope }) => scope === 'global')
  if (!global.some(({ cidr }) => cidr === address)) {
    lines.push(`address add ${address} dev ${TUNNEL_DEVICE} nodad`)
  }
  for (const { cidr } of global) {
    if (cidr !== address) lines.push(`address del ${cidr} dev ${TUNNEL_DEVICE}`)
  }
  return lines
}

function peerStep(tunnel: Tunnel, peer: wg.WgPeer | null, seen: TunnelsSeen): TunnelStep | null {
  const { publicKey, keepaliveS } = tunnel
  const last = seen.tries.get(publicKey) ?? null
  const presharedKey = Buffer.from(tunnel.presharedKey).toString('base64')
  const allowedIps = prefixesOf(tunnel).sort(ascending)
  // A userspace socket keeps the source address that it had: set again, it looks for another.
  const again = seen.moved ? (peer?.endpoint ?? null) : null
  const { nowMs, underlay } = seen
  const endpoint = nextEndpoint(tunnel, peer, last, { nowMs, ...underlay }) ?? again
  const same =
    peer !== null &&
    digest(peer.presharedKey) === digest(presharedKey) &&
    peer.keepaliveS === keepaliveS &&
    peer.allowedIps.toSorted(ascending).join() === allowedIps.join()
  if (!same) {
    return { kind: 'set', peer: { publicKey, presharedKey, endpoint, allowedIps, keepaliveS } }
  }
  return endpoint === null ? null : { kind: 'endpoint', publicKey, endpoint }
}

function routeLines(tunnels: readonly Tunnel[], routes: readonly string[]): string[] {
  const wanted = new Set(tunnels.flatMap(prefixesOf))
  const have = new Set(routes)
  return [
    ...[...wanted].filter((cidr) => !have.has(cidr)).map((cidr) => `route replace ${cidr}`),
    ...[...have].filter((cidr) => !wanted.has(cidr)).map((cidr) => `route del ${cidr}`),
  ].map((line) => `${line} dev ${TUNNEL_DEVICE}`)
}

// As wg and ip write them, so that they compare equal.
function prefixesOf({ allowedIps }: Tunnel): string[] {
  return allowedIps.map((cidr) => formatCidr(mustCidr(cidr)))
}

/** Where the private key is made and stays. */
export function keyFile(paths: Paths): string {
  return join(paths.stateDir, 'wireguard.key')
}

// Compares secrets in a time that says nothing about them.
function digest(secret: string): string {
  return createHash('sha256').update(secret).digest('hex')
}
