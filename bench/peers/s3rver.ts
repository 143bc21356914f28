// s3rver, a server of S3 for tests that many npm users have: files in a folder, and no syncs. Its
// tree of packages is large and old, so it is no dependency: npm fetches it when first wanted.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { exec } from '../../common/exec.ts'
import { until } from '../../sandbox/until.ts'
import { freePorts } from '../../test/support/ports.ts'
import type { S3Server } from '../s3-servers.ts'
import { signedServer } from '../s3-servers.ts'

const VERSION = '3.7.1'
const FOLDER = join(import.meta.dirname, '../../.cache/bench/s3rver')
const PROGRAM = join(FOLDER, 'node_modules/s3rver/bin/s3rver.js')
const FETCH_MS = 120_000
/** The only ones that it knows. */
const KEYS = { accessKeyId: 'S3RVER', secret: 'S3RVER', region: 'us-east-1' }

/** Null where npm does not get it. Keeps its files in `dir`. */
export async function startS3rver(
  dir: string,
): Promise<(S3Server & { readonly stop: () => Promise<void> }) | null> {
  if (!existsSync(PROGRAM) && !(await fetched())) return null
  const [port = 0] = await freePorts(1)
  const argv = [PROGRAM, '-d', dir, '-a', '127.0.0.1', '-p', `${port}`, '--silent']
  const child = spawn(process.execPath, argv, { stdio: 'ignore' })
  const gone = once(child, 'exit')
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
    await gone
  }
  const answers = async (): Promise<boolean> =>
    await fetch(`http://127.0.0.1:${port}/`).then(
      () => true,
      () => false,
    )
  await until('s3rver answers', answers).catch(async (error) => {
    await stop()
    throw error
  })
  return { ...signedServer('s3rver', { port, ...KEYS }), stop }
}

async function fetched(): Promise<boolean> {
  const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-save']
  const argv = ['npm', 'install', '--prefix', FOLDER, ...quiet, `s3rver@${VERSION}`]
  // Where its registry is, and who the user is there, may be in any of them.
  const env = process.env as Record<string, string>
  return await exec(argv, { env, timeoutMs: FETCH_MS }).then(
    () => true,
    () => false,
  )
}
