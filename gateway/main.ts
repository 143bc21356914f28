// The only place that builds a gateway: configuration → store → loops → listeners, and down again
// in the opposite order.

import type { AddressInfo } from 'node:net'
import { hostname } from 'node:os'
import { chance, randomHex, systemClock } from '../common/clock.ts'
import { MalleeError } from '../common/errors.ts'
import type { Log } from '../common/log.ts'
import { caDigest } from '../common/pki.ts'
import { blobService } from '../proto/blob.ts'
import { memberService } from '../proto/member.ts'
import { RenewableServer } from '../proto/renewable-server.ts'
import { SerialDesk, serialService } from '../proto/serial.ts'
import { address } from '../proto/service.ts'
import { SESSION_TIMING } from '../proto/session.ts'
import { sessionService } from '../proto/session-server.ts'
import { snapshotBlocksService } from '../proto/snapshot-blocks.ts'
import { storageService } from '../proto/storage.ts'
import { secretsOf } from './access-keys.ts'
import { createAudit } from './audit/audit.ts'
import { AuditFile } from './audit/file.ts'
import { createOperatorAudit } from './audit/operator.ts'
import { removePartialBlobs } from './blobs.ts'
import { bundlePrivateKey } from './bundles/bundle-key.ts'
import { GatewayCertificate, keepCertificate, readCa, readTls } from './certificate.ts'
import { startChunkLists } from './chunk-lists.ts'
import { askHost, serveCommands } from './control/commands.ts'
import { departHost } from './control/departure.ts'
import type { OpenRole } from './control/desired-metadata.ts'
import { startHousekeeping } from './control/housekeeping.ts'
import { startImports } from './control/imports.ts'
import { openCredentials } from './control/role-credentials.ts'
import { startScaling } from './control/scaling.ts'
import { startSnapshotKeeping } from './control/snapshot-keeping.ts'
import { upgradeRecords } from './control/upgrade.ts'
import { openSnapshots } from './ebs/chunks/open.ts'
import { directHandlers } from './ebs/direct/index.ts'
import { volumeSecrets } from './ebs/names.ts'
import { ensureDefaultVpcs } from './ec2/networks.ts'
import { gatewayBlobs } from './federation/blobs.ts'
import { joinService } from './federation/membership.ts'
import { gatewayParent } from './federation/parent.ts'
import { renewHost } from './federation/renewal.ts'
import { Sessions } from './federation/sessions.ts'
import { gatewaySnapshotBlocks } from './federation/snapshot-blocks.ts'
import { filesOf, type GatewayConfig } from './files.ts'
import { createAdminServer } from './http/admin-server.ts'
import { createApiServer } from './http/server.ts'
import { createThrottle } from './http/throttle.ts'
import { createAuthorizer } from './iam/authorize.ts'
import { keyUses } from './iam/key-uses.ts'
import { issuerArn } from './iam/principals.ts'
import { openIdentitySigner } from './identity-signer.ts'
import { startLocalServer } from './local/server.ts'
import { createMetrics } from './metrics.ts'
import { measured, problems, watchGauges } from './observe.ts'
import { startConnections } from './peering/connections.ts'
import { openPeering } from './peering/open.ts'
import { findObjects, takeObjects, takeSources } from './s3/image-objects.ts'
import { openS3 } from './s3/open.ts'
import { openSealer, type Sealer } from './secrets.ts'
import { serialConsoles } from './serial/consoles.ts'
import { serialLines } from './serial/lines.ts'
import { reachedAt } from './serial/reached-at.ts'
import { serviceHandlers } from './services.ts'
import { openState } from './store/mirror.ts'
import { openStore } from './store/open.ts'
import type { State } from './store/state.ts'
import { vpnKeys } from './vpn/keys.ts'

export interface Gateway {
  readonly apiPort: number
  readonly adminPort: number
  readonly sessionPort: number
  readonly joinPort: number
  readonly stop: () => Promise<void>
}

/** How long the answer to CreateSnapshot waits for the moment of the snapshot. */
const TAKEN_WITHIN_MS = 5_000

/** How soon a rack that went silent is noticed, in milliseconds. */
export interface GatewayTiming {
  readonly heartbeatMs: number
  readonly leaseMs: number
}

