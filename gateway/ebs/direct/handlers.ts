// What a handler of EBS direct APIs takes and gives. Types only.

import type { EBS } from '@aws-sdk/client-ebs'
import type { Handler, Inputs, Outputs } from '../../aws/handlers.ts'

type Whole<T> = 'BlockData' extends keyof T
  ? Omit<T, 'BlockData'> & { readonly BlockData?: Uint8Array }
  : T

export type DirectInputs = { [K in keyof Inputs<EBS>]: Whole<Inputs<EBS>[K]> }
export type DirectOutputs = { [K in keyof Outputs<EBS>]: Whole<Outputs<EBS>[K]> }

/** Each throws DirectError, or ApiError, for what AWS would refuse. */
export type DirectHandlers = {
  readonly [K in keyof DirectInputs]: Handler<DirectInputs[K], DirectOutputs[K]>
}
