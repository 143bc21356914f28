// `mallee gateway`: runs a gateway until SIGTERM or SIGINT.

import { flushCompileCache } from 'node:module'
import { buildCommand } from '@stricli/core'
import { answering } from '../../common/cli.ts'
import { createLog } from '../../common/log.ts'
import { readConfig } from '../files.ts'
import { startGateway } from '../main.ts'
import { configFlag } from './flags.ts'

interface Flags {
  readonly config: string
  readonly listenHost?: string
}

export const gatewayCommand = buildCommand<Flags>({
  docs: {
    brief: 'Run a gateway in the foreground',
    fullDescription: [
      'Run a gateway in the foreground; SIGTERM ends it. It answers EC2 and STS on 8773, racks',
      'on 8774 and 8775, health and metrics on 8443. Settings come from flags, then from',
      'MALLEE_* in the environment, then from the configuration file.',
      '',
      'Example:',
      '  mallee gateway --listen-host 192.0.2.10',
    ].join('\n'),
  },
  parameters: {
    flags: {
      config: configFlag,
      listenHost: {
        kind: 'parsed',
        parse: String,
        brief: 'Address to listen on, all when not given',
        placeholder: 'address',
        optional: true,
      },
    },
  },
  func: (flags) => answering(false, () => serve(flags)),
})

async function serve({ config: file, listenHost }: Flags): Promise<void> {
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
