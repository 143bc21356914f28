// Which requests of the public port are those of EBS direct APIs: by the scope of their signature.

import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { TLSSocket } from 'node:tls'
import { createDirectCalls, type DirectOptions } from './calls.ts'

/** The last part of the scope of a signature, in a header and in a query. */
const SCOPE = /(?:\/|%2F)ebs(?:\/|%2F)aws4_request/i

type Listener = (message: IncomingMessage, response: ServerResponse) => void

/** Puts itself before whatever `server` does with requests. */
export function serveDirect(server: Server, options: DirectOptions): void {
  const answer = createDirectCalls(options)
  for (const event of ['request', 'checkContinue'] as const) {
    const others = server.listeners(event) as Listener[]
    server.removeAllListeners(event)
    server.on(event, (message: IncomingMessage, response: ServerResponse) => {
      if (!isDirect(message)) {
        for (const other of others) other.call(server, message, response)
        return
      }
      if (event === 'checkContinue') response.writeContinue()
      const { remoteAddress: sourceIp = '' } = message.socket
      const secure = (message.socket as Partial<TLSSocket>).encrypted === true
      void answer({ message, response, sourceIp, secure })
    })
  }
}

function isDirect({ url = '', headers }: IncomingMessage): boolean {
  const { authorization } = headers
  if (authorization !== undefined) return SCOPE.test(authorization)
  const mark = url.indexOf('?')
  const query = mark < 0 ? '' : url.slice(mark)
  return query.includes('X-Amz-Credential=') && SCOPE.test(query)
}
