// The CC's network as one part of a host: what may pass, then gateways and who gets which address,
// then tunnels and forwarding, in this order, so that nothing is reachable before its guard stands.

import { mkdir, rm } from 'node:fs/promises'
import type { Clock } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import type { Exec } from '../../common/exec.ts'
import type { Log } from '../../common/log.ts'
import type { Machine } from '../../common/machine.ts'
import { type Reconciler, reconcileOnce } from '../../common/reconcile.ts'
import type { RackConfig } from '../../proto/gen/mallee/v1/desired_pb.js'
import type { Status } from '../../proto/gen/mallee/v1/observed_pb.js'
import { bodies, bodyAt, type Desired } from '../../proto/resources.ts'
import { guardReconciler, removeGuard } from '../host/guard.ts'
import { listLinks } from '../host/ip.ts'
import { deleteTable } from '../host/nft.ts'
import { restoreOriginals } from '../host/originals.ts'
import { flowsInstalled, replaceFlows, type Switch } from '../host/ovs.ts'
import { sharedReads } from '../host/shared-reads.ts'
import { ensureSwitch, stopSwitch } from '../host/switch.ts'
import { keepTrunk } from '../host/trunk.ts'
import { ensureKey, readDevice } from '../host/wg.ts'
import type { Paths } from '../paths.ts'
import type { RoleDriver } from '../role.ts'
import { announceReconciler, removeAnnounced } from './announce.ts'
import { dhcpReconciler, removeDhcp } from './dhcp.ts'
import { fabricAddress } from './far-ends.ts'
import { filterPass } from './filter-pass.ts'
import { keepMetadata, metadataKeyFile } from './metadata/keep.ts'
import type { MetadataService } from './metadata/service.ts'
import { EDGE_TABLE, TUNNEL_DEVICE } from './names.ts'
import { gatewayOf, networksReconciler } from './networks.ts'
import { PeerLinks } from './peer-links.ts'
import { reversePathReconciler, reversePathsOf } from './reverse-path.ts'
import { removeRouting, routingReconciler } from './routing.ts'
import { newsOf, tunnelStatuses } from './statuses.ts'
import { type Tenants, tenantsOf, vpnLinksOf } from './tenants.ts'
import { keyFile, Tunnels } from './tunnels.ts'
import { endpointsAt, type PublicSide, readUnderlay } from './underlay.ts'
import { vpnKinds } from './vpn-kinds.ts'
import { VpnLinks } from './vpn-links.ts'
import { removeVxlans, vxlanDesired, vxlanReconciler } from './vxlan.ts'

export interface CcOptions {
  readonly exec: Exec
  readonly paths: Paths
  readonly machine: Pick<Machine, 'wireguard' | 'ovs' | 'ipsec'>
  readonly clock: Clock
  readonly log: Log
  readonly config: CcConfig
}

export interface CcConfig {
  readonly host: string
  readonly hostIndex: number
  /** The NIC that joins the rack's hosts; null on a rack of one. */
  readonly trunk: string | null
  readonly wireguardPort: number
  /** Where other racks reach us, `host:port`; empty to find out. */
  readonly endpoints: readonly string[]
  /** Where tenants meet the world; null for where the host's own default routes lead. */
  readonly public: PublicSide | null
  /** False with the role nc on this host: then that one keeps the switch's flows. */
  readonly ownsFlows: boolean
}

/** After a pass, how often a tunnel that was never heard is looked at before the next pass. */
const LOOKS = 8
const LOOK_EVERY_MS = 500
/** How often it is looked who of a peer cloud is heard, until passes ought to have come. */
const WATCHES = 10
const WATCH_EVERY_MS = 2_000

const BASE_FLOWS = ['table=0,priority=0,actions=NORMAL']

/** Makes the key if there is none yet. Throws NotSupported when the host lacks what a CC needs. */
export async function openCc(options: CcOptions): Promise<Cc> {
  const { paths, machine } = options
  if (machine.wireguard === 'missing') {
    throw new MalleeError('NotSupported', 'this host has neither WireGuard nor wireguard-go')
  }
  await mkdir(paths.stateDir, { recursive: true })
  const publicKey = await ensureKey(keyFile(paths))
  const cc = new Cc(options, publicKey, await keepMetadata(options))
  await cc.findEndpoints()
  return cc
}

