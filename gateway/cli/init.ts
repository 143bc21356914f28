// `mallee init`: makes a cloud on this machine and prints its first access key, once.

import { buildCommand } from '@stricli/core'
import { answering } from '../../common/cli.ts'
import { DEFAULT_STATE_DIR } from '../files.ts'
import { DEFAULT_REGION } from '../region.ts'
import { configFlag, jsonFlag } from './flags.ts'

/** What is told on the command line. */
export interface InitFlags {
  readonly name: string
  readonly region: string
  readonly ipv4Pool: readonly string[]
  readonly vlanScope: 'cloud' | 'rack'
  readonly stateDir: string
  readonly store?: string
  readonly config: string
  readonly json: boolean
}

export const initCommand = buildCommand<InitFlags>({
  docs: {
    brief: 'Make a cloud: CA, number plan, first account',
    fullDescription: [
      'Make a cloud: CA, number plan, first account. The secret access key is printed once and',
      'kept only sealed. An init that died before it printed it is to be run again.',
      '',
      'Examples:',
      '  mallee init --name office --region au-office-1',
      '  mallee init --name office --store redis://127.0.0.1:6379/0 --ipv4-pool 10.0.0.0/8',
    ].join('\n'),
  },
  parameters: {
    flags: {
      name: { kind: 'parsed', parse: String, brief: 'Name of the cloud', placeholder: 'name' },
      region: {
        kind: 'parsed',
        parse: String,
        brief: 'EC2 region',
        placeholder: 'region',
        default: DEFAULT_REGION,
      },
      ipv4Pool: {
        kind: 'parsed',
        parse: String,
        brief: 'Private IPv4 prefixes for VPCs',
        placeholder: 'cidr',
        variadic: ',',
        default: ['10.0.0.0/8'],
      },
      vlanScope: {
        kind: 'enum',
        values: ['cloud', 'rack'],
        brief: 'Whose the VLAN tags are: 4093 networks in the cloud, or in each rack',
        default: 'cloud',
      },
      stateDir: {
        kind: 'parsed',
        parse: String,
        brief: 'Folder of keys, store and images',
        placeholder: 'path',
        default: DEFAULT_STATE_DIR,
      },
      store: {
        kind: 'parsed',
        parse: String,
        brief: 'sqlite:/path or redis://host:port/n; SQLite in the state folder when not given',
        placeholder: 'url',
        optional: true,
      },
      config: configFlag,
      json: jsonFlag,
    },
  },
  // Stores and keys: other commands do not wait for them.
  loader: async () => {
    const { init } = await import('./init-cloud.ts')
    return (flags) => answering(flags.json, () => init(flags))
  },
})
