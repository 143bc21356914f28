// What the gateway's HTTP listeners have in common: limits against slow, large, endless requests.

import type { IncomingMessage } from 'node:http'

const TLS_VERSION = 'TLSv1.2'

/** PEM certificate chain and key. */
export interface Tls {
  readonly cert: string
  readonly key: string
}

/** Milliseconds for a whole request to arrive. */
export const REQUEST_TIMEOUT_MS = 30_000

const HTTP = {
  /** Milliseconds for the headers to arrive. */
  headersTimeout: 15_000,
  /** Milliseconds between two looks at both time limits. */
  connectionsCheckingInterval: 2_000,
  /** Bytes of URL and headers: a GET has all its parameters there. */
  maxHeaderSize: 64 << 10,
} as const

export const MAX_HEADER_BYTES = HTTP.maxHeaderSize

// No logger of Fastify's: every call has one line of ours.
const LIMITS = {
  logger: false,
  return503OnClosing: false,
  forceCloseConnections: 'idle',
  requestTimeout: REQUEST_TIMEOUT_MS,
  /** Milliseconds without a request until a connection is closed; above those of proxies (60 s). */
  keepAliveTimeout: 72_000,
} as const

/**
 * Fastify's options of a listener: TLS when there is a certificate. Who asks to upgrade where
 * `upgrades` has nothing gets the answer that they would get without asking.
 */
export function listenerOptions(tls: Tls | undefined, upgrades: (url: string) => boolean) {
  const shouldUpgradeCallback = ({ url = '' }: IncomingMessage): boolean => upgrades(url)
  const http = { ...HTTP, shouldUpgradeCallback }
  // Fastify makes the server from `https` or from `http`, never from both.
  const server = tls === undefined ? {} : { https: { ...http, ...tls, minVersion: TLS_VERSION } }
  return { ...LIMITS, http, ...server }
}
