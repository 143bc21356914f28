// The metadata service as the agent of a CC keeps it.

import { join } from 'node:path'
import type { Clock } from '../../../common/clock.ts'
import type { Log } from '../../../common/log.ts'
import type { Paths } from '../../paths.ts'
import { METADATA_IPV4, METADATA_IPV6, METADATA_PORT } from '../names.ts'
import { MetadataService } from './service.ts'
import { openTokens } from './tokens.ts'

export async function keepMetadata({
  paths,
  clock,
  log,
}: {
  readonly paths: Paths
  readonly clock: Clock
  readonly log: Log
}): Promise<MetadataService> {
  return new MetadataService({
    tokens: await openTokens(metadataKeyFile(paths)),
    addresses: [METADATA_IPV4, METADATA_IPV6],
    port: METADATA_PORT,
    clock,
    log,
  })
}

/** Mode 0600; whoever reads it can make tokens. */
export function metadataKeyFile(paths: Paths): string {
  return join(paths.stateDir, 'metadata.key')
}
