// What the gateway's HTTP listeners have in common: limits against slow, large, endless requests.

const TLS_VERSION = 'TLSv1.2'

/** PEM certificate chain and key. */
export interface Tls {
  readonly cert: string
  readonly key: string
}

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
  /** Milliseconds for a whole request to arrive. */
  requestTimeout: 30_000,
  /** Milliseconds without a request until a connection is closed; above those of proxies (60 s). */
  keepAliveTimeout: 72_000,
} as const

/** Fastify's options of a listener: TLS when there is a certificate. */
export function listenerOptions(tls: Tls | undefined) {
  // Fastify makes the server from `https` or from `http`, never from both.
  const server = tls === undefined ? {} : { https: { ...HTTP, ...tls, minVersion: TLS_VERSION } }
  return { ...LIMITS, http: HTTP, ...server }
}
