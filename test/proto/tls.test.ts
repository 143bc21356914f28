// Who may talk to whom, by certificate.

import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { connect, type PeerCertificate } from 'node:tls'
import { systemClock } from '../../common/clock.ts'
import { silentLog } from '../../common/log.ts'
import { keyFingerprint } from '../../common/pki.ts'
import type { RpcServer } from '../../proto/server.ts'
import { sessionService } from '../../proto/session-server.ts'
import { peerIdentity, peerKeyFingerprint } from '../../proto/tls.ts'
import { until } from '../../sandbox/until.ts'
import { hostOf, makeCloud, startServer } from './cloud.ts'
import { makeClient, TestAgent, TestParent } from './ends.ts'
import { HELLO, openRaw } from './raw-session.ts'

const cloud = await makeCloud('c1')
const other = await makeCloud('c1')
const TIMING = { clock: systemClock, log: silentLog, heartbeatMs: 100, leaseMs: 1000 }

describe('the session port', () => {
  let parent: TestParent
  let server: RpcServer
  beforeEach(async () => {
    parent = new TestParent('c1')
    server = await startServer(cloud.gateway, { sessionServices: [sessionService(parent, TIMING)] })
  })
  afterEach(() => server.close())

  test('refuses the certificate of another cloud, also one of the same name', async (t) => {
    const foreign = await other.issue(hostOf(other, 'a-1'))
    const raw = openRaw(server.sessionPort, { ...foreign, caPem: cloud.caPem })
    t.after(() => raw.close())
    raw.send(HELLO)
    await until('it is refused', () => raw.ended())
    assert.equal(raw.error()?.code, 'Unavailable')
    assert.deepEqual(parent.log, [])
  })

  test('refuses a certificate of this CA that says another cloud', async (t) => {
    const stray = await cloud.issue({ ...hostOf(cloud, 'a-1'), cloud: 'c2' })
    const raw = openRaw(server.sessionPort, stray)
    t.after(() => raw.close())
    raw.send(HELLO)
    await until('it is refused', () => raw.ended())
    assert.equal(raw.error()?.code, 'NotAllowed')
    assert.deepEqual(parent.log, [])
  })

  test('refuses whoever has no certificate', async () => {
    const { port } = { port: server.sessionPort }
    const socket = connect({
      port,
      host: '127.0.0.1',
      ca: cloud.caPem,
      checkServerIdentity: () => undefined,
    })
    const [error] = await once(socket, 'error')
    assert.match(String(error), /certificate required|ECONNRESET|EPIPE/i)
  })

  test('speaks no TLS older than 1.3', async () => {
    const member = await cloud.issue(hostOf(cloud, 'a-1'))
    const socket = connect({
      port: server.sessionPort,
      host: '127.0.0.1',
      maxVersion: 'TLSv1.2',
      ca: cloud.caPem,
      cert: member.certificatePem,
      key: member.keyPem,
      checkServerIdentity: () => undefined,
    })
    const [error] = await once(socket, 'error')
    assert.match(String(error), /protocol version|unsupported protocol/i)
  })

  test('is not spoken to when the server is of another cloud', async (t) => {
    const impostor = await startServer(other.gateway, {
      sessionServices: [sessionService(parent, TIMING)],
    })
    t.after(() => impostor.close())
    const client = await makeClient(cloud, impostor.sessionPort, new TestAgent())
    t.after(() => client.stop())
    client.start()
    const { trouble } = await client.wait((s) => s.trouble !== null, AbortSignal.timeout(5000))
    assert.equal(trouble?.code, 'Unavailable')
    assert.deepEqual(parent.log, [])
  })

  test('is not spoken to when the server is a member that was not meant', async (t) => {
    const cc = await startServer(await cloud.issue(hostOf(cloud, 'a-2')), {
      sessionServices: [sessionService(parent, TIMING)],
    })
    t.after(() => cc.close())
    const client = await makeClient(cloud, cc.sessionPort, new TestAgent())
    t.after(() => client.stop())
    client.start()
    const { trouble } = await client.wait((s) => s.trouble !== null, AbortSignal.timeout(5000))
    assert.match(trouble?.message ?? '', /rack\/a\/host\/a-2.*not who was meant/)
    assert.deepEqual(parent.log, [])
  })

  test('is listened on for IPv4 and IPv6 at once', async (t) => {
    const { startRpcServer } = await import('../../proto/server.ts')
    const both = await startRpcServer({
      sessionAddress: '[::]:0',
      joinAddress: '[::]:0',
      sessionServices: [sessionService(parent, TIMING)],
      joinServices: [],
      identity: cloud.gateway,
      log: silentLog,
    })
    t.after(() => both.close())
    for (const host of ['127.0.0.1', '::1', 'localhost']) {
      const client = await makeClient(cloud, 0, new TestAgent(), {
        connect: [{ host, port: both.sessionPort }],
      })
      client.start()
      await client.wait((s) => s.connected, AbortSignal.timeout(5000))
      await client.stop()
    }
  })

  test('that is taken already is said so', async () => {
    await assert.rejects(
      startServer(cloud.gateway, {}, server.sessionPort),
      /cannot listen on 127.0.0.1:\d+: .*EADDRINUSE/,
    )
  })
})

test('peerIdentity and peerKeyFingerprint know each certificate from the others', async () => {
  const hosts = ['a-1', 'a-2', 'a-1']
  const issued = await Promise.all(hosts.map((host) => cloud.issue(hostOf(cloud, host))))
  const calls = issued.map(({ certificatePem }) => {
    const { raw } = new X509Certificate(certificatePem)
    return { getAuthContext: () => ({ sslPeerCertificate: { raw } as PeerCertificate }) }
  })
  for (const _ of ['first', 'known']) {
    for (const [i, call] of calls.entries()) {
      assert.deepEqual(peerIdentity(call), hostOf(cloud, hosts[i] ?? ''))
      const { certificatePem = '' } = issued[i] ?? {}
      assert.equal(peerKeyFingerprint(call), keyFingerprint(certificatePem))
    }
  }
  assert.equal(new Set(calls.map(peerKeyFingerprint)).size, calls.length)
  const none = { getAuthContext: () => ({}) }
  assert.throws(() => peerIdentity(none), { code: 'NotAllowed' })
})
