// The error that a caller of the AWS endpoint sees: AWS's code, a sentence, an HTTP status.

/** What AWS answers to a dry run of a request that would have succeeded (status 412). */
export const DRY_RUN_MESSAGE = 'Request would have succeeded, but DryRun flag is set.'

/** `code` is one of AWS's (EC2 API reference, "Error codes"); `message` goes out as it is. */
export class ApiError extends Error {
  readonly code: string
  /** HTTP status, 400..599. */
  readonly status: number

  constructor(code: string, message: string, status = 400) {
    super(message)
    this.name = 'ApiError'
    this.code = code
    this.status = status
  }
}
