// `mallee init`: makes a cloud on this machine and prints its first access key, once.

import { buildCommand } from '@stricli/core'
import { answering, print } from '../../common/cli.ts'
import { randomHex, systemClock } from '../../common/clock.ts'
import { writeDurably } from '../../common/durable-file.ts'
import { createLog } from '../../common/log.ts'
import { DEFAULT_STATE_DIR, readConfig } from '../files.ts'
import { checkInit, initFiles, initState, keyShown } from '../init.ts'
import { openCloud } from '../main.ts'
import { DEFAULT_REGION, regionNote } from '../region.ts'
import { configFlag, jsonFlag } from './flags.ts'

interface Flags {
  readonly name: string
  readonly region: string
  readonly ipv4Pool: readonly string[]
  readonly vlanScope: 'cloud' | 'rack'
  readonly stateDir: string
  readonly store?: string
  readonly config: string
  readonly json: boolean
}

export const initCommand = buildCommand<Flags>({
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
  func: (flags) => answering(flags.json, () => init(flags)),
})

async function init(flags: Flags): Promise<void> {
  const { name, region, ipv4Pool: ipv4Pools, vlanScope, stateDir, store } = flags
  checkInit({ name, region, ipv4Pools })
  const settings = { stateDir, ...(store === undefined ? {} : { store }) }
  const config = await readConfig(flags.config, settings, process.env)
  await initFiles({ clock: systemClock }, stateDir, name)
  const log = createLog('warn')
  const { state, sealer, close } = await openCloud(config, log, { create: true })
  try {
    const parts = { state, sealer, clock: systemClock, randomHex }
    const answer = await initState(parts, { name, region, ipv4Pools, vlanScope })
    await writeDurably(flags.config, `${JSON.stringify(settings, null, 2)}\n`)
    const text = [
      `Cloud ${answer.cloud}, region ${answer.region}, account ${answer.account}.`,
      `The first access key; its secret is shown only now:`,
      `  AWS_ACCESS_KEY_ID=${answer.accessKeyId}`,
      `  AWS_SECRET_ACCESS_KEY=${answer.secretAccessKey}`,
      `Next: mallee gateway`,
    ].join('\n')
    print(flags.json, answer, text)
    const note = regionNote(region)
    if (note !== null) process.stderr.write(`Note: ${note}.\n`)
    await keyShown(state)
  } finally {
    await close()
  }
}
