// The errors of EBS direct APIs: a code, a sentence and, of most, a reason that programs read ("EBS
// direct APIs", API reference).

import { codeOf } from '../../../common/errors.ts'
import { ApiError } from '../../aws/api-error.ts'

/** Of ValidationException. */
export type Invalid =
  | 'INVALID_BLOCK'
  | 'INVALID_BLOCK_TOKEN'
  | 'INVALID_CUSTOMER_KEY'
  | 'INVALID_PAGE_TOKEN'
  | 'INVALID_PARAMETER_VALUE'
  | 'INVALID_SNAPSHOT_ID'
  | 'INVALID_TAG'
  | 'INVALID_VOLUME_SIZE'
  | 'WRITE_REQUEST_TIMEOUT'

export class DirectError extends ApiError {
  /** Null of errors that have none. */
  readonly reason: string | null

  constructor(code: string, message: string, status: number, reason: string | null = null) {
    super(code, message, status)
    this.name = 'DirectError'
    this.reason = reason
  }
}

export function invalid(reason: Invalid, message: string): DirectError {
  return new DirectError('ValidationException', message, 400, reason)
}

export function noSnapshot(id: string): DirectError {
  const text = `The snapshot '${id}' does not exist.`
  return new DirectError('ResourceNotFoundException', text, 404, 'SNAPSHOT_NOT_FOUND')
}

export function conflict(message: string): DirectError {
  return new DirectError('ConflictException', message, 409)
}

export function tooManyAtOnce(most: number): DirectError {
  const text = `More than ${most} requests at once: wait for answers.`
  return new DirectError('ConcurrentLimitExceededException', text, 400)
}

/** What the services that speak JSON call what others call so. */
const NAMES: ReadonlyMap<string, string> = new Map([
  ['InvalidClientTokenId', 'UnrecognizedClientException'],
  ['SignatureDoesNotMatch', 'InvalidSignatureException'],
  ['MissingAuthenticationToken', 'MissingAuthenticationTokenException'],
  ['IncompleteSignature', 'IncompleteSignatureException'],
  ['ExpiredToken', 'ExpiredTokenException'],
])

/** What the caller may know of any thrown value. */
export function directErrorOf(error: unknown): DirectError {
  if (error instanceof DirectError) return error
  if (error instanceof ApiError) return renamed(error)
  switch (codeOf(error)) {
    case 'StoreFull':
    case 'StoreUnavailable':
    case 'Conflict':
    case 'Unavailable': {
      const text = 'The service cannot do this now. Try again later.'
      return new DirectError('ServiceUnavailableException', text, 503)
    }
    default:
      return new DirectError('InternalServerException', 'An internal error has occurred', 500)
  }
}

function renamed({ code, message, status }: ApiError): DirectError {
  if (code === 'AccessDenied') {
    return new DirectError('AccessDeniedException', message, 403, 'UNAUTHORIZED_ACCOUNT')
  }
  if (code === 'Throttling') {
    return new DirectError('RequestThrottledException', message, 400, 'ACCOUNT_THROTTLED')
  }
  if (code === 'SnapshotLimitExceeded') {
    const reason = 'DEPENDENCY_SERVICE_QUOTA_EXCEEDED'
    return new DirectError('ServiceQuotaExceededException', message, 402, reason)
  }
  if (code === 'TagLimitExceeded') return invalid('INVALID_TAG', message)
  if (code === 'InvalidParameterValue') return invalid('INVALID_PARAMETER_VALUE', message)
  return new DirectError(NAMES.get(code) ?? code, message, status)
}
