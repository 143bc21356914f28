// EBS direct APIs, made of what they need.

import type { Sealer } from '../../secrets.ts'
import type { SnapshotBytes } from '../chunks/snapshot-bytes.ts'
import { guestBlocks } from './guest-blocks.ts'
import type { DirectHandlers } from './handlers.ts'
import { type ReadParts, readHandlers } from './reading.ts'
import { createTokens } from './tokens.ts'
import { type WriteParts, writeHandlers } from './writing.ts'

const TOKEN_KEY = 'ebs-direct-tokens'

export interface DirectParts
  extends Pick<ReadParts, 'state'>,
    Pick<WriteParts, 'state' | 'randomHex'> {
  readonly sealer: Sealer
  readonly bytes: SnapshotBytes
}

export function directHandlers({ state, randomHex, sealer, bytes }: DirectParts): DirectHandlers {
  const tokens = createTokens(() => sealer.derive(TOKEN_KEY).key)
  const guest = guestBlocks({ state, reads: bytes, sealer })
  return {
    ...readHandlers({ state, reads: bytes, tokens, guest }),
    ...writeHandlers({ state, randomHex, sealer, staged: bytes, guest }),
  }
}
