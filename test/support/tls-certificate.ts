// A certificate for 127.0.0.1 that signs itself, as an operator gives it to the public endpoint.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { exec } from '../../common/exec.ts'
import type { Ending } from './cloud.ts'

export async function tlsCertificate(
  end: Ending,
): Promise<{ readonly keyFile: string; readonly certFile: string }> {
  const directory = await mkdtemp(join(tmpdir(), 'mallee-tls-'))
  end.after(() => rm(directory, { recursive: true }))
  const [keyFile, certFile] = [join(directory, 'key.pem'), join(directory, 'cert.pem')]
  const curve = 'ec_paramgen_curve:P-256'
  await exec([
    ...['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', curve, '-nodes'],
    ...['-subj', '/CN=mallee', '-addext', 'subjectAltName=IP:127.0.0.1'],
    ...['-keyout', keyFile, '-out', certFile],
  ])
  return { keyFile, certFile }
}
