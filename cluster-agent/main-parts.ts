// Chooses what a host is made of: the real roles, or the model in memory when the host joined as
// simulated. Never the model by itself.

import { createHash } from 'node:crypto'
import { systemClock } from '../common/clock.ts'
import type { Log } from '../common/log.ts'
import { VERSION } from '../common/version.ts'
import type { TlsIdentity } from '../proto/tls.ts'
import type { AgentConfig } from './config.ts'
import type { HostRoles } from './host-roles.ts'
import type { HostFacts } from './host-status.ts'
import type { Paths } from './paths.ts'
import { openRealRoles } from './real-roles.ts'
import { simulatedPutRoot } from './simulated/put-root.ts'
import { SIMULATED_CAPACITY, simulatedRoles } from './simulated/roles.ts'

const SIMULATED_BOOT_MS = 50

export interface HostParts {
  readonly config: AgentConfig
  readonly paths: Paths
  /** The newest; null when only what was made is to be removed. */
  readonly identity: (() => TlsIdentity) | null
  readonly log: Log
}

export async function openHostRoles(
  parts: HostParts,
): Promise<{ roles: HostRoles; facts: HostFacts }> {
  return parts.config.simulated ? openSimulated(parts) : openRealRoles(parts)
}

function openSimulated({ config, identity }: HostParts): { roles: HostRoles; facts: HostFacts } {
  const { host, rack, cloud, roles } = config
  const publicKey = createHash('sha256').update(`${cloud}/${rack}/${host}`).digest('base64')
  return {
    roles: simulatedRoles({
      host,
      roles,
      clock: systemClock,
      bootMs: SIMULATED_BOOT_MS,
      publicKey,
      ...(identity !== null && { putRoot: simulatedPutRoot(config, identity, systemClock) }),
    }),
    facts: {
      version: VERSION,
      accelerator: 'simulated',
      ovsDatapath: 'simulated',
      wireguard: 'simulated',
      ipsec: roles.includes('cc') ? 'simulated' : '',
      volumeTarget: roles.includes('sc') ? 'simulated' : '',
      capacity: roles.includes('nc') ? (config.capacity ?? SIMULATED_CAPACITY) : null,
    },
  }
}
