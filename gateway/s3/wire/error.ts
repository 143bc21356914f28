// The errors of S3: a code, a sentence, a status, and what some codes tell beside that.

import { codeOf, messageOf } from '../../../common/errors.ts'
import { ApiError } from '../../aws/api-error.ts'

/** When bytes in a rack that is away, or has too much to do, may be asked for again, in seconds. */
const RACK_RETRY_S = '5'

type Texts = Readonly<Record<string, string>>

/** `fields` are elements of the document beside code and message: `Key`, `BucketName`, ... */
export class S3Error extends ApiError {
  readonly fields: Texts
  /** Of the answer; names in lower case. */
  readonly headers: Texts

  constructor(
    code: string,
    message: string,
    status: number,
    fields: Texts = {},
    headers: Texts = {},
  ) {
    super(code, message, status)
    this.fields = fields
    this.headers = headers
  }
}

export function notImplemented(what: string): S3Error {
  const message = `A header you provided implies functionality that is not implemented: this cloud does not have ${what}.`
  return new S3Error('NotImplemented', message, 501)
}

export function denied(): S3Error {
  return new S3Error('AccessDenied', 'Access Denied', 403)
}

export function objectProtected(): S3Error {
  const message = 'Access Denied because object protected by object lock.'
  return new S3Error('AccessDenied', message, 403)
}

/** What the caller may know of any thrown value. */
export function s3ErrorOf(error: unknown): S3Error {
  if (error instanceof S3Error) return error
  if (error instanceof ApiError) return new S3Error(error.code, error.message, error.status)
  switch (codeOf(error)) {
    case 'StoreFull':
    case 'StoreUnavailable':
    case 'Conflict':
    case 'Unavailable': {
      const message = 'Service is unable to handle request.'
      return new S3Error('ServiceUnavailable', message, 503, {}, { 'retry-after': '1' })
    }
    // Only locks of objects are in the way of who was let in.
    case 'NotAllowed':
      return objectProtected()
    case 'RackAway': {
      // Without a full stop, as all of our sentences.
      const message = `Please reduce your request rate: ${messageOf(error)}.`
      return new S3Error('SlowDown', message, 503, {}, { 'retry-after': RACK_RETRY_S })
    }
    default: {
      const message = 'We encountered an internal error. Please try again.'
      return new S3Error('InternalError', message, 500)
    }
  }
}
