// The public endpoint over TLS.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { get } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { connect } from 'node:tls'
import { exec } from '../../../common/exec.ts'
import { codeIn } from './sign.ts'
import { startEndpoint } from './support.ts'

test('createApiServer with a certificate speaks TLS from 1.2 on, within limits', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'mallee-tls-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const [keyFile, certFile] = [join(directory, 'key.pem'), join(directory, 'cert.pem')]
  await exec([
    ...[
      'openssl',
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
    ],
    ...['-subj', '/CN=mallee', '-addext', 'subjectAltName=IP:127.0.0.1'],
    ...['-keyout', keyFile, '-out', certFile],
  ])
  const tls = { key: readFileSync(keyFile, 'utf8'), cert: readFileSync(certFile, 'utf8') }
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
