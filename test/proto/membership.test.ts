// A host that is no member yet and the join port: what is sent before there is trust.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer as createPlainServer } from 'node:net'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { createServer as createTlsServer } from 'node:tls'
import { create } from '@bufbuild/protobuf'
import { systemClock } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import { silentLog } from '../../common/log.ts'
import { caDigest } from '../../common/pki.ts'
import {
  CheckResponseSchema,
  type JoinRequest,
  JoinResponseSchema,
} from '../../proto/gen/mallee/v1/membership_pb.js'
import {
  check,
  fetchPinnedCa,
  type JoinFields,
  join,
  relayMembership,
} from '../../proto/membership-client.ts'
import { type MembershipEnd, membershipService } from '../../proto/membership-server.ts'
import { sourceOf } from '../../proto/rate-limit.ts'
import type { RpcServer } from '../../proto/server.ts'
import { hostOf, makeCloud, startServer } from './cloud.ts'

const cloud = await makeCloud()
const digest = caDigest(cloud.caPem)
const FIELDS: JoinFields = {
  tokenId: '0123456789abcdef',
  tokenSecret: 's'.repeat(43),
  rack: 'a',
  host: 'a-1',
  roles: ['cc'],
  certificateRequest: new Uint8Array(100),
  agentVersion: '1.0',
}
const PARTS = { clock: systemClock, log: silentLog }

