// The public endpoint over TLS.

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { get } from 'node:https'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { connect } from 'node:tls'
import { systemClock } from '../../../common/clock.ts'
import { exec } from '../../../common/exec.ts'
import { silentLog } from '../../../common/log.ts'
import { createMetrics } from '../../../gateway/metrics.ts'
import { serialConsoles } from '../../../gateway/serial/consoles.ts'
import type { State } from '../../../gateway/store/state.ts'
import { SerialStream } from '../../../proto/serial-stream.ts'
import { framePair } from '../../support/serial-frames.ts'
import { tlsCertificate } from '../../support/tls-certificate.ts'
import { codeIn } from './sign.ts'
import { CALLER, KEY, REGION, secretOf, startEndpoint } from './support.ts'

const MALLEE = join(import.meta.dirname, '../../../gateway/cli/main.ts')
/** For a program to start on a busy machine. */
const START_MS = 60_000

async function makeCertificate(
  t: TestContext,
): Promise<{ key: string; cert: string; certFile: string }> {
  const { keyFile, certFile } = await tlsCertificate(t)
  return { key: readFileSync(keyFile, 'utf8'), cert: readFileSync(certFile, 'utf8'), certFile }
}

test('createApiServer with a certificate speaks TLS from 1.2 on, within limits', async (t) => {
  const { key, cert } = await makeCertificate(t)
  const tls = { key, cert }
  const { port } = await startEndpoint(t, { tls })
  async function ask(headers: Record<string, string>): Promise<string> {
    const request = get({ host: '127.0.0.1', port, ca: tls.cert, headers, agent: false })
    const [response] = await once(request, 'response')
    return codeIn(await text(response))
  }
  assert.equal(await ask({}), 'MissingAuthenticationToken')
  assert.equal(await ask({ x: 'x'.repeat(40_000) }), 'MissingAuthenticationToken')
  assert.equal(await ask({ x: 'x'.repeat(70_000) }), 'RequestEntityTooLargeException')

  const old = { host: '127.0.0.1', port, ca: tls.cert, ciphers: 'ALL:@SECLEVEL=0' } as const
  const socket = connect({ ...old, minVersion: 'TLSv1', maxVersion: 'TLSv1.1' })
  const [error] = await once(socket, 'error')
  assert.match(String(error.code), /PROTOCOL_VERSION/)
})

test('a serial console opens over TLS too, for a user who trusts the certificate', async (t) => {
  const { key, cert, certFile } = await makeCertificate(t)
  const instance = { id: 'i-01234567', account: CALLER.account, state: 'running' }
  const view = { get: (kind: string) => (kind === 'account' ? { serialConsole: true } : instance) }
  const state = { fresh: async () => view, onChange: () => () => undefined } as unknown as State
  const [near, far] = framePair()
  const host = new SerialStream(far)
  const serial = serialConsoles({
    ...{ state, secretOf, authorize: async () => undefined, region: REGION },
    ...{ clock: systemClock, log: silentLog, metrics: createMetrics(), requestId: randomUUID },
    lines: { open: async () => new SerialStream(near) },
  })
  const { port } = await startEndpoint(t, { tls: { key, cert }, serial })
  const argv = [process.execPath, MALLEE, 'serial-console', instance.id]
  const env = {
    AWS_ACCESS_KEY_ID: KEY.accessKeyId,
    AWS_SECRET_ACCESS_KEY: KEY.secretAccessKey,
    AWS_REGION: REGION,
    AWS_ENDPOINT_URL: `https://127.0.0.1:${port}`,
    HOME: '/nonexistent',
  }
  const strange = await exec(argv, { env, okCodes: [4], timeoutMs: START_MS })
  assert.match(strange.stderr, /does not answer: .*certificate/)
  const trusting = { ...env, AWS_CA_BUNDLE: certFile }
  const { stderr } = await exec(argv, { env: trusting, input: 'typed', timeoutMs: START_MS })
  assert.match(stderr, /Connected to i-01234567/)
  assert.deepEqual(String((await host.toArray()).join('')), 'typed')
})
