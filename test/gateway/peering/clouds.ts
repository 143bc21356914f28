// Independent clouds on loopback, each with a store, a CA and the peering part of a gateway: real
// TLS between them, no racks.

import { copyFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { randomHex, systemClock } from '../../../common/clock.ts'
import { silentLog } from '../../../common/log.ts'
import {
  type CertificateAuthority,
  certificateRequest,
  createCa,
  newKey,
  signRequest,
} from '../../../common/pki.ts'
import { createMetrics } from '../../../gateway/metrics.ts'
import { type AcceptTerms, acceptPeer } from '../../../gateway/peering/accepting.ts'
import { mintPeerInvitation } from '../../../gateway/peering/invitations.ts'
import { DEFAULT_LIMITS } from '../../../gateway/peering/limits.ts'
import { openPeering, type Peering } from '../../../gateway/peering/open.ts'
import { openState } from '../../../gateway/store/mirror.ts'
import type { PeerRecord, PeerTerms } from '../../../gateway/store/peer-records.ts'
import { openSqlite } from '../../../gateway/store/sqlite.ts'
import type { State } from '../../../gateway/store/state.ts'
import type { Store } from '../../../gateway/store/store.ts'
import { type RpcServer, startRpcServer } from '../../../proto/server.ts'
import type { TlsIdentity } from '../../../proto/tls.ts'
import { until } from '../../../sandbox/until.ts'
import type { Ending } from '../../support/cloud.ts'
import { MovedClock } from '../../support/moved-clock.ts'
import { freePorts } from '../../support/ports.ts'
import { peerOf } from './links.ts'

export const OPEN_TERMS = { accounts: null, borders: null, limits: DEFAULT_LIMITS } as const
const HOUR_MS = 3_600_000

export interface CloudOptions {
  readonly region?: string
  /** Others may have the same; a right one of its own when not given. */
  readonly clock?: MovedClock
  /** For each of its gateways; one of SQLite in its folder when not given. */
  readonly openStore?: () => Promise<Store>
  /** What the store is to its first gateway. */
  readonly hold?: Hold
  readonly ca?: CertificateAuthority
}

export type Hold = (store: Store) => Store

/** A gateway of a cloud, with its own sight of the store. */
export interface Gateway {
  readonly state: State
  readonly peering: Peering
  readonly stop: () => Promise<void>
}

/** A cloud of another owner. */
export class PeerCloud {
  readonly name: string
  readonly region: string
  readonly dir: string
  ca: CertificateAuthority
  readonly clock: MovedClock
  identity: TlsIdentity
  readonly #openStore: CloudOptions['openStore']
  readonly #hold: Hold
  #ports: readonly number[]
  readonly #others: Gateway[] = []
  #running: (Gateway & { store: Store; join: RpcServer }) | null = null

  constructor(
    made: Pick<PeerCloud, 'name' | 'region' | 'dir' | 'ca' | 'clock' | 'identity'>,
    ports: readonly number[],
    { openStore, hold = asItIs }: Pick<CloudOptions, 'openStore' | 'hold'>,
  ) {
    this.name = made.name
    this.region = made.region
    this.dir = made.dir
    this.ca = made.ca
    this.clock = made.clock
    this.identity = made.identity
    this.#ports = ports
    this.#openStore = openStore
    this.#hold = hold
  }

  get state(): State {
    return this.#live.state
  }

  get peering(): Peering {
    return this.#live.peering
  }

  get peeringPort(): number {
    return this.#ports[1] ?? 0
  }

  /** While it is stopped. */
  async moveElsewhere(): Promise<void> {
    this.#ports = await freePorts(2)
  }

  async start(): Promise<void> {
    const { name, region } = this
    const [joinPort = 0, peeringPort = 0] = this.#ports
    const open = () => openSqlite({ file: join(this.dir, 'store.db'), log: silentLog })
    const store = await (this.#openStore ?? open)()
    const state = await this.#stateOf(this.#hold(store))
    if (state.view().get('cloud', 'self') === null) {
      const pools = { fabricPrefix: 'fd12:3456:789a::/48', ipv6Pool: 'fd77:7777:7700::/40' }
      const cloud = { name, region, ...pools, ipv4Pools: ['10.0.0.0/8'], createdAtMs: 1 }
      await state.update((tx) => tx.put('cloud', ['self'], cloud))
    }
    const peering = await this.#open(state, peeringPort)
    const rpc = await startRpcServer({
      ...{ sessionAddress: '127.0.0.1:0', joinAddress: `127.0.0.1:${joinPort}` },
      ...{ sessionServices: [], joinServices: [peering.joinService] },
      ...{ identity: this.identity, log: silentLog },
    })
    const stop = async () => {
      await peering.stop()
      await rpc.close()
      await state.close()
      await store.close()
    }
    this.#running = { state, peering, store, join: rpc, stop }
  }

  /** Another gateway of this cloud, at another port; `hold` is what its store is to it. */
  async another(hold = asItIs): Promise<Gateway> {
    const store = await (this.#openStore?.() ?? Promise.resolve(this.#live.store))
    const state = await this.#stateOf(hold(store))
    const peering = await this.#open(state, 0)
    const stop = async () => {
      await peering.stop()
      await state.close()
      if (store !== this.#running?.store) await store.close()
    }
    const gateway = { state, peering, stop }
    this.#others.push(gateway)
    return gateway
  }

  #stateOf(store: Store): Promise<State> {
    return openState({ store, clock: this.clock, log: silentLog })
  }

  #open(state: State, peeringPort: number): Promise<Peering> {
    const { clock, name, ca } = this
    return openPeering({
      ...{ state, ca, clock, randomHex, log: silentLog, gateway: `${name}-${randomHex(4)}` },
      config: {
        ...{ stateDir: this.dir, listenHost: '127.0.0.1', peeringPort },
        ...{ reachableAt: null, peeringReachableAt: null },
      },
      identity: () => this.identity,
      joinPort: () => this.#ports[0] ?? 0,
      chance: () => 0,
      metrics: createMetrics(),
    })
  }

  async stop(): Promise<void> {
    for (const other of this.#others.splice(0)) await other.stop()
    await this.#running?.stop()
    this.#running = null
  }

  /** What the store holds now, for `restore`. */
  async backUp(): Promise<void> {
    await this.stop()
    await copyFile(join(this.dir, 'store.db'), join(this.dir, 'backup.db'))
    await this.start()
  }

  async restore(): Promise<void> {
    await this.stop()
    for (const end of ['-wal', '-shm']) await rm(join(this.dir, `store.db${end}`), { force: true })
    await copyFile(join(this.dir, 'backup.db'), join(this.dir, 'store.db'))
    await this.start()
  }

  async invite(terms: Partial<PeerTerms> = {}, ttlMs = HOUR_MS): Promise<string> {
    const whole = { name: 'other', ...OPEN_TERMS, ...terms }
    return (await mintPeerInvitation(this.peering.inviting, { terms: whole, ttlMs })).text
  }

  accept(text: string, terms: Partial<AcceptTerms> = {}): Promise<PeerRecord> {
    return acceptPeer(this.peering.inviting, text, { ...OPEN_TERMS, ...terms })
  }

  /** Its only peer. */
  peer(): PeerRecord {
    return peerOf(this)
  }

  get #live() {
    if (this.#running === null) throw new Error(`${this.name} does not run`)
    return this.#running
  }
}

export async function startPeerCloud(
  t: Ending,
  name: string,
  { region = `au-${name}-1`, clock = new MovedClock(), ...options }: CloudOptions = {},
): Promise<PeerCloud> {
  const dir = await mkdtemp(join(tmpdir(), 'mallee-peer-'))
  const ca = options.ca ?? (await createCa({ cloud: name, nowMs: systemClock.nowMs() }))
  const identity = await gatewayIdentity(ca, name)
  const made = { name, region, dir, ca, clock, identity }
  const cloud = new PeerCloud(made, await freePorts(2), options)
  t.after(async () => {
    await cloud.stop()
    await rm(dir, { recursive: true, force: true })
  })
  await cloud.start()
  return cloud
}

function asItIs(store: Store): Store {
  return store
}

/** Both know what the other states. */
export async function acquainted(...clouds: readonly PeerCloud[]): Promise<void> {
  for (const cloud of clouds) {
    await until(`${cloud.name} has told all and heard all`, () => {
      const { heard, stated } = cloud.peer()
      return heard.sequence > 0 && stated.sequence > 0
    })
  }
}

/** Two that have agreed, and then the second one stops: of it only the identity is used. */
export async function hostilePair(t: Ending): Promise<[east: PeerCloud, west: PeerCloud]> {
  const [east, west] = await Promise.all([startPeerCloud(t, 'east'), startPeerCloud(t, 'west')])
  await west.accept(await east.invite())
  await acquainted(east, west)
  await west.stop()
  return [east, west]
}

/** As a gateway of that cloud has it. */
export async function gatewayIdentity(
  ca: CertificateAuthority,
  name: string,
  days = 1,
): Promise<TlsIdentity> {
  const { keyPem } = await newKey()
  const { certificatePem } = await signRequest(ca, await certificateRequest(keyPem), {
    ...{ identity: { kind: 'gateway', cloud: name }, nowMs: systemClock.nowMs() },
    ...{ days, server: true },
  })
  return { certificatePem, keyPem, caPem: ca.certificatePem }
}