describe('membership', () => {
  let seen: JoinRequest[] = []
  let refuse: Error | null = null
  let server: RpcServer
  const more: RpcServer[] = []
  const end: MembershipEnd = {
    join: async (request) => {
      seen.push(request)
      if (refuse !== null) throw refuse
      return create(JoinResponseSchema, { cloud: 'c1', rackIndex: 7 })
    },
    check: async ({ join: request }) => {
      if (request !== undefined) seen.push(request)
      return create(CheckResponseSchema, { refusalCode: 'TokenExpired', clockMs: 5n })
    },
  }

  beforeEach(async () => {
    seen = []
    refuse = null
    server = await startServer(cloud.gateway, { joinServices: [membershipService(end, PARTS)] })
  })
  afterEach(async () => {
    await server.close()
    await Promise.all(more.splice(0).map((one) => one.close()))
  })

  const at = (port: number, caPem = cloud.caPem) => ({
    host: '127.0.0.1',
    port,
    caPem,
    clock: systemClock,
  })

  test('fetchPinnedCa finds the CA with the digest, and join trusts it', async () => {
    const caPem = await fetchPinnedCa('127.0.0.1', server.joinPort, digest)
    assert.equal(caDigest(caPem), digest)
    const { rackIndex } = await join(at(server.joinPort, caPem), FIELDS)
    assert.equal(rackIndex, 7)
    const { minProtocol, maxProtocol, rack, tokenSecret } = seen[0] as JoinRequest
    assert.deepEqual([minProtocol, maxProtocol, rack, tokenSecret], [1, 1, 'a', 's'.repeat(43)])
  })

  test('fetchPinnedCa sends no byte of a request to a server with another CA', async (t) => {
    let clients = 0
    let bytes = 0
    const impostor = createTlsServer({
      cert: cloud.gateway.certificatePem + cloud.caPem,
      key: cloud.gateway.keyPem,
      ALPNProtocols: ['h2'],
    })
    impostor.on('secureConnection', (socket) => {
      clients += 1
      socket.on('data', (data) => {
        bytes += data.length
      })
      socket.on('error', () => undefined)
    })
    impostor.listen(0, '127.0.0.1')
    await once(impostor, 'listening')
    t.after(() => impostor.close())
    const { port } = impostor.address() as AddressInfo
    const closed = new Promise((resolve) =>
      impostor.once('connection', (socket) => socket.once('close', resolve)),
    )
    await assert.rejects(fetchPinnedCa('127.0.0.1', port, 'ab'.repeat(32)), (error) => {
      assert.equal((error as MalleeError).code, 'CaMismatch')
      assert.match((error as MalleeError).message, new RegExp(`${digest}.*nothing was sent`))
      return true
    })
    await closed
    assert.deepEqual({ clients, bytes }, { clients: 1, bytes: 0 })
  })

  test('join sends nothing to a server that the pinned CA did not certify', async () => {
    const other = await makeCloud()
    const impostor = await startServer(other.gateway, {
      joinServices: [membershipService(end, PARTS)],
    })
    more.push(impostor)
    await assert.rejects(join(at(impostor.joinPort), FIELDS), { code: 'Unavailable' })
    assert.deepEqual(seen, [])
  })

  test('join sends nothing to a member that is neither gateway nor CC', async () => {
    const node = await cloud.issue({ ...hostOf(cloud, 'a-2'), roles: ['nc'] })
    const impostor = await startServer(node, { joinServices: [membershipService(end, PARTS)] })
    more.push(impostor)
    await assert.rejects(join(at(impostor.joinPort), FIELDS), { code: 'Unavailable' })
    assert.deepEqual(seen, [])
  })

  test('fetchPinnedCa says what is wrong with a server that is none', async (t) => {
    const plain = createPlainServer((socket) =>
      socket
        .on('error', () => undefined)
        .resume()
        .end('220 mail\r\n'),
    )
    plain.listen(0, '127.0.0.1')
    await once(plain, 'listening')
    const { port } = plain.address() as AddressInfo
    await assert.rejects(fetchPinnedCa('127.0.0.1', port, digest), { code: 'Unavailable' })
    plain.close()
    await once(plain, 'close')
    await assert.rejects(fetchPinnedCa('127.0.0.1', port, digest), /ECONNREFUSED/)
    const mute = createPlainServer((socket) => socket.on('error', () => undefined).resume())
    mute.listen(0, '127.0.0.1')
    await once(mute, 'listening')
    t.after(() => mute.close())
    await assert.rejects(
      fetchPinnedCa('127.0.0.1', (mute.address() as AddressInfo).port, digest, 200),
      /no answer in 200 ms/,
    )
  })

  for (const code of ['TokenUnknown', 'TokenExpired', 'TokenUsed', 'TokenWrongRack'] as const) {
    test(`join throws ${code} with the gateway's own sentence`, async () => {
      refuse = new MalleeError(code, 'the token — see «below»')
      await assert.rejects(join(at(server.joinPort), FIELDS), {
        code,
        message: 'the token — see «below»',
      })
    })
  }

  test('join learns nothing of an error inside the gateway', async () => {
    refuse = new Error('/secret/path is gone')
    await assert.rejects(join(at(server.joinPort), FIELDS), (error) => {
      assert.doesNotMatch(String(error), /secret/)
      return true
    })
  })

  test('check carries a refusal as an answer', async () => {
    const { refusalCode, clockMs } = await check(at(server.joinPort), FIELDS)
    assert.deepEqual([refusalCode, clockMs], ['TokenExpired', 5n])
  })

  test('relayMembership hands requests and refusals on as they are', async () => {
    const relay = relayMembership(
      cloud.caPem,
      [
        { host: '127.0.0.1', port: 1 },
        { host: '127.0.0.1', port: server.joinPort },
      ],
      (peer) => peer.kind === 'gateway',
      systemClock,
    )
    const cc = await startServer(await cloud.issue(hostOf(cloud, 'a-1')), {
      joinServices: [membershipService(relay, PARTS)],
    })
    more.push(cc)
    const { rackIndex } = await join(at(cc.joinPort), FIELDS)
    assert.equal(rackIndex, 7)
    refuse = new MalleeError('TokenUsed', 'used')
    await assert.rejects(join(at(cc.joinPort), FIELDS), { code: 'TokenUsed', message: 'used' })
  })

  for (const [what, fields] of [
    ['a rack that is no name', { rack: 'A/B' }],
    ['a host that is no name', { host: '../etc' }],
    ['a token id that is none', { tokenId: '*' }],
    ['a long secret', { tokenSecret: 'x'.repeat(65) }],
    ['many roles', { roles: ['cc', 'nc', 'sc', 'cc'] }],
    ['a long certificate request', { certificateRequest: new Uint8Array(4097) }],
    ['a long version', { agentVersion: 'x'.repeat(65) }],
  ] as const) {
    test(`the join port refuses ${what} before anybody decides`, async () => {
      const request = { ...FIELDS, ...fields } as JoinFields
      await assert.rejects(join(at(server.joinPort), request), { code: 'BadMessage' })
      assert.deepEqual(seen, [])
    })
  }

  test('the join port refuses a message over 64 KiB', async () => {
    const request = { ...FIELDS, certificateRequest: new Uint8Array(100_000) }
    await assert.rejects(join(at(server.joinPort), request), { code: 'BadMessage' })
    assert.deepEqual(seen, [])
  })

  test('the join port slows down a source that asks too often, and lets it in again', async () => {
    let nowMs = 1_000_000
    const clock = { ...systemClock, nowMs: () => nowMs }
    const slow = await startServer(cloud.gateway, {
      joinServices: [membershipService(end, { clock, log: silentLog })],
    })
    more.push(slow)
    const tries = async (count: number) => {
      const all = Array.from({ length: count }, () => join(at(slow.joinPort), FIELDS))
      const settled = await Promise.allSettled(all)
      return settled.filter((one) => one.status === 'fulfilled').length
    }
    // In groups, as only so many may be under way at once.
    assert.equal((await tries(30)) + (await tries(30)) + (await tries(30)), 60)
    await assert.rejects(join(at(slow.joinPort), FIELDS), { code: 'TooManyRequests' })
    nowMs += 2_000
    assert.equal(await tries(30), 10)
  })
})

for (const [peer, source] of [
  ['192.0.2.1:500', '192.0.2.1'],
  ['[::ffff:192.0.2.1]:500', '192.0.2.1'],
  ['[2001:db8:1:2:3:4:5:6]:500', '2001:db8:1:2::/64'],
  ['[2001:db8::6]:500', '2001:db8:0:0::/64'],
  ['[::1]:500', '0:0:0:0::/64'],
] as const) {
  test(`sourceOf ${peer} is ${source}`, () => {
    assert.equal(sourceOf(peer), source)
  })
}
