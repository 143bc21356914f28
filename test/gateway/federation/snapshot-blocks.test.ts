// Snapshots' bytes from an SC through its CC to the gateway and back: who may bring and read what.

import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import type * as grpc from '@grpc/grpc-js'
import { relaySnapshotBlocks } from '../../../cluster-agent/sc/snapshot-relay.ts'
import { systemClock } from '../../../common/clock.ts'
import { MalleeError } from '../../../common/errors.ts'
import type { Identity } from '../../../common/identity.ts'
import { keyFingerprint } from '../../../common/pki.ts'
import { sha256Of } from '../../../common/snapshot-manifest.ts'
import { gatewaySnapshotBlocks } from '../../../gateway/federation/snapshot-blocks.ts'
import type { SnapshotRecord, VolumeRecord } from '../../../gateway/store/volume-records.ts'
import type { RpcServer } from '../../../proto/server.ts'
import { dial } from '../../../proto/service.ts'
import {
  remoteSnapshotBlocks,
  type SnapshotBlocksEnd,
  snapshotBlocksService,
} from '../../../proto/snapshot-blocks.ts'
import { clientCredentials, peerIdentity, type TlsIdentity } from '../../../proto/tls.ts'
import { makeCloud, startServer } from '../../proto/cloud.ts'
import { changesOf, host, startView, type Write } from '../control/records.ts'
import { volume } from '../control/volume-changes.ts'
import { block, bring, type ChunkGround, chunksOver } from '../ebs/chunks/support.ts'
import { snapshot } from '../ebs/snapshot-support.ts'
import { type StoreMaker, sqliteMaker } from '../store/stores.ts'

const cloud = await makeCloud()
const [OLD, NEW, OTHER] = ['0', '1', '2'].map((digit) => `snap-${digit.repeat(17)}`) as [
  string,
  string,
  string,
]
const sealed = (byte: number) => ({ sha256: sha256Of(block(byte)), bytes: block(byte) })
const member = (name: string, roles: ('cc' | 'sc' | 'nc')[]): Identity => ({
  ...{ kind: 'host', cloud: cloud.name, rack: 'a', host: name, roles },
})
const refused = { code: 'NotAllowed' }

