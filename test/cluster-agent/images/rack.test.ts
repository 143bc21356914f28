// Images in a rack, over real connections: a gateway, a CC and nodes, each with certificates.

import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { type AgentConfig, CONFIG_DEFAULTS, type Parent } from '../../../cluster-agent/config.ts'
import {
  type NeighbourServer,
  startNeighbourServer,
} from '../../../cluster-agent/images/neighbour-server.ts'
import { openRackImages, type RackImages } from '../../../cluster-agent/images/rack-images.ts'
import { Members } from '../../../cluster-agent/members.ts'
import { imagesDir } from '../../../cluster-agent/paths.ts'
import { CHUNK_BYTES } from '../../../common/chunk-list.ts'
import { systemClock } from '../../../common/clock.ts'
import { silentLog } from '../../../common/log.ts'
import { keyFingerprint } from '../../../common/pki.ts'
import { gatewayBlobs } from '../../../gateway/federation/blobs.ts'
import { blobService, fetchChunk } from '../../../proto/blob.ts'
import { RackConfigSchema } from '../../../proto/gen/mallee/v1/desired_pb.js'
import { neighbourService } from '../../../proto/neighbours.ts'
import { type Desired, resource } from '../../../proto/resources.ts'
import type { RpcServer } from '../../../proto/server.ts'
import type { RpcService } from '../../../proto/service.ts'
import type { SecuredCall, TlsIdentity } from '../../../proto/tls.ts'
import { until } from '../../../sandbox/until.ts'
import { hostOf, makeCloud, startServer } from '../../proto/cloud.ts'
import { testImage } from './support.ts'

const IMAGE = testImage(24, [3])
const { sha256, listSha256 } = IMAGE.ref
const cloud = await makeCloud()

interface Member {
  readonly name: string
  readonly identity: TlsIdentity
  readonly config: AgentConfig
  readonly rack: RackImages
}

