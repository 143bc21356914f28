// One WireGuard device, its peers, and one route per allowed IP. Owns every peer, address and route
// of the device: what nobody desires is removed. Remembers which endpoints it tried, and nothing
// else.

import { createHash } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import type { Exec } from '../../common/exec.ts'
import type { Machine } from '../../common/machine.ts'
import type { Tunnel } from '../../proto/gen/mallee/v1/desired_pb.js'
import { formatCidr, mustCidr } from '../../topology/cidr.ts'
import { ascending } from '../../topology/order.ts'
import { never } from '../../topology/result.ts'
import { ipBatch, type Link, listLinks, listRoutes } from '../host/ip.ts'
import * as wg from '../host/wg.ts'
import type { Paths } from '../paths.ts'
import { nextEndpoint, remember, type Try } from './endpoints.ts'
import type { Underlay } from './underlay.ts'

/** An end of a tunnel as it shall be. */
export interface WgLinkPeer
  extends Pick<Tunnel, 'publicKey' | 'presharedKey' | 'endpoints' | 'allowedIps' | 'keepaliveS'> {
  /** What gets through to it, when that is less than the device's MTU. */
  readonly routeMtu?: number | null
}

export interface WgLinkDesired {
  readonly device: string
  /** With length. */
  readonly address: string
  readonly mtu: number
  readonly listenPort: number
  readonly publicKey: string
  readonly peers: readonly WgLinkPeer[]
  /** False: the main table leads to no allowed IP. */
  readonly hasRoutes?: boolean
}

export interface WgLinkSeen {
  readonly link: Link | null
  readonly device: wg.WgDevice | null
  /** Destinations that leave by the device, with length; and behind it `mtu` where it has one. */
  readonly routes: readonly string[]
  readonly underlay: Underlay
  readonly tries: ReadonlyMap<string, Try>
  /** True when the underlay's addresses are others than at the last pass. */
  readonly moved: boolean
  readonly nowMs: number
}

export type WgLinkStep =
  | { readonly kind: 'create' }
  | { readonly kind: 'key'; readonly listenPort: number }
  | { readonly kind: 'ip'; readonly lines: readonly string[] }
  | { readonly kind: 'set'; readonly peer: wg.PeerSettings }
  | { readonly kind: 'endpoint'; readonly publicKey: string; readonly endpoint: string }
  | { readonly kind: 'remove'; readonly publicKey: string }

export interface WgLinkOptions {
  readonly paths: Paths
  readonly machine: Pick<Machine, 'wireguard'>
  readonly clock: Pick<Clock, 'nowMs'>
}

export class WgLink {
  readonly #options: WgLinkOptions
  readonly #device: string
  readonly #keyFile: string
  #tries: ReadonlyMap<string, Try> = new Map()
  #addresses: string | null = null

  constructor(options: WgLinkOptions, device: string, keyFile: string) {
    this.#options = options
    this.#device = device
    this.#keyFile = keyFile
  }

