// Which calls the audit log has, and one of them as a record of CloudTrail's (user guide,
// "CloudTrail record contents" and "CloudTrail userIdentity element").

import type { ApiError } from '../aws/api-error.ts'
import type { Caller } from '../aws/handlers.ts'
import type { AnyService } from '../aws/model.ts'
import { isoSecond, requestElement, responseElement, shownMessage } from './elements.ts'

/** A call that ended, well or not, of somebody whose signature was good. */
export interface AuditedCall {
  readonly service: AnyService | 'ec2-instance-connect'
  /** An operation of the service's model, or what was done to a serial console. */
  readonly action: string
  readonly caller: Caller
  readonly sourceIp: string
  /** '' without one. */
  readonly userAgent: string
  readonly requestId: string
  /** When it ended, in milliseconds since 1970. */
  readonly endedAtMs: number
  /** Decoded; null when it could not be. */
  readonly input: object | null
  /** Of the SDK's type; null when there is none. */
  readonly output: object | null
  /** What it was refused with; null when it was not. */
  readonly error: ApiError | null
}

export interface RecordParts {
  readonly region: string
  /** A fresh UUID. */
  readonly eventId: () => string
  /** Of the role that a caller acts as, or the user who vouches for it, while that is there. */
  readonly issuerArnOf: (caller: Caller) => string | null
}

/** The first version with `eventCategory` and `managementEvent`. */
export const EVENT_VERSION = '1.08'
const READS = /^(?:Decode|Describe|Get|List|Search|Simulate)/
/** They change nothing, but who was given credentials is what an audit asks first. */
const GIVES_CREDENTIALS = /^(?:AssumeRole|GetSessionToken$|GetFederationToken$)/
/** CloudTrail's limit for texts of the caller's making, in characters here. */
export const MAX_TEXT = 1024
/** Listeners for both families see IPv4 callers so. */
const MAPPED_IPV4 = /^::ffff:(?=\d+\.)/i

/** Does it belong into the audit log: does it change anything, or give credentials? */
export function isAudited(action: string): boolean {
  return !READS.test(action) || GIVES_CREDENTIALS.test(action)
}

export function auditRecord(parts: RecordParts, call: AuditedCall): object {
  const { service, action, caller, requestId, input, error } = call
  const failure =
    error === null
      ? {}
      : {
          errorCode: errorCode(service, error).slice(0, MAX_TEXT),
          errorMessage: shownMessage(error.message).slice(0, MAX_TEXT),
        }
  return {
    eventVersion: EVENT_VERSION,
    userIdentity: userIdentity(caller, parts.issuerArnOf(caller)),
    eventTime: isoSecond(call.endedAtMs),
    eventSource: `${service}.amazonaws.com`,
    eventName: action,
    awsRegion: parts.region,
    sourceIPAddress: call.sourceIp.replace(MAPPED_IPV4, ''),
    userAgent: call.userAgent.slice(0, MAX_TEXT),
    ...failure,
    requestParameters: input === null ? null : requestElement(input),
    responseElements: responseOf(call),
    requestID: requestId,
    eventID: parts.eventId(),
    readOnly: GIVES_CREDENTIALS.test(action),
    eventType: 'AwsApiCall',
    managementEvent: true,
    recipientAccountId: caller.account,
    eventCategory: 'Management',
  }
}

function responseOf({ service, requestId, output, error }: AuditedCall): object | null {
  if (error !== null || output === null) return null
  if (service !== 'ec2') return responseElement(output, {})
  const isEmpty = Object.values(output).every((value) => value === undefined)
  return responseElement(output, { requestId, ...(isEmpty ? { _return: true } : {}) })
}

/** EC2's codes are written with the side that is to blame, as its SOAP faults had them. */
/** CloudTrail counts throttling among the client's errors, for all its status of 503. */
function errorCode(service: AuditedCall['service'], { code, status }: ApiError): string {
  if (service !== 'ec2') return code
  const isClients = status < 500 || code === 'RequestLimitExceeded'
  return `${isClients ? 'Client' : 'Server'}.${code}`
}

function userIdentity(caller: Caller, issuerArn: string | null): object {
  const { account, userArn: arn, userId: principalId, accessKeyId, session } = caller
  const [, , , , , resource = ''] = arn.split(':')
  const [kind, ...names] = resource.split('/')
  const who = { principalId, arn, accountId: account, accessKeyId }
  const attributes = {
    creationDate: isoSecond(session?.issuedAtMs ?? 0),
    mfaAuthenticated: 'false',
  }
  const sourceIdentity = session?.sourceIdentity ? { sourceIdentity: session.sourceIdentity } : {}
  const context = { attributes, ...sourceIdentity }
  if (kind === 'assumed-role') {
    const [role = ''] = names
    const sessionIssuer = {
      type: 'Role',
      principalId: principalId.split(':')[0] ?? '',
      // Of a role that is gone only the name is known, not its path.
      arn: issuerArn ?? `arn:aws:iam::${account}:role/${role}`,
      accountId: account,
      userName: role,
    }
    return { type: 'AssumedRole', ...who, sessionContext: { sessionIssuer, ...context } }
  }
  if (session?.federatedBy !== undefined) {
    const isRoot = session.federatedBy === account
    const sessionIssuer = {
      type: isRoot ? 'Root' : 'IAMUser',
      principalId: session.federatedBy,
      arn: issuerArn ?? (isRoot ? `arn:aws:iam::${account}:root` : ''),
      accountId: account,
      ...(isRoot ? {} : { userName: issuerArn?.split('/').at(-1) ?? '' }),
    }
    return { type: 'FederatedUser', ...who, sessionContext: { sessionIssuer, ...context } }
  }
  const temporary = session === undefined ? {} : { sessionContext: context }
  if (kind === 'root') return { type: 'Root', ...who, ...temporary }
  return { type: 'IAMUser', ...who, userName: names.at(-1) ?? '', ...temporary }
}
