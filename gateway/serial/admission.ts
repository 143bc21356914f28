// May this request have the serial console that it asks for? All that is asked before any host is:
// the handshake, the signature, the policies, the account's access, the instance.

import { hash } from 'node:crypto'
import type { Caller } from '../aws/handlers.ts'
import { hasSerialConsole } from '../ec2/serial-access.ts'
import { headersOf, type SignedRequest } from '../http/canonical-request.ts'
import { readAuthorization, type SecretOf, SigningKeys, verifySignature } from '../http/sigv4.ts'
import type { Throttle } from '../http/throttle.ts'
import type { Authorize } from '../iam/authorize.ts'
import type { KeyUse } from '../iam/key-uses.ts'
import type { InstanceRecord } from '../store/records.ts'
import type { State } from '../store/state.ts'
import { accessDisabled, instanceNotFound, invalidArgs, notRunning, throttled } from './refusals.ts'

/** As signatures, policies and the audit log name it. */
export const SERIAL_SERVICE = 'ec2-instance-connect'
/** The permission that AWS asks for, though no key is sent here. */
export const SERIAL_PERMISSION = 'SendSerialConsoleSSHPublicKey'
export const SERIAL_PATH = '/serial-console/'
const INSTANCE = /^i-[a-f\d]{8,17}$/
const WEBSOCKET_KEY = /^[+/\dA-Za-z]{22}==$/
const WEBSOCKET_VERSION = '13'
/** Of a presigned URL, which is in histories and logs: a key that is sent to AWS lasts 60 s. */
const MAX_LIFETIME_MS = 300_000
const SIGNATURE_PARAMETER = /^X-Amz-/
/** Of its rate: a user opens one, and another one when that ended. */
const THROTTLED_AS = 'StartSerialConsoleSession'

export interface AdmissionParts {
  readonly state: State
  readonly secretOf: SecretOf
  readonly authorize: Authorize
  readonly keyUsed?: (use: KeyUse) => void
  readonly throttle?: Throttle
  readonly region: string
}

export interface UpgradeRequest {
  readonly method: string
  /** Path and query as on the wire. */
  readonly url: string
  readonly rawHeaders: readonly string[]
  readonly sourceIp: string
  /** It came over TLS. */
  readonly secure: boolean
}

/** What is known of a request so far, for the log and the audit log. */
export interface SerialCall {
  readonly requestId: string
  readonly startedAtMs: number
  readonly sourceIp: string
  accessKeyId: string
  userAgent: string
  caller: Caller | null
  /** '' before it is known. */
  instance: string
}

/** Throws ApiError, with AWS's code, for the first thing that is wrong. Fills in `call`. */
export type Admit = (request: UpgradeRequest, call: SerialCall) => Promise<InstanceRecord>

export function createAdmission(parts: AdmissionParts): Admit {
  const { state, secretOf, authorize, region } = parts
  const keys = new SigningKeys()

  return async (request, call) => {
    const nowMs = call.startedAtMs
    const signed = signedRequest(request)
    checkHandshake(signed)
    const claim = readAuthorization(signed)
    call.accessKeyId = claim.accessKeyId
    call.userAgent = signed.headers.get('user-agent')?.[0] ?? ''
    checkScope(claim)
    const caller = await verifySignature({ secretOf, keys, nowMs }, signed, claim)
    call.caller = caller
    parts.keyUsed?.({ caller, service: claim.service, region, nowMs })
    const id = instanceIn(signed)
    call.instance = id
    takeTokens(caller.account, nowMs)
    const { sourceIp, secure } = request
    const { userAgent } = call
    const arrival = { sourceIp, userAgent, secure, nowMs }
    const input = { InstanceId: id }
    const asked = { service: SERIAL_SERVICE, operation: SERIAL_PERMISSION, input } as const
    await authorize({ ...asked, caller, arrival })
    const view = await state.fresh()
    if (!hasSerialConsole(view, caller.account)) throw accessDisabled()
    const record = view.get('instance', id)
    if (record === null || record.account !== caller.account) throw instanceNotFound(id)
    if (record.state !== 'running') throw notRunning(id, record.state)
    return record
  }

  function checkScope(claim: ReturnType<typeof readAuthorization>): void {
    if (claim.service !== SERIAL_SERVICE) {
      throw invalidArgs(`Credential should be scoped to correct service: '${SERIAL_SERVICE}'.`, 403)
    }
    if (claim.region !== region) {
      throw invalidArgs(
        `Credential should be scoped to a valid region, not '${claim.region}'.`,
        403,
      )
    }
    if (claim.lifetimeMs !== null && claim.lifetimeMs > MAX_LIFETIME_MS) {
      throw invalidArgs(`X-Amz-Expires must be at most ${MAX_LIFETIME_MS / 1000} seconds here.`)
    }
  }

  function takeTokens(account: string, nowMs: number): void {
    try {
      parts.throttle?.({
        ...{ service: 'ec2', operation: THROTTLED_AS },
        ...{ input: {}, account, nowMs },
      })
    } catch {
      throw throttled('The requests were made too frequently. Wait a while and try again.')
    }
  }
}

function signedRequest({ method, url, rawHeaders }: UpgradeRequest): SignedRequest {
  const [path = '', ...query] = url.split('?')
  const headers = headersOf(rawHeaders)
  return { method, path, query: query.join('?'), headers, payloadHash: hash('sha256', '') }
}

/** RFC 6455, section 4.2.1; a page of another site has nothing to do here (section 10.2). */
function checkHandshake({ method, headers }: SignedRequest): void {
  const only = (name: string): string => {
    const values = headers.get(name) ?? []
    return values.length === 1 ? (values[0] ?? '') : ''
  }
  if (method !== 'GET') throw invalidArgs('A WebSocket begins with GET.', 405)
  if (only('upgrade').toLowerCase() !== 'websocket') {
    throw invalidArgs('The serial console is a WebSocket: Upgrade must be websocket.', 426)
  }
  if (only('sec-websocket-version') !== WEBSOCKET_VERSION) {
    throw invalidArgs(`Sec-WebSocket-Version must be ${WEBSOCKET_VERSION}.`, 426)
  }
  if (!WEBSOCKET_KEY.test(only('sec-websocket-key'))) {
    throw invalidArgs('Sec-WebSocket-Key must be 16 bytes in base64.')
  }
  if (headers.has('origin') && hostOf(only('origin')) !== only('host').toLowerCase()) {
    throw invalidArgs('The page that asks is of another origin.', 403)
  }
}

function hostOf(origin: string): string | null {
  return URL.canParse(origin) ? new URL(origin).host : null
}

function instanceIn({ path, query }: SignedRequest): string {
  const other = [...new URLSearchParams(query).keys()].find((key) => !SIGNATURE_PARAMETER.test(key))
  if (other !== undefined) throw invalidArgs(`There is no parameter ${other.slice(0, 100)}.`)
  const id = path.slice(SERIAL_PATH.length)
  if (!INSTANCE.test(id)) throw invalidArgs(`The path must be ${SERIAL_PATH}INSTANCE-ID.`)
  return id
}
