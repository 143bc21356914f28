// Commands to hosts and what came of them. Keys and the table of all kinds: records.ts.

/** A command on its way to a host. Who asked deletes it and its answer. */
export interface CommandRecord {
  readonly id: string
  readonly rack: string
  readonly host: string
  readonly kind: 'console-output' | 'screenshot' | 'wake-and-screenshot' | 'diagnostic-interrupt'
  readonly instance: string
  readonly maxBytes: number
  readonly expiresAtMs: number
}

export interface CommandResultRecord {
  readonly id: string
  readonly errorCode: string
  readonly errorMessage: string
  readonly payloadBase64: string
  readonly atMs: number
}

export interface CommandRecords {
  command: CommandRecord
  'command-result': CommandResultRecord
}
