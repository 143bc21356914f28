// Who uses a world's name: one program at a time, and it starts by removing what a killed one left.
// A world's folder holds a folder for each of its hosts; both tell what is ours.

import { readdirSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { MalleeError } from '../common/errors.ts'
import { exec } from '../common/exec.ts'
import { isName } from '../common/identity.ts'

/** The world of `npm start`; its hosts' network namespaces have the short names. */
export const SANDBOX = 'sandbox'

const BASE = '/var/tmp/mallee'

export interface Claim {
  readonly world: string
  /** Empty at first; removed by release. */
  readonly dir: string
  readonly release: () => Promise<void>
}

/** The folder of a world: on disk, and short, since a socket's path has 107 bytes at most. */
export function worldDir(world: string): string {
  return join(BASE, world)
}

/** The name of a host's network namespace for `ip netns`. */
export function netnsName(world: string, host: string): string {
  return world === SANDBOX ? `mallee-${host}` : `mallee-${world}-${host}`
}

/**
 * Takes a world's name (lower-case letters, digits, hyphens) until released or until this process
 * ends, and clears what another left. Throws Conflict while another process has it.
 */
export async function claimWorld(world: string): Promise<Claim> {
  if (!isName(world) || world.length > 16) {
    throw new MalleeError('BadArgument', `${world} is no name of at most 16 characters for a world`)
  }
  const lock = createServer()
  await new Promise<void>((resolve, reject) => {
    lock.once('error', () =>
      reject(
        new MalleeError(
          'Conflict',
          `the world ${world} runs already; stop it (Ctrl-C where it was started) and start again`,
        ),
      ),
    )
    // An abstract socket: the kernel frees the name when the process ends, however it ends.
    lock.listen(`\0mallee-world-${world}`, resolve)
  })
  lock.unref()
  try {
    await clear(world)
    await mkdir(worldDir(world), { recursive: true, mode: 0o700 })
  } catch (error) {
    lock.close()
    throw error
  }
  return {
    world,
    dir: worldDir(world),
    release: async () => {
      await clear(world)
      await new Promise((resolve) => lock.close(resolve))
    },
  }
}

async function clear(world: string): Promise<void> {
  const dir = worldDir(world)
  for (const host of foldersIn(dir)) await removeNetns(netnsName(world, host))
  await rm(dir, { recursive: true, force: true })
}

/** Ends what still runs in a network namespace and takes its name away; fine when there is none. */
export async function removeNetns(name: string): Promise<void> {
  const { code, stdout } = await exec(['ip', 'netns', 'pids', name], { okCodes: [0, 1, 255] })
  if (code !== 0) return
  for (const pid of stdout.split('\n').map(Number)) {
    if (pid > 1) killIfThere(pid)
  }
  await exec(['ip', 'netns', 'delete', name])
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

function foldersIn(dir: string): string[] {
  try {
    return readdirSync(dir)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}
