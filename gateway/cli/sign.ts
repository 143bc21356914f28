// Signs a request without a body as AWS's clients do (Signature Version 4), for the commands that
// talk to the API as a user.

import { createHmac, hash } from 'node:crypto'
import type { AwsAccess } from './aws-profile.ts'

const ALGORITHM = 'AWS4-HMAC-SHA256'

/** Headers of a GET of `url`, which has no query and a path that needs no encoding. */
export function signedGet(
  { region, accessKeyId, secretAccessKey, sessionToken }: Omit<AwsAccess, 'endpoint' | 'ca'>,
  url: URL,
  service: string,
  nowMs: number,
): Record<string, string> {
  const time = `${new Date(nowMs).toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`
  const token = sessionToken === '' ? {} : { 'x-amz-security-token': sessionToken }
  const headers = { host: url.host, 'x-amz-date': time, ...token }
  const names = Object.keys(headers).join(';')
  const canonical = [
    ...['GET', url.pathname, ''],
    ...Object.entries(headers).map(([name, value]) => `${name}:${value}`),
    ...['', names, hash('sha256', '')],
  ].join('\n')
  const scope = [time.slice(0, 8), region, service, 'aws4_request']
  const key = scope.reduce<Buffer>(hmac, Buffer.from(`AWS4${secretAccessKey}`))
  const text = [ALGORITHM, time, scope.join('/'), hash('sha256', canonical)].join('\n')
  const authorization = [
    `${ALGORITHM} Credential=${[accessKeyId, ...scope].join('/')}`,
    `SignedHeaders=${names}`,
    `Signature=${hmac(key, text).toString('hex')}`,
  ].join(', ')
  return { ...headers, authorization }
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}