/** A CC's network on its host. What it made stays when the process ends; `removeAll` ends it. */
export class Cc implements RoleDriver {
  readonly #options: CcOptions
  readonly #publicKey: string
  readonly #tunnels: Tunnels
  readonly #peers: PeerLinks
  readonly #vpns: VpnLinks
  readonly #metadata: MetadataService
  readonly #listeners = new Set<() => void>()
  #endpoints: readonly string[] = []
  #statuses: readonly Status[] = []
  #looking = new AbortController()

  constructor(options: CcOptions, publicKey: string, metadata: MetadataService) {
    this.#options = options
    this.#publicKey = publicKey
    this.#tunnels = new Tunnels(options)
    this.#peers = new PeerLinks(options)
    this.#vpns = new VpnLinks(options, vpnKinds(options))
    this.#metadata = metadata
  }

  wireguardPublicKey(): string {
    return this.#publicKey
  }

  wireguardEndpoints(): readonly string[] {
    return this.#endpoints
  }

  statuses(): readonly Status[] {
    return [...this.#statuses, ...this.#peers.statuses(), ...this.#vpns.statuses()]
  }

  onStatus(listener: () => void): () => void {
    this.#listeners.add(listener)
    const off = this.#peers.onNews(listener)
    return () => {
      off()
      this.#listeners.delete(listener)
    }
  }

  /** Makes a complete desired state true; what it does not name is removed. */
  async pass(desired: Desired): Promise<void> {
    const { config } = this.#options
    this.#looking.abort()
    const rack = bodyAt(desired, 'rack', 'rack')
    if (rack === null) throw new MalleeError('BadMessage', 'the desired state names no rack')
    const exec = sharedReads(this.#options.exec)
    const links = bodies(desired, 'peerLink')
    await this.#peers.removeUnwanted(exec, links)
    await this.#vpns.removeUnwanted(exec, vpnLinksOf(desired, config.host))
    const sw = await ensureSwitch({ ...this.#options, exec })
    await this.#switchPass(exec, sw)
    const tenants = await this.#edgePass(exec, sw, rack, desired)
    await this.#servicesPass(exec, rack, desired, tenants)
    await this.#once(
      this.#tunnels.reconciler(exec, {
        address: fabricAddress(rack, config.hostIndex),
        mtu: rack.mtu,
        listenPort: config.wireguardPort,
        publicKey: this.#publicKey,
        tunnels: bodies(desired, 'tunnel'),
      }),
    )
    await this.#peers.pass(exec, links)
    // Last of the network: by now all devices are there.
    const reverse = reversePathsOf(tenants, config.public?.device ?? null)
    await this.#once(reversePathReconciler({ ...this.#options, exec }, reverse))
    await this.findEndpoints(exec)
    await this.#look(exec, desired)
    this.#looking = new AbortController()
    void this.#lookOn(desired, this.#looking.signal)
  }

  /** Removes every interface, table, bridge and daemon that a CC makes; its files stay. */
  async removeAll(): Promise<void> {
    const { exec, paths } = this.#options
    await this.close()
    const links = await listLinks(exec)
    if (links.some(({ name }) => name === TUNNEL_DEVICE)) {
      await exec(['ip', 'link', 'delete', 'dev', TUNNEL_DEVICE])
    }
    await this.#peers.removeAll(exec)
    await this.#vpns.removeAll(exec)
    await removeDhcp(exec, paths)
    await removeAnnounced(exec)
    await removeRouting(exec)
    await removeVxlans(exec)
    await removeGuard(exec, 'vxlan')
    await stopSwitch({ exec, paths })
    await removeGuard(exec, 'trunk')
    await restoreOriginals(exec, paths)
    // Last: until forwarding is what it was, nothing may pass.
    await deleteTable(exec, 'inet', EDGE_TABLE)
    await rm(keyFile(paths), { force: true })
    await rm(metadataKeyFile(paths), { force: true })
    this.#statuses = []
  }

  /** Ends what runs in this process only. */
  async close(): Promise<void> {
    this.#looking.abort()
    this.#peers.close()
    await this.#vpns.close()
    await this.#metadata.close()
  }

  /** Where other racks reach us now: as configured, else at the addresses of the default routes. */
  async findEndpoints(exec: Exec = this.#options.exec): Promise<void> {
    const { config } = this.#options
    if (config.endpoints.length > 0) {
      this.#endpoints = config.endpoints
      return
    }
    const { addresses } = await readUnderlay(exec)
    this.#endpoints = endpointsAt(addresses, config.wireguardPort)
  }

  async #switchPass(exec: Exec, sw: Switch): Promise<void> {
    const { paths, config } = this.#options
    await keepTrunk({ exec, paths, sw, trunk: config.trunk }, this.#options.log)
    if (config.ownsFlows && !(await flowsInstalled(exec, sw, BASE_FLOWS))) {
      await replaceFlows(exec, sw, BASE_FLOWS)
    }
  }

  // What moves a public address comes first, all of it before what takes its time.
  async #edgePass(exec: Exec, sw: Switch, rack: RackConfig, desired: Desired): Promise<Tenants> {
    const { paths, config, log } = this.#options
    const publicSide = await this.#publicSide(exec)
    const around = { fabric: rack.cloudFabric, publicSide }
    const before = tenantsOf(desired, config.host, { ...around, vpnDevices: this.#vpns.devices() })
    const { networks } = before
    const host = { rackIndex: rack.rackIndex, hostIndex: config.hostIndex }
    const tenants = await filterPass({ exec, log, vpns: this.#vpns }, before)
    const ports = networks.map((network) => gatewayOf(network, host))
    await this.#once(networksReconciler({ exec, sw }, ports))
    const [local = ''] = fabricAddress(rack, config.hostIndex).split('/')
    const vxlans = vxlanDesired(tenants, { local, mtu: rack.mtu })
    const guarded = sw.datapath === 'netdev' ? [...vxlans.ports.keys()] : []
    await this.#once(vxlanReconciler({ exec, sw, log }, vxlans))
    await this.#once(guardReconciler({ exec, group: 'vxlan', ports: () => guarded }))
    await this.#once(routingReconciler(exec, tenants))
    await this.#once(announceReconciler({ exec, paths, log }, tenants))
    return tenants
  }

  async #servicesPass(
    exec: Exec,
    rack: RackConfig,
    desired: Desired,
    { networks, interfaces }: Tenants,
  ): Promise<void> {
    const lists = {
      ...{ networks, interfaces, rackNetworks: bodies(desired, 'network') },
      members: bodies(desired, 'member'),
      tunnels: bodies(desired, 'tunnel'),
      names: bodies(desired, 'name'),
    }
    await this.#metadata.pass(lists.interfaces, bodies(desired, 'instance'))
    await this.#once(dhcpReconciler({ ...this.#options, exec }, { rack, ...lists }))
  }

  async #publicSide(exec: Exec): Promise<PublicSide | null> {
    const { config } = this.#options
    if (config.public === null) return (await readUnderlay(exec)).publicSide
    const device = config.public.device
    if ((await listLinks(exec)).some(({ name, up }) => name === device && up)) return config.public
    // Everything else of the rack shall work on.
    this.#options.log.warn('the public interface is not there or down', { device })
    return null
  }

  async #once<Seen, Step>(reconciler: Reconciler<Seen, Step>): Promise<void> {
    await reconcileOnce(reconciler, this.#options.log)
  }

  // A first handshake comes a moment after the pass that set the peer, and somebody waits for it.
  // After that, a peer cloud's border that falls silent is soon to be replaced.
  async #lookOn(desired: Desired, signal: AbortSignal): Promise<void> {
    for (let look = 0; look < LOOKS + WATCHES; look += 1) {
      const isAwaited = look < LOOKS && this.#silent()
      if (!isAwaited && !this.#peers.isWatching()) return
      await this.#options.clock.sleep(isAwaited ? LOOK_EVERY_MS : WATCH_EVERY_MS, signal)
      if (signal.aborted) return
      await this.#look(this.#options.exec, desired).catch(() => undefined)
    }
  }

  async #look(exec: Exec, desired: Desired): Promise<void> {
    const device = await readDevice(exec, TUNNEL_DEVICE)
    const before = newsOf(this.statuses())
    this.#statuses = tunnelStatuses(bodies(desired, 'tunnel'), device?.peers ?? [])
    await this.#peers.look(exec)
    await this.#vpns.look(exec)
    if (newsOf(this.statuses()) === before) return
    for (const listener of this.#listeners) listener()
  }

  #silent(): boolean {
    const isUnheard = this.#statuses.some(
      ({ body }) => body.case === 'tunnel' && body.value.receivedBytes === 0n,
    )
    return isUnheard || this.#peers.isAwaiting() || this.#vpns.isAwaiting()
  }
}
