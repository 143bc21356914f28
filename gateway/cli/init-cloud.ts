// What `mallee init` does.

import { print } from '../../common/cli.ts'
import { randomHex, systemClock } from '../../common/clock.ts'
import { writeDurably } from '../../common/durable-file.ts'
import { createLog } from '../../common/log.ts'
import { readConfig } from '../files.ts'
import { checkInit, initFiles, initState, keyShown } from '../init.ts'
import { openCloud } from '../main.ts'
import { regionNote } from '../region.ts'
import type { InitFlags } from './init.ts'

/** Makes a cloud and prints its first access key. */
export async function init(flags: InitFlags): Promise<void> {
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
