// EBS direct APIs, made of what they need.

import type { Sealer } from '../../secrets.ts'
import type { SnapshotBytes } from '../chunks/snapshot-bytes.ts'
import type { DirectHandlers } from './handlers.ts'
import { type ReadParts, readHandlers } from './reading.ts'
import { createTokens } from './tokens.ts'
import { type WriteParts, writeHandlers } from './writing.ts'

const TOKEN_KEY = 'ebs-direct-tokens'

export interface DirectParts
  extends Pick<ReadParts, 'state'>,
    Pick<WriteParts, 'state' | 'randomHex'> {
  readonly sealer: Pick<Sealer, 'derive'>
  readonly bytes: SnapshotBytes
}

export function directHandlers({ state, randomHex, sealer, bytes }: DirectParts): DirectHandlers {
  const tokens = createTokens(() => sealer.derive(TOKEN_KEY).key)
  return {
    ...readHandlers({ state, reads: bytes, tokens }),
    ...writeHandlers({ state, randomHex, staged: bytes }),
  }
}
