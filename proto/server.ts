// The two listeners of a gateway or a CC: sessions and blobs for members (mutual TLS), and the
// join port for hosts that are none yet.

import * as grpc from '@grpc/grpc-js'
import { MalleeError, messageOf } from '../common/errors.ts'
import type { Log } from '../common/log.ts'
import { CHANNEL_OPTIONS, type RpcService } from './service.ts'
import { joinServerCredentials, serverCredentials, type TlsIdentity } from './tls.ts'

export interface RpcServerOptions {
  /** `[::]:8774` listens on IPv4 as well. Port 0 picks a free one. */
  readonly sessionAddress: string
  /** Null for a server without a join port. */
  readonly joinAddress: string | null
  readonly sessionServices: readonly RpcService[]
  readonly joinServices: readonly RpcService[]
  readonly identity: TlsIdentity
  readonly log: Log
}

export interface RpcServer {
  readonly sessionPort: number
  /** 0 without one. */
  readonly joinPort: number
  /** Takes leave of the sessions, waits for calls under way a few seconds, then cuts them off. */
  close(): Promise<void>
}

const CLOSE_MS = 5_000

// Anybody may knock at the join port: small messages, few streams, short visits.
const JOIN_OPTIONS: grpc.ChannelOptions = {
  ...CHANNEL_OPTIONS,
  'grpc.max_receive_message_length': 64 << 10,
  'grpc.max_concurrent_streams': 8,
  'grpc.max_connection_idle_ms': 30_000,
  'grpc.max_connection_age_ms': 120_000,
  'grpc.max_connection_age_grace_ms': 30_000,
}
const SESSION_OPTIONS: grpc.ChannelOptions = {
  ...CHANNEL_OPTIONS,
  // A CC brings the streams of storage of its whole rack.
  'grpc.max_concurrent_streams': 512,
}

/** Throws Unavailable when an address cannot be listened on. */
export async function startRpcServer(options: RpcServerOptions): Promise<RpcServer> {
  const { identity, sessionServices, joinServices, log } = options
  const session = build(SESSION_OPTIONS, sessionServices)
  const join = build(JOIN_OPTIONS, joinServices)
  try {
    const sessionPort = await bindServer(
      session,
      options.sessionAddress,
      serverCredentials(identity),
    )
    const { joinAddress } = options
    const joinPort =
      joinAddress === null
        ? 0
        : await bindServer(join, joinAddress, joinServerCredentials(identity))
    log.info('listening', { sessionPort, joinPort })
    return {
      sessionPort,
      joinPort,
      close: async () => {
        const services = [...sessionServices, ...joinServices]
        await Promise.all(services.map((service) => service.drain?.('the server stops')))
        await Promise.all([shutDown(session), shutDown(join)])
      },
    }
  } catch (error) {
    session.forceShutdown()
    join.forceShutdown()
    throw error
  }
}

function build(options: grpc.ChannelOptions, services: readonly RpcService[]): grpc.Server {
  const server = new grpc.Server(options)
  for (const { definition, implementation } of services) {
    server.addService(definition, implementation)
  }
  return server
}

/** Throws Unavailable. The port that was taken. */
export async function bindServer(
  server: grpc.Server,
  wanted: string,
  credentials: grpc.ServerCredentials,
): Promise<number> {
  try {
    return await bindTo(server, wanted, credentials)
  } catch (error) {
    // A kernel without IPv6 cannot listen on [::], but may on IPv4.
    const port = /^\[::\]:(\d+)$/.exec(wanted)?.[1]
    if (port === undefined || !/EAFNOSUPPORT|EADDRNOTAVAIL/.test(messageOf(error))) throw error
    return await bindTo(server, `0.0.0.0:${port}`, credentials)
  }
}

function bindTo(
  server: grpc.Server,
  wanted: string,
  credentials: grpc.ServerCredentials,
): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(wanted, credentials, (cause, port) => {
      if (cause === null) return resolve(port)
      reject(
        new MalleeError('Unavailable', `cannot listen on ${wanted}: ${cause.message}`, { cause }),
      )
    })
  })
}

/** Waits a few seconds for calls under way, then cuts them off. */
export function shutDown(server: grpc.Server): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.forceShutdown(), CLOSE_MS)
    server.tryShutdown(() => {
      clearTimeout(timer)
      resolve()
    })
  })
}
