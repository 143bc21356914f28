// Certificates of hosts that are about to end, with a real gateway and real agents: what becomes of
// the hosts, and who is refused another certificate.

import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { connect } from 'node:tls'
import { identityDir } from '../../cluster-agent/paths.ts'
import { readProgress } from '../../cluster-agent/progress.ts'
import { systemClock } from '../../common/clock.ts'
import { exec } from '../../common/exec.ts'
import { certificateRequest, newKey, notAfterMs } from '../../common/pki.ts'
import { filesOf } from '../../gateway/files.ts'
import type { RenewResponse } from '../../proto/gen/mallee/v1/membership_pb.js'
import { askRenewal } from '../../proto/member.ts'
import { clientCredentials } from '../../proto/tls.ts'
import { until } from '../../sandbox/until.ts'
import { startCloud } from '../support/cloud.ts'
import { addHost, connected, type RackHost } from '../support/simulated-rack.ts'

const MALLEE = join(import.meta.dirname, '../../bin/mallee')
const DAY_MS = 86_400_000
/** Time for a host to start and to ask, on a busy machine. */
const SOON_MS = 12_000

const cloud = await startCloud({ after })
const cc = await addHost(cloud, {
  ...{ rack: 'a', host: 'a-cc', roles: ['cc', 'nc'], leftMs: SOON_MS },
})
const ccEndMs = notAfterMs(cc.identity.certificatePem)

test('a CC whose certificate ends soon gets another, and serves and dials with it', async () => {
  await until('it is renewed', () => hasYear(cc))
  const shown = async () => notAfterMs(await shownBy(cc.config.sessionPort).catch(() => oldOf(cc)))
  await until('it serves with it', async () => (await shown()) > ccEndMs)
  const kept = await readFile(join(identityDir(cc.paths), 'host.pem'), 'utf8')
  assert.equal(kept, cc.current().certificatePem)
})

test('a node of it gets another through it, and has its session', async () => {
  const node = await addHost(cloud, {
    ...{ rack: 'a', host: 'a-nc', roles: ['nc'], parent: cc, leftMs: SOON_MS },
  })
  await until('it is renewed', () => hasYear(node))
  await connected(cloud, [cc, node])
  const endMs = notAfterMs(node.identity.certificatePem)
  await until('both old ones have ended', () => systemClock.nowMs() > Math.max(endMs, ccEndMs), {
    timeoutMs: 2 * SOON_MS,
  })
  await assert.rejects(ask(cc, cc.identity), { code: 'Unavailable' })
  await cloud.stop()
  await until('the CC has no session', async () => !(await hasSession(cc)))
  await cloud.start()
  await until('the CC has one again', () => hasSession(cc))
  await cc.stop()
  await until('the node has no session', async () => !(await hasSession(node)))
  await cc.start()
  await until('the node has one again', () => hasSession(node))
})

test('a certificate with time enough stays as it is', async () => {
  const fresh = await addHost(cloud, { rack: 'b', host: 'b-all', roles: ['cc', 'nc'] })
  await connected(cloud, [fresh])
  assert.equal(fresh.current(), fresh.identity)
})

test('Renew refuses another key, and a node of another rack', async () => {
  const { keyPem } = await newKey()
  await assert.rejects(ask(cc, cc.current(), { keyPem }), { code: 'NotAllowed' })
  const other = await addHost(cloud, { rack: 'c', host: 'c-all', roles: ['cc', 'nc'] })
  await assert.rejects(ask(other, other.current(), { host: 'a-nc' }), { code: 'HostNotFound' })
})

test('a host that was taken out gets none', async () => {
  const gone = await addHost(cloud, { rack: 'd', host: 'd-all', roles: ['cc', 'nc'] })
  await connected(cloud, [gone])
  await cloud.local({ method: 'DELETE', path: '/v1/racks/d/hosts/d-all' })
  await assert.rejects(ask(gone, gone.current()), { code: 'HostNotFound' })
})

test('mallee status and the metrics say until when CA and gateway have certificates', async () => {
  const { caCertificate, certificate } = filesOf(cloud.config.stateDir)
  const endOf = async (file: string) => notAfterMs(await readFile(file, 'utf8'))
  const [caMs, gatewayMs] = [await endOf(caCertificate), await endOf(certificate)]
  const [socket, json] = [['--socket', cloud.config.socket], ['--json']]
  const { stdout: status } = await exec([MALLEE, 'status', ...socket, ...json])
  const { certificates } = JSON.parse(status) as { certificates: unknown }
  const expected = { ca: { notAfterMs: caMs }, gateway: { notAfterMs: gatewayMs } }
  assert.deepEqual(certificates, expected)
  const { stdout: text } = await exec([MALLEE, 'status', ...socket])
  const [caDay, day] = [caMs, gatewayMs].map((ms) => new Date(ms).toISOString().slice(0, 10))
  assert.ok(text.includes(`CA until ${caDay}, this gateway's until ${day}`), text)
  const answer = await fetch(`http://127.0.0.1:${cloud.config.adminPort}/metrics`)
  const metrics = await answer.text()
  for (const [of, ms] of Object.entries({ ca: caMs, gateway: gatewayMs })) {
    const line = `mallee_certificate_not_after_seconds{of="${of}"} ${ms / 1000}`
    assert.ok(metrics.includes(line), line)
  }
})

/** What the host would ask of its parent, but for what a test wants otherwise. */
async function ask(
  { config, current }: RackHost,
  identity = current(),
  { host = config.host, keyPem = identity.keyPem } = {},
): Promise<RenewResponse> {
  const parents = {
    endpoints: config.parents,
    credentials: () => clientCredentials(identity, () => true),
    clock: systemClock,
  }
  return askRenewal(parents, { host, certificateRequest: await certificateRequest(keyPem) })
}

async function hasSession({ paths }: RackHost): Promise<boolean> {
  return (await readProgress(paths))?.connected === true
}

function hasYear({ current }: RackHost): boolean {
  return notAfterMs(current().certificatePem) - systemClock.nowMs() > 360 * DAY_MS
}

function oldOf({ identity }: RackHost): string {
  return identity.certificatePem
}

/** The certificate that a server shows. */
async function shownBy(port: number): Promise<string> {
  const { certificatePem: cert, keyPem: key } = cc.current()
  const socket = connect({ host: '127.0.0.1', port, cert, key, rejectUnauthorized: false })
  try {
    await once(socket, 'secureConnect')
    return new X509Certificate(socket.getPeerCertificate().raw).toString()
  } finally {
    socket.destroy()
  }
}
