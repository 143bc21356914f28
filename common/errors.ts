// The one error of Mallee's programs: a code for programs, a sentence for people, a cause for us.
// EC2 errors are another class (gateway/aws/api-error.ts); federation/ and http/ translate.

export type Code =
  | 'BadArgument'
  | 'BadConfig'
  | 'BadMessage'
  | 'BadSignature'
  | 'CaMismatch'
  | 'ClockSkew'
  | 'CommandFailed'
  | 'CommandTimeout'
  | 'Conflict'
  | 'DataCorrupt'
  | 'HostNotFound'
  | 'ImageCorrupt'
  | 'NameTaken'
  | 'NotAllowed'
  | 'NotFound'
  | 'NotSupported'
  | 'ProtocolMismatch'
  | 'RackAway'
  | 'RackNotFound'
  | 'StaleGeneration'
  | 'StoreFull'
  | 'StoreUnavailable'
  | 'TokenExpired'
  | 'TokenGarbled'
  | 'TokenUnknown'
  | 'TokenUsed'
  | 'TokenWrongRack'
  | 'TokenWrongRole'
  | 'TooManyRequests'
  | 'Unavailable'

/** `message` is one sentence that names the thing and its value, without a full stop. */
export class MalleeError extends Error {
  readonly code: Code

  constructor(code: Code, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'MalleeError'
    this.code = code
  }
}

/** The code of any thrown value, or null when it is none of ours. */
export function codeOf(error: unknown): Code | null {
  return error instanceof MalleeError ? error.code : null
}

/** The sentence of any thrown value. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
