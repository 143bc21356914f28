// A cloud for the tests of this folder: a CA, certificates, and servers on loopback.

import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { systemClock } from '../../common/clock.ts'
import type { Identity } from '../../common/identity.ts'
import { silentLog } from '../../common/log.ts'
import { certificateRequest, createCa, newKey, signRequest } from '../../common/pki.ts'
import { type RpcServer, type RpcServerOptions, startRpcServer } from '../../proto/server.ts'
import type { TlsIdentity } from '../../proto/tls.ts'

export interface TestCloud {
  readonly name: string
  readonly caPem: string
  readonly gateway: TlsIdentity
  issue(identity: Identity): Promise<TlsIdentity>
}

export async function makeCloud(name = 'c1'): Promise<TestCloud> {
  const nowMs = systemClock.nowMs()
  const ca = await createCa({ cloud: name, nowMs })
  async function issue(identity: Identity): Promise<TlsIdentity> {
    const { keyPem } = await newKey()
    const server =
      identity.kind === 'gateway' ||
      ['cc', 'nc'].some((role) => identity.roles.includes(role as 'cc'))
    const options = { identity, nowMs, days: 1, server }
    const request = await certificateRequest(keyPem)
    const { certificatePem } = await signRequest(ca, request, options)
    return { certificatePem, keyPem, caPem: ca.certificatePem }
  }
  const gateway = await issue({ kind: 'gateway', cloud: name })
  return { name, caPem: ca.certificatePem, gateway, issue }
}

export function hostOf(cloud: TestCloud, host: string): Extract<Identity, { kind: 'host' }> {
  return { kind: 'host', cloud: cloud.name, rack: 'a', host, roles: ['cc'] }
}

export function startServer(
  identity: TlsIdentity,
  services: Partial<Pick<RpcServerOptions, 'sessionServices' | 'joinServices'>>,
  sessionPort = 0,
): Promise<RpcServer> {
  return startRpcServer({
    sessionAddress: `127.0.0.1:${sessionPort}`,
    joinAddress: '127.0.0.1:0',
    sessionServices: [],
    joinServices: [],
    identity,
    log: silentLog,
    ...services,
  })
}

/** A line between two programs that can go quiet or break, as lines do. */
export interface Line {
  readonly port: number
  /** Bytes that the client sent so far. */
  readonly sent: () => number
  /** Carries nothing in either direction, without a word to either side. */
  freeze(): void
  /** Breaks every connection, as a killed server does. */
  cut(): void
  close(): Promise<void>
}

export async function line(toPort: () => number): Promise<Line> {
  const sockets = new Set<Socket>()
  let frozen = false
  let sent = 0
  const server = createServer((near) => {
    const far = connect(toPort(), '127.0.0.1')
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from)
      from.on('data', (bytes) => {
        if (from === near) sent += bytes.length
        if (!frozen) to.write(bytes)
      })
      from.on('error', () => undefined)
      from.on('close', () => {
        sockets.delete(from)
        to.destroy()
      })
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const cut = () => {
    for (const socket of sockets) socket.destroy()
    frozen = false
  }
  return {
    port: (server.address() as AddressInfo).port,
    sent: () => sent,
    freeze: () => {
      frozen = true
    },
    cut,
    close: async () => {
      cut()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
