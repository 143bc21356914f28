// Structured logs: one JSON line per event on standard error. Standard output belongs to answers.

import { pino } from 'pino'

/** Event first (`tunnel set`), then what a search would want to find it by. */
export type Log = {
  readonly debug: (event: string, fields?: Fields) => void
  readonly info: (event: string, fields?: Fields) => void
  readonly warn: (event: string, fields?: Fields) => void
  readonly error: (event: string, fields?: Fields) => void
  /** The same log with `fields` on every line. */
  readonly with: (fields: Fields) => Log
}

export type Fields = Readonly<Record<string, unknown>>
export type Level = 'debug' | 'info' | 'warn' | 'error' | 'silent'

/** The process's log. Errors go in as `{ error }` and come out with message, code and stack. */
export function createLog(level: Level, base: Fields = {}): Log {
  const root = pino(
    {
      level,
      base,
      timestamp: pino.stdTimeFunctions.isoTime,
      messageKey: 'event',
      serializers: { error: pino.stdSerializers.errWithCause },
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination({ fd: 2, sync: true }),
  )
  return wrap(() => root)
}

export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  with: () => silentLog,
}

/** Made with the first line: every call has a log of its own, and most of them write nothing. */
function wrap(make: () => pino.Logger): Log {
  let made: pino.Logger | null = null
  const logger = (): pino.Logger => {
    made ??= make()
    return made
  }
  return {
    debug: (event, fields = {}) => logger().debug(fields, event),
    info: (event, fields = {}) => logger().info(fields, event),
    warn: (event, fields = {}) => logger().warn(fields, event),
    error: (event, fields = {}) => logger().error(fields, event),
    with: (fields) => wrap(() => logger().child(fields)),
  }
}
