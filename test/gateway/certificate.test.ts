// The gateway's own certificate: what is kept, what is made anew, and what its racks see of it.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { systemClock } from '../../common/clock.ts'
import { silentLog } from '../../common/log.ts'
import { certificateRequest, createCa, newKey, notAfterMs, signRequest } from '../../common/pki.ts'
import { GatewayCertificate, keepCertificate, readCa } from '../../gateway/certificate.ts'
import { filesOf } from '../../gateway/files.ts'
import { initFiles } from '../../gateway/init.ts'
import { RenewableServer } from '../../proto/renewable-server.ts'
import { SessionClient } from '../../proto/session-client.ts'
import { sessionService } from '../../proto/session-server.ts'
import { until } from '../../sandbox/until.ts'
import { TestAgent, TestParent } from '../proto/ends.ts'
import { handClock } from './store/states.ts'

const DAY_MS = 86_400_000
const NOW_MS = systemClock.nowMs()

describe('the certificate of a gateway', () => {
  let stateDir = ''
  const clock = handClock()
  beforeEach(async () => {
    stateDir = mkdtempSync(join(tmpdir(), 'mallee-certificate-'))
    clock.set(NOW_MS)
    await initFiles({ clock }, stateDir, 'c1')
  })
  afterEach(() => rmSync(stateDir, { recursive: true }))

  const open = async () =>
    GatewayCertificate.open({ stateDir, ca: await readCa(stateDir), cloud: 'c1', clock, log })
  const log = silentLog

  test('is kept until the last third of its year, then made anew for the same key', async () => {
    const first = (await open()).current()
    clock.set(NOW_MS + 240 * DAY_MS)
    assert.deepEqual((await open()).current(), first)
    clock.set(NOW_MS + 250 * DAY_MS)
    const second = await open()
    assert.equal(second.current().keyPem, first.keyPem)
    const [ca, gateway] = [3650 * DAY_MS, (250 + 365) * DAY_MS].map((ms) => inSeconds(NOW_MS + ms))
    assert.deepEqual(second.ends(), { ca, gateway })
    assert.deepEqual((await open()).current(), second.current())
  })

  test('is made anew when it is not of our key or CA, or cannot be read', async () => {
    const { certificatePem, keyPem } = (await open()).current()
    const { certificate, key } = filesOf(stateDir)
    await writeFile(certificate, 'half of it')
    assert.notEqual((await open()).current().certificatePem, certificatePem)
    await rm(key)
    assert.notEqual((await open()).current().keyPem, keyPem)
    const identity = { kind: 'gateway', cloud: 'c1' } as const
    const foreign = await signRequest(
      await createCa({ cloud: 'c1', nowMs: NOW_MS }),
      await certificateRequest(await readFile(key, 'utf8')),
      { identity, nowMs: NOW_MS, days: 365, server: true },
    )
    await writeFile(certificate, foreign.certificatePem)
    assert.notEqual((await open()).current().certificatePem, foreign.certificatePem)
  })

  test('that ends as the CA does is not made anew every day', async () => {
    clock.set(NOW_MS + 3600 * DAY_MS)
    const last = await open()
    assert.equal(last.ends().gateway, last.ends().ca)
    const before = last.current()
    clock.set(NOW_MS + 3649 * DAY_MS)
    await last.renewIfDue()
    assert.equal(last.current(), before)
  })

  test('changes while the gateway runs, and its racks come back to the same port', async (t) => {
    clock.set(NOW_MS - 300 * DAY_MS)
    const certificate = await open()
    const oldEndMs = certificate.ends().gateway
    const parent = new TestParent('c1')
    const timing = { clock: systemClock, log, heartbeatMs: 100, leaseMs: 1000 }
    const server = new RenewableServer({
      sessionAddress: '127.0.0.1:0',
      joinAddress: '127.0.0.1:0',
      sessionServices: [sessionService(parent, timing)],
      joinServices: [],
      identity: certificate.current,
      log,
    })
    await server.ensure()
    const { sessionPort } = server.ports()
    const client = await rack(stateDir, sessionPort)
    client.start()
    await until('the rack has a session', () => client.connected())
    clock.set(NOW_MS)
    const keeper = keepCertificate(certificate, server, { clock, chance: () => 0.5, log })
    t.after(async () => {
      await client.stop()
      await keeper.stop()
      await server.close()
    })
    await until('it has another one', () => client.connected() && client.state().sessions === 2)
    assert.equal(server.ports().sessionPort, sessionPort)
    assert.equal(certificate.ends().gateway, inSeconds(NOW_MS + 365 * DAY_MS))
    assert.ok(certificate.ends().gateway > oldEndMs)
    const kept = await readFile(filesOf(stateDir).certificate, 'utf8')
    assert.equal(notAfterMs(kept), certificate.ends().gateway)
  })
})

/** The CC of rack a. */
async function rack(stateDir: string, port: number): Promise<SessionClient> {
  const ca = await readCa(stateDir)
  const { keyPem } = await newKey()
  const { certificatePem } = await signRequest(ca, await certificateRequest(keyPem), {
    identity: { kind: 'host', cloud: 'c1', rack: 'a', host: 'a-1', roles: ['cc'] },
    nowMs: NOW_MS,
    days: 1,
    server: true,
  })
  return new SessionClient({
    agent: new TestAgent(),
    connect: [{ host: '127.0.0.1', port }],
    identity: () => ({ certificatePem, keyPem, caPem: ca.certificatePem }),
    expect: (peer) => peer.kind === 'gateway',
    clock: systemClock,
    log: silentLog,
    chance: () => 0.05,
    incarnation: 'i1',
    agentVersion: '1.0',
    simulated: true,
  })
}

/** X.509 knows whole seconds only. */
function inSeconds(ms: number): number {
  return Math.floor(ms / 1000) * 1000
}
