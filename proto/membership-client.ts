// A host's side of becoming a member. The first thing is the CA: its digest stands in the token,
// and before it is found on the other side nothing but a TLS handshake is sent there.

import { connect, type DetailedPeerCertificate, type TLSSocket } from 'node:tls'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import type * as grpc from '@grpc/grpc-js'
import type { Clock } from '../common/clock.ts'
import { MalleeError } from '../common/errors.ts'
import type { Identity } from '../common/identity.ts'
import { caDigest } from '../common/pki.ts'
import {
  CheckRequestSchema,
  type CheckResponse,
  JoinRequestSchema,
  type JoinResponse,
  MembershipService,
} from './gen/mallee/v1/membership_pb.js'
import type { MembershipEnd } from './membership-server.ts'
import { address, callUnary, dial, methodDefinition } from './service.ts'
import { PROTOCOL_MAX, PROTOCOL_MIN } from './session.ts'
import { type Expect, joinClientCredentials } from './tls.ts'

/** A join port whose CA was found to be the token's. */
export interface JoinServer {
  readonly host: string
  readonly port: number
  readonly caPem: string
  readonly clock: Clock
  /** Milliseconds for one request; 30,000 when not given. */
  readonly timeoutMs?: number
  /** Whom to talk to; the gateway or any CC when not given. */
  readonly expect?: Expect
}

/** JoinRequest without the versions, which are this program's. */
export type JoinFields = Omit<
  MessageInitShape<typeof JoinRequestSchema>,
  '$typeName' | '$unknown' | 'minProtocol' | 'maxProtocol'
>

const HANDSHAKE_MS = 10_000
const REQUEST_MS = 30_000
const MAX_CHAIN = 8

/**
 * The CA certificate with that digest (lower-case hex SHA-256 of its DER), out of the chain that
 * the server presents. Throws CaMismatch when it is not there, Unavailable when nobody answers.
 * Trust begins with the connection that is made with it, not with this one.
 */
export function fetchPinnedCa(
  host: string,
  port: number,
  digest: string,
  timeoutMs = HANDSHAKE_MS,
): Promise<string> {
  const where = address(host, port)
  return new Promise((resolve, reject) => {
    const socket = connect({
      host,
      port,
      minVersion: 'TLSv1.3',
      ALPNProtocols: ['h2'],
      servername: 'mallee',
      // There is nothing to trust yet; the digest decides.
      rejectUnauthorized: false,
    })
    const fail = (message: string, options?: ErrorOptions) => {
      socket.destroy()
      reject(new MalleeError('Unavailable', `${where}: ${message}`, options))
    }
    socket.setTimeout(timeoutMs, () => fail(`no answer in ${timeoutMs} ms`))
    socket.on('error', (cause) => fail(cause.message, { cause }))
    socket.on('close', () => fail('the connection was closed'))
    socket.on('secureConnect', () => {
      const presented = chainOf(socket)
      const found = presented.find((pem) => caDigest(pem) === digest)
      if (found === undefined) reject(mismatch(where, digest, presented))
      else resolve(found)
      // The other side sees the handshake and a farewell.
      socket.destroySoon()
    })
  })
}

/** Trades a token for a certificate. Throws MalleeError with the refusal's code. */
export function join(server: JoinServer, fields: JoinFields): Promise<JoinResponse> {
  const request = create(JoinRequestSchema, withVersions(fields))
  return unary(server, methodDefinition(MembershipService.method.join), request)
}

/** What `join` would answer; changes nothing. */
export function check(server: JoinServer, fields: JoinFields): Promise<CheckResponse> {
  const request = create(CheckRequestSchema, { join: withVersions(fields) })
  return unary(server, methodDefinition(MembershipService.method.check), request)
}

/**
 * A CC's join port: hands requests on as they came, to the first parent that answers. Refusals come
 * back with their own codes.
 */
export function relayMembership(
  caPem: string,
  parents: readonly { readonly host: string; readonly port: number }[],
  expect: Expect,
  clock: Clock,
): MembershipEnd {
  async function relay<Req, Res>(method: grpc.MethodDefinition<Req, Res>, request: Req) {
    let away = new MalleeError('Unavailable', 'there is no parent to relay to')
    for (const { host, port } of parents) {
      try {
        return await unary<Req, Res>({ host, port, caPem, clock, expect }, method, request)
      } catch (error) {
        if (!(error instanceof MalleeError) || error.code !== 'Unavailable') throw error
        away = error
      }
    }
    throw away
  }
  return {
    join: (request) => relay(methodDefinition(MembershipService.method.join), request),
    check: (request) => relay(methodDefinition(MembershipService.method.check), request),
  }
}

/** Who may stand behind a join port: the gateway, or a CC that relays to it. */
function servesJoins(peer: Identity): boolean {
  return peer.kind === 'gateway' || peer.roles.includes('cc')
}

function withVersions(fields: JoinFields): MessageInitShape<typeof JoinRequestSchema> {
  return { ...fields, minProtocol: PROTOCOL_MIN, maxProtocol: PROTOCOL_MAX }
}

async function unary<Req, Res>(
  { host, port, caPem, clock, timeoutMs = REQUEST_MS, expect = servesJoins }: JoinServer,
  method: grpc.MethodDefinition<Req, Res>,
  request: Req,
): Promise<Res> {
  const connection = dial(host, port, joinClientCredentials(caPem, expect))
  try {
    return await callUnary(connection, method, request, clock.nowMs() + timeoutMs)
  } finally {
    connection.close()
  }
}

function chainOf(socket: TLSSocket): string[] {
  const chain: string[] = []
  let certificate: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true)
  while (certificate?.raw !== undefined && chain.length < MAX_CHAIN) {
    const base64 = certificate.raw.toString('base64').replace(/.{64}/g, '$&\n').trimEnd()
    chain.push(`-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`)
    const issuer: DetailedPeerCertificate | undefined = certificate.issuerCertificate
    certificate = issuer === certificate ? undefined : issuer
  }
  return chain
}

function mismatch(where: string, digest: string, presented: readonly string[]): MalleeError {
  const last = presented.at(-1)
  const theirs = last === undefined ? 'no certificate' : `the CA ${caDigest(last)}`
  return new MalleeError(
    'CaMismatch',
    `${where} presents ${theirs} and not the token's ${digest}; nothing was sent to it`,
  )
}
