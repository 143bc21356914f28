// The errors of S3: a code, a sentence, a status, and what some codes tell beside that.

import { ApiError } from '../../aws/api-error.ts'

/** `fields` are elements of the document beside code and message: `Key`, `BucketName`, ... */
export class S3Error extends ApiError {
  readonly fields: Readonly<Record<string, string>>
  /** Of the answer; names in lower case. */
  readonly headers: Readonly<Record<string, string>>

  constructor(
    code: string,
    message: string,
    status: number,
    fields: Readonly<Record<string, string>> = {},
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(code, message, status)
    this.fields = fields
    this.headers = headers
  }
}
