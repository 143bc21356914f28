// `mallee gateway`: runs a gateway until SIGTERM or SIGINT.

import { buildCommand } from '@stricli/core'
import { answering } from '../../common/cli.ts'
import { configFlag } from './flags.ts'

/** What is told on the command line. */
export interface GatewayFlags {
  readonly config: string
  readonly listenHost?: string
}

export const gatewayCommand = buildCommand<GatewayFlags>({
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
  // All of a gateway: other commands, and completion, do not wait for it.
  loader: async () => {
    const { serve } = await import('./serve.ts')
    return (flags) => answering(false, () => serve(flags))
  },
})
