// What a user reads who cannot have a serial console: the errors of EC2 Instance Connect, in the
// form of AWS's JSON services.

import { codeOf, messageOf } from '../../common/errors.ts'
import { ApiError } from '../aws/api-error.ts'

/** Codes that all services share, and how those that speak JSON write them. */
const JSON_CODES: Readonly<Record<string, string>> = {
  AccessDenied: 'AccessDeniedException',
  ExpiredToken: 'ExpiredTokenException',
  IncompleteSignature: 'IncompleteSignatureException',
  InvalidClientTokenId: 'UnrecognizedClientException',
  InvalidURI: 'InvalidArgsException',
  MalformedQueryString: 'InvalidArgsException',
  MissingAuthenticationToken: 'MissingAuthenticationTokenException',
  SignatureDoesNotMatch: 'InvalidSignatureException',
  Throttling: 'ThrottlingException',
}

export function invalidArgs(message: string, status = 400): ApiError {
  return new ApiError('InvalidArgsException', message, status)
}

export function throttled(message: string): ApiError {
  return new ApiError('ThrottlingException', message, 429)
}

export function accessDisabled(): ApiError {
  const message =
    'Your account is not authorized to use the EC2 Serial Console. To authorize your account, run ' +
    'the EnableSerialConsoleAccess API.'
  return new ApiError('SerialConsoleAccessDisabledException', message, 403)
}

export function instanceNotFound(id: string): ApiError {
  return new ApiError('EC2InstanceNotFoundException', `The instance ${id} was not found.`, 404)
}

export function notRunning(id: string, state: string): ApiError {
  const message =
    `Unable to connect because the instance ${id} is ${state}. Connecting to the serial console ` +
    'requires that the instance is running.'
  return new ApiError('EC2InstanceStateInvalidException', message)
}

/** Of any thrown value, what the caller may know. */
export function serialRefusal(error: unknown): ApiError {
  if (error instanceof ApiError) {
    const { code, message, status } = error
    return new ApiError(JSON_CODES[code] ?? code, message, status)
  }
  switch (codeOf(error)) {
    case 'Conflict': {
      const message =
        'The instance currently has 1 active serial console session. Only 1 session is supported ' +
        'at a time.'
      return new ApiError('SerialConsoleSessionLimitExceededException', message, 409)
    }
    case 'TooManyRequests':
      return throttled(messageOf(error))
    case 'NotFound':
    case 'HostNotFound':
    case 'RackAway':
    case 'Unavailable':
    case 'CommandTimeout': {
      const message = `The instance is currently unavailable: ${messageOf(error)}.`
      return new ApiError('EC2InstanceUnavailableException', message, 503)
    }
    case 'NotSupported': {
      const message = `Unable to start a serial console session: ${messageOf(error)}.`
      return new ApiError('SerialConsoleSessionUnsupportedException', message, 503)
    }
    case null:
      return new ApiError('ServiceException', 'An internal error has occurred', 500)
    default:
      return new ApiError('SerialConsoleSessionUnavailableException', messageOf(error), 503)
  }
}
