// A call of S3 while it runs: the request as the listener gives it, what calls need, and what is
// known of one so far. Types only.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '../../../common/clock.ts'
import type { Log } from '../../../common/log.ts'
import type { Audit } from '../../audit/audit.ts'
import type { Caller } from '../../aws/handlers.ts'
import type { SecretOf } from '../../http/sigv4.ts'
import type { Throttle } from '../../http/throttle.ts'
import type { Keys } from '../../iam/ec2-keys.ts'
import type { KeyUse } from '../../iam/key-uses.ts'
import type { Metrics } from '../../metrics.ts'
import type { Guard } from '../buckets/access.ts'
import type { Cors } from '../buckets/cors.ts'
import type { SiteOf } from '../buckets/website.ts'
import type { Answer } from './answer.ts'
import type { Signature } from './authenticate.ts'
import type { S3Body, S3Handlers } from './call.ts'
import type { ControlHandlers } from './control.ts'
import type { S3Error } from './error.ts'
import type { Level } from './route.ts'
import type { Served, Tally } from './served.ts'
import type { Target } from './target.ts'

export interface S3Options {
  readonly handlers: S3Handlers & Partial<ControlHandlers>
  readonly guard: Guard
  readonly cors: Cors
  /** Names under which buckets have hosts of their own, in lower case. */
  readonly domains: readonly string[]
  /** Whether Signature Version 2 is taken too; not when absent. */
  readonly acceptsV2?: boolean
  readonly secretOf: SecretOf
  readonly keyUsed?: (use: KeyUse) => void
  readonly audit?: Audit
  readonly throttle?: Throttle
  /** Is told of every call after its answer; must neither wait nor throw. */
  readonly served?: (served: Served) => void
  readonly region: string
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  /** A fresh UUID. */
  readonly requestId: () => string
  /** Absent: there are none. */
  readonly websites?: Websites
}

/** Buckets as websites. */
export interface Websites {
  /** Names under which a bucket is one: `<bucket>.<name>`, in lower case. */
  readonly domains: readonly string[]
  readonly siteOf: SiteOf
}

/** What is S3's own of that. */
export type S3Service = Pick<
  S3Options,
  'handlers' | 'guard' | 'cors' | 'domains' | 'websites' | 'acceptsV2' | 'served'
>

/** A request, and how its body is asked for when the client waits to be told. */
export interface S3Request {
  readonly message: IncomingMessage
  readonly response: ServerResponse
  /** The client waits for `100 Continue`. */
  readonly waits: boolean
  readonly sourceIp: string
  readonly secure: boolean
}

/** What is known of a call so far. */
export interface RunningCall {
  readonly requestId: string
  readonly startedAtMs: number
  readonly request: S3Request
  /** Null when nobody wants to be told. */
  readonly tally: Tally | null
  operation: string
  level: Level
  target: Target
  signature: Signature | null
  /** What conditions of policies may ask of it. */
  signatureKeys: Keys
  /** Whether anything was allowed by a list of grants alone. */
  aclRequired: boolean
  accessKeyId: string
  userAgent: string
  caller: Caller | null
  input: object | null
  /** Of an operation whose payload is a stream. */
  body: S3Body | null
  output: object | null
  /** Of every answer, for pages of other origins. */
  forBrowsers: Readonly<Record<string, string>>
  cameToNothing: () => void
  /** How who asked is told of an error. */
  refusal: (error: S3Error) => Promise<Answer>
}
