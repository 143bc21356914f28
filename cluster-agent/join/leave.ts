// Takes this host out of its cloud, so that nothing of Mallee is left on it.

import { rm, writeFile } from 'node:fs/promises'
import { systemClock } from '../../common/clock.ts'
import { isThere } from '../../common/durable-file.ts'
import { codeOf, MalleeError, messageOf } from '../../common/errors.ts'
import { exec } from '../../common/exec.ts'
import { createLog } from '../../common/log.ts'
import { sayLeave } from '../../proto/member.ts'
import { clientCredentials } from '../../proto/tls.ts'
import { readAgentConfig } from '../config.ts'
import { readIdentity } from '../identity.ts'
import { openHostRoles } from '../main-parts.ts'
import { isParentOf } from '../parent.ts'
import { type Paths, volumeLedgersDir } from '../paths.ts'
import { drainFile, readProgress } from '../progress.ts'
import { heldVolumes } from '../sc/volumes/ledger.ts'
import { runningPid, stopService } from './service.ts'

const LOOK_EVERY_MS = 500
const INSTEAD = 'terminate them, or leave with --drain or --force'
/** Of volumes that keep the host from leaving. */
const MAX_NAMED = 10
const WITH_FORCE = 'leaving with --force loses what is here'

export interface LeaveOptions {
  readonly paths: Paths
  /** Wait until no instance runs here; new ones go elsewhere meanwhile. */
  readonly drain: boolean
  /** Leave although instances run here, which end, or volumes are, which are lost. */
  readonly force: boolean
  readonly timeoutMs: number
}

/** Sentences about what could not be done, empty when all is gone. */
export async function leaveCloud(
  { paths, drain, force, timeoutMs }: LeaveOptions,
  progress: (sentence: string) => void,
): Promise<string[]> {
  const problems: string[] = []
  const config = await readAgentConfig(paths.configFile)
  if (!force) refuseVolumes(await heldVolumes(volumeLedgersDir(paths)))
  if (drain) await awaitDrained(paths, timeoutMs, progress)
  // The agent may be a moment behind the cloud: it counts where the cloud says nothing.
  const instances = (await readProgress(paths))?.instances ?? 0
  const refuseHeld = (cause?: unknown): void => {
    if (instances === 0 || force) return
    const sentence = `${instances} instances are on this host: ${INSTEAD}`
    throw new MalleeError('Conflict', sentence, { cause })
  }
  progress('telling the cloud')
  const identity = await readIdentity(paths)
  if (identity === null) refuseHeld()
  else {
    const credentials = () => clientCredentials(identity, isParentOf(config))
    const parents = { endpoints: config.parents, credentials, clock: systemClock }
    await sayLeave(parents, config.host).catch((error: unknown) => {
      // The cloud has placed instances here that this host may not even know yet.
      if (codeOf(error) === 'Conflict' && !force) {
        throw new MalleeError('Conflict', `${messageOf(error)}; ${WITH_FORCE}`, { cause: error })
      }
      refuseHeld(error)
      problems.push(
        `the cloud was not told (${messageOf(error)}): mallee host remove ${config.rack} ${config.host}`,
      )
    })
  }
  progress('stopping the agent')
  await stopService({ exec, paths, clock: systemClock })
  progress('removing instances, tunnels, bridges and tables')
  const roles = await openHostRoles({ config, paths, identity: null, log: createLog('warn') })
  await roles.roles.removeAll()
  for (const path of [paths.stateDir, paths.runDir, paths.configFile]) {
    // A folder that is a mount point stays, empty; then its content goes.
    await exec(['find', path, '-xdev', '-mindepth', '1', '-delete'], { okCodes: [0, 1] })
    await rm(path, { recursive: true, force: true }).catch(() => undefined)
    if (await hasContent(path)) problems.push(`${path} could not be removed`)
  }
  return problems
}

/** Before anything is drained: volumes do not go by themselves. */
function refuseVolumes(volumes: readonly string[]): void {
  if (volumes.length === 0) return
  const named = volumes.slice(0, MAX_NAMED).join(', ')
  const more = volumes.length > MAX_NAMED ? ` and ${volumes.length - MAX_NAMED} more` : ''
  const sentence = `volumes are on this host, delete them first: ${named}${more}; ${WITH_FORCE}`
  throw new MalleeError('Conflict', sentence)
}

async function awaitDrained(
  paths: Paths,
  timeoutMs: number,
  progress: (sentence: string) => void,
): Promise<void> {
  if ((await runningPid(paths)) === null) {
    throw new MalleeError('Unavailable', 'the agent does not run, so nothing can be drained')
  }
  await writeFile(drainFile(paths), '')
  const until = systemClock.nowMs() + timeoutMs
  let said = -1
  for (;;) {
    const now = await readProgress(paths)
    if (now?.draining && now.instances === 0) return
    if (now !== null && now.instances !== said) {
      said = now.instances
      progress(`draining: ${said} instances left`)
    }
    if (systemClock.nowMs() > until) {
      await rm(drainFile(paths), { force: true })
      throw new MalleeError(
        'CommandTimeout',
        `${said} instances are still here, nothing was removed`,
      )
    }
    await systemClock.sleep(LOOK_EVERY_MS)
  }
}

async function hasContent(path: string): Promise<boolean> {
  const { stdout } = await exec(['find', path, '-mindepth', '1', '-print', '-quit'], {
    okCodes: [0, 1],
  })
  return stdout.trim() !== '' && (await isThere(path))
}