  /** `devices` are those that were just read, when they were. */
  async observe(
    exec: Exec,
    underlay: Underlay,
    devices: ReadonlyMap<string, wg.WgDevice> = new Map(),
  ): Promise<WgLinkSeen> {
    const device = this.#device
    const links = await listLinks(exec)
    const link = links.find(({ name }) => name === device) ?? null
    const read = async () => devices.get(device) ?? (await wg.readDevice(exec, device))
    const state = link === null ? null : await read()
    if (link !== null && state === null) {
      throw new MalleeError('Conflict', `${device} is there and does not answer wg`)
    }
    const nowMs = this.#options.clock.nowMs()
    this.#tries = new Map(
      (state?.peers ?? []).map((peer) => {
        const last = this.#tries.get(peer.publicKey) ?? null
        return [peer.publicKey, remember(peer, last, nowMs)]
      }),
    )
    const addresses = underlay.addresses.join()
    const moved = this.#addresses !== null && this.#addresses !== addresses
    this.#addresses = addresses
    const routes = link === null ? [] : await listRoutes(exec, device)
    return {
      link,
      device: state,
      routes: routes
        .filter(({ protocol }) => protocol !== 'kernel')
        .map(({ destination, mtu }) => routeText(destination, mtu)),
      underlay,
      tries: this.#tries,
      moved,
      nowMs,
    }
  }

  async apply(exec: Exec, step: WgLinkStep): Promise<void> {
    const { paths, machine, clock } = this.#options
    const device = this.#device
    switch (step.kind) {
      case 'create': {
        mkdirSync(paths.runDir, { recursive: true })
        const logFile = join(paths.runDir, 'wireguard.log')
        const { wireguard } = machine
        return wg.createDevice(exec, { device, wireguard, logFile })
      }
      case 'key':
        return wg.setDevice(exec, device, { keyFile: this.#keyFile, ...step })
      case 'ip':
        return ipBatch(exec, step.lines)
      case 'set':
        this.#tried(step.peer.publicKey, step.peer.endpoint, clock.nowMs())
        return wg.setPeer(exec, device, step.peer, paths.stateDir)
      case 'endpoint':
        this.#tried(step.publicKey, step.endpoint, clock.nowMs())
        return wg.setEndpoint(exec, device, step.publicKey, step.endpoint)
      case 'remove':
        return wg.removePeer(exec, device, step.publicKey)
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

export function planWgLink(desired: WgLinkDesired, seen: WgLinkSeen): WgLinkStep[] {
  const steps: WgLinkStep[] = []
  const { link, device } = seen
  if (link === null) steps.push({ kind: 'create' })
  if (device?.publicKey !== desired.publicKey || device.listenPort !== desired.listenPort) {
    steps.push({ kind: 'key', listenPort: desired.listenPort })
  }
  const lines = linkLines(desired, link)
  if (lines.length > 0) steps.push({ kind: 'ip', lines })
  const have = new Map((device?.peers ?? []).map((peer) => [peer.publicKey, peer]))
  const peers = desired.peers.toSorted((a, b) => ascending(a.publicKey, b.publicKey))
  // Set before remove: WireGuard hands an allowed IP over to the peer that names it last, so one
  // that comes back with a new key keeps its routes all the way through.
  for (const peer of peers) {
    const step = peerStep(peer, have.get(peer.publicKey) ?? null, seen)
    if (step !== null) steps.push(step)
  }
  const wanted = new Set(peers.map(({ publicKey }) => publicKey))
  for (const publicKey of [...have.keys()].sort(ascending)) {
    if (!wanted.has(publicKey)) steps.push({ kind: 'remove', publicKey })
  }
  const routes = routeLines(desired, seen.routes)
  if (routes.length > 0) steps.push({ kind: 'ip', lines: routes })
  return steps
}

function linkLines({ device, address, mtu }: WgLinkDesired, link: Link | null): string[] {
  const lines: string[] = []
  // No link-local address of the kernel's: a neighbour of nobody, and each time another one.
  if (link === null) lines.push(`link set dev ${device} addrgenmode none`)
  if (link?.mtu !== mtu) lines.push(`link set dev ${device} mtu ${mtu}`)
  if (!link?.up) lines.push(`link set dev ${device} up`)
  const have = link?.addresses ?? []
  if (!have.some(({ cidr }) => cidr === address)) {
    // Not for what else the host sends: it would be the first address that is found.
    const how = address.includes(':') ? 'nodad' : 'scope link'
    lines.push(`address add ${address} dev ${device} ${how}`)
  }
  for (const { cidr } of have) {
    if (cidr !== address) lines.push(`address del ${cidr} dev ${device}`)
  }
  return lines
}

function peerStep(wanted: WgLinkPeer, peer: wg.WgPeer | null, seen: WgLinkSeen): WgLinkStep | null {
  const { publicKey, keepaliveS } = wanted
  const last = seen.tries.get(publicKey) ?? null
  const presharedKey = Buffer.from(wanted.presharedKey).toString('base64')
  const allowedIps = prefixesOf(wanted).sort(ascending)
  // A userspace socket keeps the source address that it had: set again, it looks for another.
  const again = seen.moved ? (peer?.endpoint ?? null) : null
  const { nowMs, underlay } = seen
  const endpoint = nextEndpoint(wanted, peer, last, { nowMs, ...underlay }) ?? again
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

function routeLines(
  { device, peers, hasRoutes = true }: WgLinkDesired,
  routes: readonly string[],
): string[] {
  const leading = hasRoutes ? peers : []
  const wanted = new Map(
    leading.flatMap((peer) => prefixesOf(peer).map((cidr) => [cidr, peer.routeMtu ?? 0] as const)),
  )
  const have = new Set(routes)
  const gone = routes.map((text) => text.split(' ')[0] ?? '').filter((cidr) => !wanted.has(cidr))
  return [
    ...[...wanted]
      .map(([cidr, mtu]) => routeText(cidr, mtu))
      .filter((text) => !have.has(text))
      .map((text) => `route replace ${text} dev ${device}`),
    ...gone.map((cidr) => `route del ${cidr} dev ${device}`),
  ]
}

/** Locked: IPv6 takes no other MTU of a route for what it forwards. */
function routeText(cidr: string, mtu = 0): string {
  return mtu === 0 ? cidr : `${cidr} mtu lock ${mtu}`
}

// As wg and ip write them, so that they compare equal.
function prefixesOf({ allowedIps }: Pick<WgLinkPeer, 'allowedIps'>): string[] {
  return allowedIps.map((cidr) => formatCidr(mustCidr(cidr)))
}

// Compares secrets in a time that says nothing about them.
function digest(secret: string): string {
  return createHash('sha256').update(secret).digest('hex')
}
