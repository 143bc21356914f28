// The metadata service in a process of its own, as a CC's agent runs it, for simulated hosts: their
// addresses are in their namespaces. Run inside: node serve.ts STATE_DIR INSTANCE=ADDRESS,...

import { MetadataService } from '../../../../cluster-agent/cc/metadata/service.ts'
import { openTokens } from '../../../../cluster-agent/cc/metadata/tokens.ts'
import { METADATA_IPV4, METADATA_IPV6, METADATA_PORT } from '../../../../cluster-agent/cc/names.ts'
import { systemClock } from '../../../../common/clock.ts'
import { silentLog } from '../../../../common/log.ts'
import { instanceOf, interfaceOf } from './support.ts'

/** What to run with node. */
export const SERVE = import.meta.filename
export const SECRET = 'the-user-data-of-'

if (process.argv[1] === SERVE) await main(process.argv[2] ?? '', process.argv.slice(3))

async function main(keyFile: string, instances: readonly string[]): Promise<void> {
  const service = new MetadataService({
    tokens: await openTokens(keyFile),
    addresses: [METADATA_IPV4, METADATA_IPV6],
    port: METADATA_PORT,
    clock: systemClock,
    log: silentLog,
  })
  const all = instances.map((one) => one.split('='))
  await service.pass(
    all.flatMap(([id = '', addresses = '']) =>
      addresses.split(',').map((address) => interfaceOf(id, address)),
    ),
    all.map(([id = '']) =>
      instanceOf(id, {
        tokensOptional: false,
        ipv6: true,
        hasUserData: true,
        userData: Buffer.from(`${SECRET}${id}`),
      }),
    ),
  )
  process.stdout.write('listening\n')
}
