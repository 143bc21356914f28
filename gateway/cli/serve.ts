// What `mallee gateway` does, with all that a gateway is made of.

import { flushCompileCache } from 'node:module'
import { createLog } from '../../common/log.ts'
import { readConfig } from '../files.ts'
import { startGateway } from '../main.ts'
import type { GatewayFlags } from './gateway.ts'

/** Runs a gateway until SIGTERM or SIGINT. */
export async function serve({ config: file, listenHost }: GatewayFlags): Promise<void> {
  const overrides = listenHost === undefined ? {} : { listenHost }
  const config = await readConfig(file, overrides, process.env)
  const log = createLog(config.logLevel, { program: 'gateway' })
  const gateway = await startGateway(config, log)
  // Else only an end in good order would keep it for the next start.
  flushCompileCache()
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve())
  })
  await gateway.stop()
}
