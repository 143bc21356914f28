// Which requests of the public port are S3's: they never reach what parses forms, and have limits
// of their own, because a body may be large and take its time.

import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { TLSSocket } from 'node:tls'
import { createS3Calls } from './calls.ts'
import type { S3Options } from './running.ts'
import { bucketOfHost } from './target.ts'

/** The last part of the scope of a signature for S3, in a header and in a query. */
const SCOPE = /(?:\/|%2F)s3(?:\/|%2F)aws4_request/i
const ANY_SCOPE = /\/aws4_request/
const VERSION_2 = /^AWS /
const VERSION_2_QUERY = /[?&]AWSAccessKeyId=/
/** What clients of the Query services send without a signature: it is for them to be refused. */
const FORM = /^(?:GET|POST)$/

type Listener = (message: IncomingMessage, response: ServerResponse) => void

/**
 * Puts itself before whatever `server` does with requests. `isOthers` tells which paths are not
 * S3's though nobody signs for them.
 */
export function serveS3(
  server: Server,
  options: S3Options,
  isOthers: (url: string) => boolean,
): void {
  const answer = createS3Calls(options)
  const domains = [...options.domains, ...(options.websites?.domains ?? [])]
  const others = server.listeners('request') as Listener[]
  server.removeAllListeners('request')

  function take(message: IncomingMessage, response: ServerResponse, waits: boolean): void {
    if (!isS3(message, domains) || isOthers(message.url ?? '')) {
      if (waits) response.writeContinue()
      for (const other of others) other.call(server, message, response)
      return
    }
    const { remoteAddress: sourceIp = '' } = message.socket
    const secure = (message.socket as Partial<TLSSocket>).encrypted === true
    void answer({ message, response, waits, sourceIp, secure })
  }

  server.on('request', (message, response) => take(message, response, false))
  server.on('checkContinue', (message, response) => take(message, response, true))
}

function isS3({ method = '', url = '', headers }: IncomingMessage, domains: readonly string[]) {
  const { authorization, host = '' } = headers
  if (authorization !== undefined) {
    if (SCOPE.test(authorization) || VERSION_2.test(authorization)) return true
    if (ANY_SCOPE.test(authorization)) return false
  }
  const mark = url.indexOf('?')
  const path = mark < 0 ? url : url.slice(0, mark)
  if (mark >= 0) {
    const query = url.slice(mark)
    if (query.includes('X-Amz-Credential=')) return SCOPE.test(query)
    if (VERSION_2_QUERY.test(query) && path !== '/') return true
  }
  return !FORM.test(method) || path !== '/' || bucketOfHost(host, domains) !== null
}
