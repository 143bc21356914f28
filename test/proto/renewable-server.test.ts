// Certificates that change while both ends run: sessions over real TLS on loopback.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { connect } from 'node:tls'
import { systemClock } from '../../common/clock.ts'
import { silentLog } from '../../common/log.ts'
import { RenewableServer } from '../../proto/renewable-server.ts'
import { sessionService } from '../../proto/session-server.ts'
import { until } from '../../sandbox/until.ts'
import { hostOf, makeCloud } from './cloud.ts'
import { makeClient, TestAgent, TestParent } from './ends.ts'

const cloud = await makeCloud()
const stranger = await makeCloud()
const TIMING = { clock: systemClock, log: silentLog, heartbeatMs: 100, leaseMs: 1000 }

/** A server of `cloud` whose certificate is `now.identity`. */
function makeServer(parent: TestParent) {
  const now = { identity: cloud.gateway }
  const server = new RenewableServer({
    sessionAddress: '127.0.0.1:0',
    joinAddress: '127.0.0.1:0',
    sessionServices: [sessionService(parent, TIMING)],
    joinServices: [],
    identity: () => now.identity,
    log: silentLog,
  })
  const renew = async () => {
    now.identity = await cloud.issue({ kind: 'gateway', cloud: cloud.name })
  }
  return { server, now, renew }
}

async function shownAt(port: number): Promise<string> {
  const { certificatePem: cert, keyPem: key } = await cloud.issue(hostOf(cloud, 'a-9'))
  const socket = connect({ host: '127.0.0.1', port, cert, key, rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  const base64 = socket.getPeerCertificate().raw.toString('base64')
  socket.destroy()
  return base64
}

function base64Of(pem: string): string {
  return pem.replace(/-----[A-Z ]+-----|\s/g, '')
}

test('RenewableServer shows the newest certificate on the same ports, sessions come back', async (t) => {
  const parent = new TestParent(cloud.name)
  const { server, now, renew } = makeServer(parent)
  await server.ensure()
  const ports = server.ports()
  const { sessionPort, joinPort } = ports
  const client = await makeClient(cloud, sessionPort, new TestAgent())
  t.after(async () => {
    await client.stop()
    await server.close()
  })
  client.start()
  await until('there is a session', () => client.connected())
  await server.ensure()
  assert.equal(server.ports(), ports, 'nothing was opened anew without a reason')
  const before = await shownAt(sessionPort)
  await renew()
  await server.ensure()
  await until('the session is back', () => client.state().sessions === 2)
  for (const port of [sessionPort, joinPort]) {
    assert.equal(await shownAt(port), base64Of(now.identity.certificatePem))
    assert.notEqual(await shownAt(port), before)
  }
  const opened = ['opened a-1', 'closed a-1', 'opened a-1']
  const seen = parent.log.filter((line) => /^(opened|closed)/.test(line))
  assert.deepEqual(seen, opened, 'the old session ended before there was a new one')
  assert.equal(client.state().failures, 0, 'it was told Goodbye')
})

test('RenewableServer whose port was taken meanwhile opens when it is free', async (t) => {
  const { server, renew } = makeServer(new TestParent(cloud.name))
  await server.ensure()
  t.after(() => server.close())
  const { sessionPort } = server.ports()
  await server.close()
  const thief = createServer().listen(sessionPort, '127.0.0.1')
  await once(thief, 'listening')
  await renew()
  await assert.rejects(server.ensure(), { code: 'Unavailable' })
  assert.equal(server.ports().sessionPort, 0)
  await new Promise((resolve) => thief.close(resolve))
  await server.ensure()
  assert.equal(server.ports().sessionPort, sessionPort)
})

test('SessionClient dials with the certificate that is the newest then', async (t) => {
  const parent = new TestParent(cloud.name)
  const { server } = makeServer(parent)
  await server.ensure()
  const foreign = await stranger.issue(hostOf(stranger, 'a-1'))
  let identity = { ...foreign, caPem: cloud.caPem }
  const client = await makeClient(cloud, server.ports().sessionPort, new TestAgent(), {
    identity: () => identity,
  })
  t.after(async () => {
    await client.stop()
    await server.close()
  })
  client.start()
  await until('it was refused', () => client.state().failures > 0)
  assert.deepEqual(parent.log, [])
  identity = await cloud.issue(hostOf(cloud, 'a-1'))
  await until('it has a session', () => client.connected())
})