/** Store and keys of a cloud, for a gateway and for `mallee init`. */
export async function openCloud(
  config: GatewayConfig,
  log: Log,
  { create }: { create: boolean },
): Promise<{ state: State; sealer: Sealer; close: () => Promise<void> }> {
  const sealer = await openSealer(filesOf(config.stateDir).masterKey, { create })
  // Who makes a cloud writes a little and ends.
  const store = await openStore(config.store, { log, commitsApart: !create })
  const state = await openState({ store, clock: systemClock, log })
  return {
    state,
    sealer,
    close: async () => {
      await state.close()
      await store.close()
    },
  }
}

/**
 * Resolves when everything listens. Throws BadConfig without a cloud, Conflict when another process
 * has the store, Unavailable or Node's own error for a port or socket in use; nothing is left then.
 */
export async function startGateway(
  config: GatewayConfig,
  log: Log,
  timing: GatewayTiming = SESSION_TIMING,
): Promise<Gateway> {
  // What was opened, to be closed the other way round.
  const opened: (() => void | Promise<void>)[] = []
  try {
    const ports = await openGateway(config, log, timing, (close) => opened.push(close))
    return {
      ...ports,
      stop: async () => {
        log.info('gateway stops')
        await closeAll()
      },
    }
  } catch (error) {
    await closeAll()
    throw error
  }

  async function closeAll(): Promise<void> {
    for (const close of opened.splice(0).reverse()) await close()
  }
}

