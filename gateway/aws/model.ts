// AWS's wire models as setup/gen-aws.ts writes them: what every operation takes and gives, and how
// that is named on the wire. Short keys, because the EC2 model has some 20,000 members.

import { readFileSync } from 'node:fs'

/** s string, n integer, d number with fraction, b boolean, t timestamp, x blob. */
export type Scalar = 's' | 'n' | 'd' | 'b' | 't' | 'x'

/** An index into `shapes`, or a scalar. */
export type Ref = number | Scalar

/** Where a member of a REST service's input or output is in HTTP; nothing of it: in the XML. */
export interface Binding {
  /** In the path. */
  readonly lb?: 1
  /** Name of its header, in lower case. */
  readonly h?: string
  /** What the names of its headers begin with, in lower case. */
  readonly hp?: string
  /** Name of its query parameter. */
  readonly hq?: string
  /** It is the body. */
  readonly pl?: 1
  /** An attribute. */
  readonly a?: 1
  /** Prefix and URI of a namespace that its element declares. */
  readonly ns?: readonly [prefix: string, uri: string]
  /** A blob of any size. */
  readonly st?: 1
  /** How a time is written: `i` ISO 8601, `h` as HTTP does; absent is `h` in a header, else `i`. */
  readonly tf?: 'i' | 'h'
}

/** Method, path and literal query (`/{Key+}?tagging`), status of the answer. */
export type Http = readonly [method: string, uri: string, status: number]

export interface Member extends Binding {
  /** The SDK's name. */
  readonly n: string
  readonly r: Ref
  /** xmlName, when it is not the SDK's name. */
  readonly x?: string
  /** ec2QueryName. */
  readonly q?: string
  readonly req?: 1
  /** A list without an element around its items. */
  readonly f?: 1
  /** Clients fill it in by themselves (idempotency token). */
  readonly tok?: 1
  /** Name of the enum that the value (of a list: every item) belongs to. */
  readonly e?: string
}

export type Shape =
  | readonly ['o', name: string, members: readonly Member[]]
  | readonly ['l', itemTag: string, item: Ref, flattened: 0 | 1]
  | readonly ['m', keyTag: string, valueTag: string, value: Ref]

export interface Operation {
  readonly i: Ref
  readonly o: Ref | null
  /** Of a REST service. */
  readonly http?: Http
}

export interface Model {
  readonly from: string
  readonly protocol: 'ec2' | 'query' | 'rest' | 'rest-json'
  readonly version: string
  readonly xmlns: string
  /** Operation → its input and its output; null where it has none. */
  readonly ops: Readonly<Record<string, Operation>>
  readonly shapes: readonly Shape[]
  readonly enums: Readonly<Record<string, readonly string[]>>
}

/** The Query services of the endpoint, by the name that a signature's scope has for them. */
export const SERVICES = ['ec2', 'sts', 'iam', 'autoscaling', 'elasticloadbalancing'] as const
export type ServiceName = (typeof SERVICES)[number]
/** All that signatures may be for. */
export type AnyService = ServiceName | 's3' | 'ebs'

/** Reads a model that was generated and committed; some 10 ms for EC2. */
export function loadModel(service: AnyService): Model {
  return JSON.parse(readFileSync(new URL(`model/${service}.json`, import.meta.url), 'utf8'))
}
