// What a bad request is: what is asked, and AWS's code and HTTP status for it.

import type { ServiceName } from '../../../gateway/aws/model.ts'
import type { Ground } from './ground.ts'

/** Input in the SDK's form, sent both ways; or form parameters, that only raw HTTP can say. */
export type Ask = Readonly<Record<string, unknown>> | string

export type Row = readonly [
  what: string,
  action: string,
  ask: Ask | ((ground: Ground) => Ask),
  code: string,
  /** 400 when not given. */
  status?: number,
]

export interface BadRequest {
  readonly service: ServiceName
  readonly what: string
  readonly action: string
  readonly ask: (ground: Ground) => Ask
  readonly code: string
  readonly status: number
}

/** Requests to `service`. */
export function badRequests(service: ServiceName, rows: readonly Row[]): BadRequest[] {
  return rows.map(([what, action, ask, code, status = 400]) => ({
    ...{ service, what, action, code, status },
    ask: (ground) => (typeof ask === 'function' ? ask(ground) : ask),
  }))
}