async function openGateway(
  config: GatewayConfig,
  log: Log,
  { heartbeatMs, leaseMs }: GatewayTiming,
  onStop: (close: () => void | Promise<void>) => void,
): Promise<Omit<Gateway, 'stop'>> {
  const clock = systemClock
  const ca = await readCa(config.stateDir)
  const { state: unmeasured, sealer, close } = await openCloud(config, log, { create: false })
  onStop(close)
  const metrics = createMetrics(config.bucketMetrics)
  const state = measured(unmeasured, metrics, clock)
  const cloud = state.view().get('cloud', 'self')
  if (cloud === null) {
    throw new MalleeError('BadConfig', `${config.store} holds no cloud, run 'mallee init' first`)
  }
  await upgradeRecords({ state, randomHex, log })
  await ensureDefaultVpcs(state, { nowMs: clock.nowMs(), randomHex, log })
  const { stateDir } = config
  const certificate = await GatewayCertificate.open({
    stateDir,
    ca,
    cloud: cloud.name,
    clock,
    log,
  })
  const identity = certificate.current
  const gateway = `${hostname()}-${randomHex(4)}`
  const sessions = new Sessions()
  const here = { state, sessions, gateway, cloud: cloud.name, identity, clock, log }
  const our = { state, randomHex, region: cloud.region, overcommit: config.volumeOvercommit }
  const s3 = await openS3(config, { ...here, ...our, sealer, chance, metrics })
  onStop(() => s3.close())
  const { storage, lanes } = s3
  const snapshots = openSnapshots({ ...here, storage, randomHex, chance, metrics })
  onStop(() => snapshots.stop())
  const { bytes } = snapshots
  const keeping = startSnapshotKeeping({ state, bytes, clock, chance, log })
  onStop(() => keeping.stop())
  const { bucketOn } = storage
  const tls = await readTls(config)
  const openKey = (pair: string, sealed: string): Uint8Array =>
    Buffer.from(sealer.open(sealed, `preshared-key/${pair}`), 'base64')
  const sign = await openIdentitySigner({ state, sealer, clock, cloud: cloud.name })
  const openRole: OpenRole = (record) => openCredentials(sealer, record)
  const vpn = { openVpnKey: vpnKeys(sealer) }
  const secrets = { openKey, sign, openRole, ...vpn, ...volumeSecrets(sealer) }
  const parent = gatewayParent({ state, sessions, secrets, cloud: cloud.name, clock, log })
  const desk = new SerialDesk(clock)
  const lines = serialLines({ ...here, desk, randomHex })
  const members = { state, ca, clock, log }
  const blobsDir = filesOf(config.stateDir).blobs
  await removePartialBlobs(blobsDir)
  const peering = await openPeering({
    ...{ state, config, ca, identity: certificate.current, gateway, clock, randomHex, chance, log },
    metrics,
    joinPort: () => rpc.ports().joinPort,
  })
  onStop(() => peering.stop())
  const rpc = new RenewableServer({
    sessionAddress: address(config.listenHost, config.sessionPort),
    joinAddress: address(config.listenHost, config.joinPort),
    identity: certificate.current,
    log,
    sessionServices: [
      sessionService(parent, { clock, log, heartbeatMs, leaseMs }),
      serialService(desk, lines.openFor),
      storageService(lanes, clock),
      blobService(gatewayBlobs(blobsDir)),
      snapshotBlocksService(gatewaySnapshotBlocks({ state, sessions, bytes })),
      memberService({
        leave: (caller, host) => departHost({ state, clock, bucketOn }, caller, host),
        renew: (caller, request) => renewHost(members, caller, request),
      }),
    ],
    joinServices: [joinService(members, () => rpc.ports().sessionPort), peering.joinService],
  })
  onStop(() => rpc.close())
  await rpc.ensure()
  onStop(startChunkLists({ state, blobsDir, log }))
  const { sessionPort, joinPort } = rpc.ports()
  const renewal = keepCertificate(certificate, rpc, { clock, chance, log })
  onStop(() => renewal.stop())
  onStop(serveCommands({ state, sessions, clock, log }))
  const housekeeping = startHousekeeping({
    ...{ state, sessions, sealer, gateway, leaseMs, clock, randomHex },
    reachedAt: reachedAt(config, sessionPort),
    startedAtMs: clock.nowMs(),
    chance,
    log,
  })
  onStop(() => housekeeping.stop())
  onStop(startScaling({ ...our, sealer, clock, chance, log, startedAtMs: clock.nowMs() }).stop)
  onStop(startConnections({ state, clock, chance, log }).stop)
  const bundleKey = () => bundlePrivateKey({ state, sealer, clock })
  const objects = { ...our, ...s3.where, guard: s3.service.guard, clock, blobsDir, bundleKey }
  const takeSource = takeSources(objects)
  onStop(startImports({ ...objects, takeSource, snapshotBytes: bytes, chance, log }).stop)
  onStop(watchGauges({ state, sessions, metrics, clock, certificateEnds: certificate.ends }))
  const { auditFileBytes: maxBytes, auditFiles: files, apiRateFactor: factor } = config
  const file = new AuditFile({ path: filesOf(stateDir).audit, maxBytes, files, log, metrics })
  onStop(() => file.close())
  const auditing = {
    ...{ file, log, metrics, region: cloud.region, eventId: () => crypto.randomUUID() },
  }
  const audit = createAudit({
    ...auditing,
    issuerArnOf: (caller) => issuerArn(state.view(), caller),
  })
  const door = {
    authorize: createAuthorizer({ state, sealer, region: cloud.region }),
    secretOf: secretsOf(state, sealer),
    keyUsed: keyUses({ state, log }),
    region: cloud.region,
    clock,
    log,
    metrics,
    requestId: () => crypto.randomUUID(),
    ...(files === 0 ? {} : { audit }),
    ...(factor === 0 ? {} : { throttle: createThrottle(factor) }),
  }
  const api = createApiServer({
    ...door,
    ...serviceHandlers({
      ...{ ...our, sealer },
      ...{ snapshotHolds: bytes, takenWithinMs: TAKEN_WITHIN_MS },
      takeObject: takeObjects(objects),
      findObject: findObjects(objects),
      volumeModificationMs: config.volumeModificationSeconds * 1000,
      consoleOutput: (id, rack, host) =>
        askHost({ state, sessions, clock, randomHex }, 'console-output', { id, rack, host }),
      askGuest: (kind, instance) => askHost({ state, sessions, clock, randomHex }, kind, instance),
    }),
    serial: serialConsoles({ ...door, state, lines }),
    s3: s3.service,
    direct: directHandlers({ state, randomHex, sealer, bytes }),
    ...(tls === null ? {} : { tls }),
  })
  onStop(() => api.close())
  await api.listen({ host: config.listenHost, port: config.apiPort })
  const admin = createAdminServer({ metrics, log, ready: () => problems(state) })
  onStop(() => admin.close())
  await admin.listen({ host: config.listenHost, port: config.adminPort })
  const local = await startLocalServer(config.socket, {
    ...{ objectReport: storage.keeper.report, objectStores: storage.names, bucketOn },
    ...{ targetState: storage.events.stateOf, snapshotReport: snapshots.report },
    ...{ state, sealer, sessions, clock, randomHex, blobsDir, log, peering },
    caDigest: caDigest(ca.certificatePem),
    certificateEnds: certificate.ends,
    ...(files === 0 ? {} : { audit: createOperatorAudit(auditing) }),
  })
  onStop(() => local.close())
  const apiPort = portOf(api.server.address())
  log.info('gateway is up', { gateway, cloud: cloud.name, apiPort })
  return { apiPort, adminPort: portOf(admin.server.address()), sessionPort, joinPort }
}

function portOf(listening: AddressInfo | string | null): number {
  return typeof listening === 'object' ? (listening?.port ?? 0) : 0
}
