// A webhook that remembers what it was sent, and does as it is told: answers, refuses, is away.

import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Taken {
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface Webhook {
  readonly url: string
  /** What was answered with 200, in order. */
  readonly taken: Taken[]
  /** All that came. */
  readonly seen: Taken[]
  /** What it answers; 200 at first. 0: nothing, it breaks the connection. */
  status: number
  readonly close: () => Promise<void>
  /** Once more, on the same port. */
  readonly open: () => Promise<void>
}

export async function startWebhook(): Promise<Webhook> {
  let port = 0
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk) => chunks.push(chunk))
    request.on('end', () => {
      const { headers } = request
      const one = { headers, body: Buffer.concat(chunks).toString() }
      webhook.seen.push(one)
      if (webhook.status === 0) return response.destroy()
      if (webhook.status === 200) webhook.taken.push(one)
      // Whoever follows asks the same address again.
      return response.writeHead(webhook.status, { location: '/elsewhere' }).end('thanks')
    })
  })
  const webhook: Webhook = {
    get url() {
      return `http://127.0.0.1:${port}/hook`
    },
    ...{ taken: [], seen: [], status: 200 },
    close: async () => {
      if (!server.listening) return
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
    open: async () => {
      server.listen(port, '127.0.0.1')
      await once(server, 'listening')
      port = (server.address() as AddressInfo).port
    },
  }
  await webhook.open()
  return webhook
}