describe("a rack's hosts and snapshots' bytes", () => {
  let maker: StoreMaker
  let ground: ChunkGround
  let view: ReturnType<typeof startView>
  let revision = 1
  const servers: RpcServer[] = []
  const ends: (() => Promise<void>)[] = []
  const clients: grpc.Client[] = []
  let viaCc: grpc.Client
  let asCc: grpc.Client
  let manifest: string
  let sessionIsOpen = true

  function link(to: RpcServer, as: TlsIdentity): grpc.Client {
    const client = dial(
      '127.0.0.1',
      to.sessionPort,
      clientCredentials(as, () => true),
    )
    clients.push(client)
    return client
  }
  const ask = (client: grpc.Client, of: string, id: string): SnapshotBlocksEnd =>
    remoteSnapshotBlocks(client, { host: of, snapshotId: id }, systemClock)
  function say(...records: readonly Write[]): void {
    revision += 1
    view.apply(changesOf(records, revision), revision)
  }
  const sayVolume = (more: Partial<VolumeRecord>): void =>
    say(['volume/vol-1', volume('vol-1', more)])
  const saySnapshot = (id: string, more: Partial<SnapshotRecord>): void =>
    say([`volume-snapshot/${id}`, snapshot(id, more)])

  before(async () => {
    maker = await sqliteMaker()
    ground = await chunksOver({ after: (run) => ends.push(run) }, await maker.make({ keep: 1 }))
    const [cc, sc, nc] = await Promise.all([
      cloud.issue(member('a-cc', ['cc'])),
      cloud.issue(member('a1', ['sc'])),
      cloud.issue(member('a2', ['nc'])),
    ])
    const record = (name: string, identity: TlsIdentity, roles: ('cc' | 'sc' | 'nc')[]): Write => {
      const fingerprint = keyFingerprint(identity.certificatePem)
      return [`host/a/${name}`, { ...host('a', name, 1, 'k'), roles, keyFingerprint: fingerprint }]
    }
    view = startView(record('a-cc', cc, ['cc']), record('a1', sc, ['sc']), record('a2', nc, ['nc']))
    const door = gatewaySnapshotBlocks({
      state: { view: () => view },
      sessions: { isOpen: ({ host: name }) => sessionIsOpen && name === 'a-cc' },
      bytes: ground.snapshots,
    })
    const gateway = await startServer(cloud.gateway, {
      sessionServices: [snapshotBlocksService(door)],
    })
    asCc = link(gateway, cc)
    const relay = relaySnapshotBlocks({ connection: () => asCc, clock: systemClock }, (call) => {
      const peer = peerIdentity(call)
      if (peer.kind === 'host') return peer.host
      throw new MalleeError('NotAllowed', 'no host')
    })
    const node = await startServer(cc, { sessionServices: [snapshotBlocksService(relay)] })
    servers.push(node, gateway)
    viaCc = link(node, sc)
    link(node, nc)
    manifest = await bring(ground, OLD, { 3: 1 })
  })
  beforeEach(() => {
    sessionIsOpen = true
    sayVolume({ snapshot: '' })
    saySnapshot(OLD, { state: 'completed', manifest, host: 'a9' })
    saySnapshot(NEW, { base: OLD })
    saySnapshot(OTHER, { host: 'a3' })
  })
  after(async () => {
    for (const client of clients) client.close()
    for (const server of servers) await server.close()
    await maker.stop()
    for (const end of ends) await end()
  })

  test('who takes a snapshot brings it, and reads what it compares with', async () => {
    const end = ask(viaCc, 'a1', NEW)
    assert.deepEqual(await end.missing([sealed(1).sha256, sealed(2).sha256]), [sealed(2).sha256])
    await end.putBlock(sealed(2))
    assert.deepEqual(await end.missing([sealed(2).sha256]), [])
    const old = ask(viaCc, 'a1', OLD)
    assert.equal(sha256Of(await old.root()), manifest)
    assert.ok(Buffer.from(block(1)).equals(await old.block(3)))
    await assert.rejects(old.block(4), { code: 'NotFound' })
    await assert.rejects(old.page('leaf', 1), { code: 'NotFound' })
    assert.deepEqual(await end.putRoot(await old.root()), [], 'nothing changed')
    await assert.rejects(end.root(), refused, 'nobody makes a volume of it here')
    // It has bytes of its own now, and nothing of its base is kept for it.
    await ground.snapshots.dropManifest(NEW)
  })

  test('what it is compared with is kept for it while it brings its own', async () => {
    const old = ask(viaCc, 'a1', OLD)
    for (const [base, source] of [
      [OLD, ''],
      ['', OLD],
    ] as const) {
      saySnapshot(NEW, { base, volume: 'vol-1' })
      sayVolume({ snapshot: source, missingBytes: 0 })
      await old.root()
      await ground.snapshots.dropManifest(OLD)
      assert.equal(sha256Of(await old.root()), manifest)
      await ground.snapshots.holdManifest(manifest, OLD)
      await ground.snapshots.dropManifest(NEW)
    }
  })

  test('who does not take it brings nothing, nor learns what is there', async () => {
    for (const [id, more] of [
      [OTHER, {}],
      [NEW, { deletedAtMs: 1 }],
      [NEW, { state: 'completed' }],
      [NEW, { rack: 'b' }],
      ['snap-99999999999999999', null],
    ] as const) {
      if (more !== null) saySnapshot(id, { host: id === OTHER ? 'a3' : 'a1', ...more })
      const end = ask(viaCc, 'a1', id)
      await assert.rejects(end.missing([sealed(1).sha256]), refused)
      await assert.rejects(end.putBlock(sealed(1)), refused)
      await assert.rejects(end.putPage(new Uint8Array(9)), refused)
      await assert.rejects(end.putRoot(new Uint8Array(9)), refused)
    }
  })

  test('a host reads a snapshot of which it fills a volume, and no other one', async () => {
    saySnapshot(NEW, { base: '', volume: 'vol-2' })
    const end = ask(viaCc, 'a1', OLD)
    await assert.rejects(end.root(), refused)
    for (const [more, isAllowed] of [
      [{}, true],
      [{ missingBytes: 5 }, true],
      [{ missingBytes: 0 }, false],
      [{ host: 'a3' }, false],
      [{ rack: 'b' }, false],
    ] as const) {
      sayVolume({ snapshot: OLD, ...more })
      if (isAllowed) assert.ok(Buffer.from(block(1)).equals(await end.block(3)))
      else await assert.rejects(end.block(3), refused)
    }
    sayVolume({ snapshot: NEW })
    await assert.rejects(ask(viaCc, 'a1', NEW).root(), { code: 'NotFound' })
  })

  test('nobody asks for another host, or without the role sc', async () => {
    sayVolume({ snapshot: OLD })
    await assert.rejects(ask(viaCc, 'a3', OLD).root(), refused)
    const [, , asNc] = clients
    assert.ok(asNc !== undefined)
    await assert.rejects(ask(asNc, 'a2', OLD).root(), refused)
    await assert.rejects(ask(asNc, 'a1', OLD).root(), refused)
    // A CC speaks for hosts that keep bytes, and as long as it has a session.
    assert.equal(sha256Of(await ask(asCc, 'a1', OLD).root()), manifest)
    await assert.rejects(ask(asCc, 'a2', OLD).root(), refused)
    sessionIsOpen = false
    await assert.rejects(ask(asCc, 'a1', OLD).root(), refused)
  })
})
