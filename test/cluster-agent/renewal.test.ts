// When a host asks for another certificate, what it takes, and what an operator hears of it.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { startAgent } from '../../cluster-agent/agent.ts'
import { type AgentConfig, CONFIG_DEFAULTS } from '../../cluster-agent/config.ts'
import { HeldIdentity } from '../../cluster-agent/identity.ts'
import { openHostRoles } from '../../cluster-agent/main-parts.ts'
import { identityDir } from '../../cluster-agent/paths.ts'
import { readProgress } from '../../cluster-agent/progress.ts'
import { checkRenewal, renewalTrouble } from '../../cluster-agent/renewal.ts'
import { isDue } from '../../common/certificate-life.ts'
import { systemClock } from '../../common/clock.ts'
import type { Identity } from '../../common/identity.ts'
import { silentLog } from '../../common/log.ts'
import { certificateRequest, createCa, newKey, signRequest } from '../../common/pki.ts'
import type { TlsIdentity } from '../../proto/tls.ts'
import { until } from '../../sandbox/until.ts'
import { type Ending, lastFirst } from '../support/cloud.ts'
import { freePorts } from '../support/ports.ts'

const DAY_MS = 86_400_000
const NOW_MS = systemClock.nowMs()
const ME = { kind: 'host', cloud: 'c1', rack: 'a', host: 'a-1', roles: ['nc'] } as const
const ca = await createCa({ cloud: 'c1', nowMs: NOW_MS })
const foreignCa = await createCa({ cloud: 'c1', nowMs: NOW_MS })
const { keyPem } = await newKey()

/** A certificate of a year that has so many days left. */
async function issue(
  leftDays: number,
  { identity = ME as Identity, key = keyPem, by = ca, days = 365 } = {},
): Promise<TlsIdentity> {
  const nowMs = NOW_MS + (leftDays - days) * DAY_MS
  const request = await certificateRequest(key)
  const { certificatePem } = await signRequest(by, request, {
    ...{ identity, nowMs, days, server: false },
  })
  return { certificatePem, keyPem: key, caPem: ca.certificatePem }
}