describe('images in a rack', () => {
  const root = mkdtempSync(join(tmpdir(), 'mallee-rack-'))
  const gatewayDir = join(root, 'gateway')
  const closing: (() => Promise<void>)[] = []
  const fingerprints = new Map<string, string>()
  let cc: Member
  let ccServer: RpcServer
  let gatewayReads = 0
  const nodes: Member[] = []
  const servers: NeighbourServer[] = []

  before(async () => {
    mkdirSync(gatewayDir)
    writeFileSync(join(gatewayDir, sha256), IMAGE.bytes)
    writeFileSync(join(gatewayDir, `${sha256}.chunks`), IMAGE.list.bytes)
    const files = gatewayBlobs(gatewayDir)
    const counted = blobService({
      ...files,
      chunk: (...call) => {
        gatewayReads += 1
        return files.chunk(...call)
      },
    })
    const without = await serve(cloud.gateway, [
      blobService({ ...gatewayBlobs(join(root, 'none')) }),
    ])
    const gateway = await serve(cloud.gateway, [counted])
    // The first gateway does not have it.
    cc = await member('cc-1', ['cc'], [parent(without), parent(gateway)])
    const { holders, end } = cc.rack
    ccServer = await serve(cc.identity, [
      blobService({ ...end, admit: admitTo(cc) }),
      neighbourService({
        admit: admitTo(cc),
        announced: holders.set.bind(holders),
        of: holders.of.bind(holders),
      }),
    ])
    for (const name of ['n-1', 'n-2', 'n-3']) {
      nodes.push(await member(name, ['nc'], [parent(ccServer)]))
    }
  })
  after(async () => {
    for (const close of closing.reverse()) await close()
    rmSync(root, { recursive: true })
  })

  test('many nodes at once have it of their CC, which fetches it once, from who has it', async () => {
    const [one, two] = nodes
    assert.ok(one && two)
    const both = [one, two].map(({ rack }) => rack.images.whole(sha256, listSha256))
    for (const file of await Promise.all(both)) assert.ok(readFileSync(file).equals(IMAGE.bytes))
    assert.equal(gatewayReads, IMAGE.list.count - 1)
    assert.ok(readFileSync(cc.rack.images.path(sha256)).equals(IMAGE.bytes))
  })

  test('a node fetches from neighbours that said that they have it', async () => {
    const [one, two, three] = nodes
    assert.ok(one && two && three)
    for (const node of [one, two]) servers.push(serverOf(node))
    await until('the CC has heard of both', () => cc.rack.holders.of(sha256, 'n-3').length === 2)
    await three.rack.images.whole(sha256, listSha256)
    const { fromNeighbours, fromParents } = three.rack.images.stats()
    assert.equal(fromNeighbours + fromParents, IMAGE.bytes.length - CHUNK_BYTES)
    assert.ok(fromNeighbours > 0, `${fromNeighbours} bytes`)
  })

  test('without its file and its gateways a CC gets it from its nodes', async () => {
    const again = await member('cc-1', ['cc'], [{ host: '127.0.0.1', port: 1, joinPort: 1 }])
    for (const [index, server] of servers.entries()) {
      const images = new Map([[sha256, true]])
      again.rack.holders.set(`n-${index + 1}`, {
        address: '127.0.0.1',
        port: server.port(),
        images,
      })
    }
    writeFileSync(`${again.rack.images.path(sha256)}.chunks`, IMAGE.list.bytes)
    await again.rack.images.whole(sha256, listSha256)
    assert.equal(again.rack.images.stats().fromParents, 0)
  })

  test('nobody of another rack, of another key, or who left gets a chunk', async () => {
    const [server] = servers
    const [, two] = nodes
    assert.ok(server && two)
    const ask = async (identity: TlsIdentity) => {
      const asking = openRackImages({ ...partsOf('asking', two.config), identity: () => identity })
      closing.push(asking.close)
      const at = { host: '127.0.0.1', port: server.port() }
      return asking.links.use(
        at,
        () => true,
        (client) => fetchChunk(client, IMAGE.ref, IMAGE.list, 0, systemClock.nowMs() + 5_000),
      )
    }
    assert.ok(await ask(two.identity))
    const far = { ...hostOf(cloud, 'n-2'), rack: 'b' }
    await assert.rejects(ask(await cloud.issue(far)), { code: 'NotAllowed' })
    const otherKey = await cloud.issue({ ...hostOf(cloud, 'n-2'), roles: ['nc'] })
    await assert.rejects(ask(otherKey), { code: 'NotAllowed' })
    const known = fingerprints.get('n-2') ?? ''
    fingerprints.delete('n-2')
    await assert.rejects(ask(two.identity), { code: 'NotAllowed' })
    fingerprints.set('n-2', known)
  })

  async function member(
    name: string,
    roles: AgentConfig['roles'],
    parents: readonly Parent[],
  ): Promise<Member> {
    const identity = await cloud.issue({ ...hostOf(cloud, name), roles: roles as ['cc'] })
    fingerprints.set(name, keyFingerprint(identity.certificatePem))
    const config: AgentConfig = {
      ...CONFIG_DEFAULTS,
      ...{ cloud: cloud.name, region: 'r', rack: 'a', rackIndex: 1, host: name, hostIndex: 1 },
      ...{ roles, parents, listenHost: '127.0.0.1', sessionPort: 0 },
    }
    const parts = partsOf(`${name}-${fingerprints.size}-${parents[0]?.port}`, config)
    const rack = openRackImages({ ...parts, identity: () => identity })
    closing.push(rack.close)
    return { name, identity, config, rack }
  }

  function partsOf(folder: string, config: AgentConfig) {
    const paths = { stateDir: join(root, folder), runDir: join(root, folder), configFile: '' }
    mkdirSync(imagesDir(paths), { recursive: true })
    return { config, paths, log: silentLog }
  }

  function desired(): Desired {
    const members = [...fingerprints].map(([host, keyOf]) => ({ host, keyFingerprint: keyOf }))
    const value = create(RackConfigSchema, { members })
    return new Map([['rack', resource('rack', { case: 'rack', value })]])
  }

  function admitTo({ config }: Member): (call: SecuredCall) => string {
    const members = new Members(config, desired)
    return (call) => members.admit(call)
  }

  function serverOf(node: Member): NeighbourServer {
    const { config, rack } = node
    const identity = () => node.identity
    const parts = { config, identity, images: rack, admit: admitTo(node), log: silentLog }
    const server = startNeighbourServer(parts)
    closing.push(server.close)
    return server
  }

  async function serve(
    identity: TlsIdentity,
    sessionServices: readonly RpcService[],
  ): Promise<RpcServer> {
    const server = await startServer(identity, { sessionServices })
    closing.push(server.close)
    return server
  }

  function parent({ sessionPort: port }: RpcServer): Parent {
    return { host: '127.0.0.1', port, joinPort: 1 }
  }
})
