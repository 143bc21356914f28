// What operators do at the local socket, as records of the same shape as everybody's calls.

import type { Log } from '../../common/log.ts'
import type { Metrics } from '../metrics.ts'
import { HIDDEN, isoSecond, requestElement, responseElement } from './elements.ts'
import type { AuditFile } from './file.ts'
import { EVENT_VERSION, MAX_TEXT } from './record.ts'

export interface OperatorCall {
  /** Of its operation: `drainHost`. */
  readonly operation: string
  /** Who says to have asked; '' when nobody said. Root is all that the socket knows. */
  readonly userName: string
  readonly userAgent: string
  /** What it was about; null when no account. */
  readonly account: string | null
  /** Parameters of every kind. */
  readonly request: object
  /** Null when it was refused. */
  readonly answer: object | null
  readonly error: { readonly code: string; readonly message: string } | null
  /** Members of request and answer that are not written down. */
  readonly secrets: ReadonlySet<string>
  readonly endedAtMs: number
}

/** Never rejects: what was done is done. */
export type OperatorAudit = (call: OperatorCall) => Promise<void>

interface Parts {
  readonly region: string
  /** A fresh UUID. */
  readonly eventId: () => string
  readonly file: Pick<AuditFile, 'write'>
  readonly log: Log
  readonly metrics: Pick<Metrics, 'auditRecords'>
}

export function createOperatorAudit(parts: Parts): OperatorAudit {
  const { file, log, metrics } = parts
  return async (call) => {
    try {
      await file.write(operatorRecord(parts, call))
    } catch (error) {
      metrics.auditRecords('lost', 1)
      log.error('audit record cannot be made', { operation: call.operation, error })
    }
  }
}

function operatorRecord({ region, eventId }: Parts, call: OperatorCall): object {
  const { operation, userName, account, request, answer, error, secrets } = call
  const failure =
    error === null
      ? {}
      : {
          errorCode: error.code.slice(0, MAX_TEXT),
          errorMessage: error.message.slice(0, MAX_TEXT),
        }
  return {
    eventVersion: EVENT_VERSION,
    userIdentity: { type: 'Operator', ...(userName === '' ? {} : { userName }) },
    eventTime: isoSecond(call.endedAtMs),
    eventSource: 'operator.mallee',
    eventName: `${operation.charAt(0).toUpperCase()}${operation.slice(1)}`,
    awsRegion: region,
    sourceIPAddress: 'local',
    userAgent: call.userAgent.slice(0, MAX_TEXT),
    ...failure,
    requestParameters: requestElement(hiding(request, secrets)),
    responseElements: answer === null ? null : responseElement(hiding(answer, secrets), {}),
    eventID: eventId(),
    readOnly: false,
    eventType: 'MalleeOperatorCall',
    managementEvent: true,
    ...(account === null ? {} : { recipientAccountId: account }),
    eventCategory: 'Management',
  }
}

function hiding(structure: object, secrets: ReadonlySet<string>): object {
  return Object.fromEntries(
    Object.entries(structure).map(([name, value]) => [name, secrets.has(name) ? HIDDEN : value]),
  )
}