describe('renewal', () => {
  test('isDue holds in the last third of a life, and not when the CA ends as soon', async () => {
    for (const [leftDays, due] of [
      [123, false],
      [121, true],
      [0.01, true],
      [-1, true],
    ] as const) {
      assert.equal(isDue(await issue(leftDays), NOW_MS), due, `${leftDays} days left`)
    }
    const last = await issue(3650, { days: 5000 })
    assert.equal(isDue(last, NOW_MS + 3649 * DAY_MS), false)
  })

  test('renewalTrouble is silent until a week is left, then says the failure', async () => {
    const [month, days] = [await issue(30), await issue(6)]
    assert.equal(renewalTrouble(month, 'nobody answers', NOW_MS), null)
    assert.equal(renewalTrouble(days, 'nobody answers', NOW_MS), 'nobody answers')
    assert.equal(renewalTrouble(days, null, NOW_MS), null)
    const last = await issue(3650, { days: 5000 })
    const sentence = renewalTrouble(last, null, NOW_MS + 3649 * DAY_MS)
    assert.match(sentence ?? '', /^the certificate ends on \d{4}-\d\d-\d\dT.* with the cloud's CA/)
  })

  test('checkRenewal takes a certificate of our name, key and CA, and nothing else', async () => {
    const current = await issue(10)
    const offer = async (identity: TlsIdentity) => checkRenewal(ME, current, identity)
    await offer(await issue(365))
    const { keyPem: otherKey } = await newKey()
    const other = (name: object) => ({ identity: { ...ME, ...name } })
    for (const [what, wish, code] of [
      ['another key', { key: otherKey }, 'BadMessage'],
      ['another CA', { by: foreignCa }, 'BadMessage'],
      ['another host', other({ host: 'a-2' }), 'BadMessage'],
      ['another rack', other({ rack: 'b' }), 'BadMessage'],
      ['another cloud', other({ cloud: 'c2' }), 'BadMessage'],
    ] as const) {
      await assert.rejects(async () => offer(await issue(365, wish)), { code }, what)
    }
    const moved = { ...(await issue(365)), caPem: foreignCa.certificatePem }
    await assert.rejects(offer(moved), { code: 'CaMismatch' })
    await assert.rejects(offer({ ...current, certificatePem: 'nothing' }), { code: 'BadMessage' })
  })

  test('HeldIdentity keeps a certificate on the disk before it is current', async (t) => {
    const paths = makePaths(t)
    const first = await issue(10)
    const held = new HeldIdentity(paths, first)
    const { certificatePem } = await issue(365)
    await held.keep(certificatePem)
    assert.deepEqual(held.current(), { ...first, certificatePem })
    const kept = readFileSync(join(identityDir(paths), 'host.pem'), 'utf8')
    assert.equal(kept, certificatePem)
    const nowhere = new HeldIdentity({ ...paths, stateDir: '/dev/null' }, first)
    await assert.rejects(nowhere.keep(certificatePem), { code: 'ENOTDIR' })
    assert.equal(nowhere.current(), first)
  })

  for (const [what, leftDays, says, then] of [
    ['with six days left', 6, 'ends', /see whether 127\.0\.0\.1 port \d+ can be reached/],
    ['whose certificate has ended', -1, 'ended', /rack-join leave, then join with a new token$/],
  ] as const) {
    test(`a host ${what} that gets no other says so, and what to do`, async (t) => {
      const [port = 0] = await freePorts(1)
      const { paths } = await startHost(t, port, await issue(leftDays))
      const said = async () => (await readProgress(paths))?.trouble ?? ''
      await until('it says so', async () => (await said()) !== '')
      const end = new Date(Math.floor((NOW_MS + leftDays * DAY_MS) / 1000) * 1000).toISOString()
      const begin = `the certificate ${says} on ${end} and was not renewed: `
      assert.ok((await said()).startsWith(begin), await said())
      assert.match(await said(), then)
    })
  }

  test('an agent that asks a parent who never answers stops at once', async (t) => {
    const lines = new Set<Socket>()
    const silent = createServer((socket) => lines.add(socket.on('error', () => undefined)))
    silent.listen(0, '127.0.0.1')
    await once(silent, 'listening')
    t.after(() => {
      for (const socket of lines) socket.destroy()
      silent.close()
    })
    const { port } = silent.address() as AddressInfo
    const { agent } = await startHost(t, port, await issue(6))
    await until('the session and the renewal have dialled', () => lines.size >= 2)
    const startMs = systemClock.nowMs()
    await agent.stop()
    assert.ok(systemClock.nowMs() - startMs < 5_000)
  })
})

/** The agent of a node whose parent is at `port` of loopback; stopped with the test. */
async function startHost(t: Ending, port: number, first: TlsIdentity) {
  const end = lastFirst({ after: (step) => t.after(step) })
  const paths = makePaths(end)
  const config: AgentConfig = {
    ...CONFIG_DEFAULTS,
    ...{ cloud: 'c1', region: 'r', rack: 'a', rackIndex: 1, host: 'a-1', hostIndex: 1 },
    roles: ['nc'],
    parents: [{ host: '127.0.0.1', port, joinPort: port }],
    simulated: true,
  }
  const identity = new HeldIdentity(paths, first)
  const parts = { config, paths, log: silentLog }
  const { roles, facts } = await openHostRoles({ ...parts, identity: identity.current })
  const running = await startAgent({ ...parts, identity, roles, facts })
  let stopping: Promise<void> | null = null
  const stop = () => {
    stopping ??= running.stop()
    return stopping
  }
  end.after(stop)
  return { paths, agent: { stop } }
}

function makePaths(end: Ending) {
  const dir = mkdtempSync(join(tmpdir(), 'mallee-renewal-'))
  end.after(async () => rmSync(dir, { recursive: true, force: true }))
  const [stateDir, runDir] = [join(dir, 'state'), join(dir, 'run')]
  return { stateDir, runDir, configFile: join(dir, 'agent.json') }
}
