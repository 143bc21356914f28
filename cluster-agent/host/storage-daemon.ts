// qemu-storage-daemon(1) that shows an NBD export or an image in Ceph as a file (FUSE), one for
// each volume: it outlives us, and waits for its server while that is away. Found again by its
// arguments.

import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Clock } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import type { Exec } from '../../common/exec.ts'

type Parts = { readonly exec: Exec; readonly clock: Clock }

export interface StorageDaemonFiles {
  /** What it shows, as long as it runs; nobody else mounts anything there. */
  readonly file: string
  readonly pid: string
}

export interface NbdSource {
  readonly socket: string
  readonly name: string
}

export interface RbdSource {
  /** Of the cluster. */
  readonly conf: string
  readonly user: string
  /** A file with the user's key alone. */
  readonly key: string
  readonly pool: string
  readonly namespace: string
  readonly image: string
  /** Null for the image as it is, to be written to. */
  readonly snapshot: string | null
}

/** A day: until then nobody hears of an error. */
const RECONNECT_S = 86_400
const START_MS = 20_000
const STOP_MS = 5_000
const POLL_MS = 20

/** Returns when the file is there. What another one left goes first. Throws CommandFailed. */
export async function startStorageDaemon(
  { exec, clock }: Parts,
  files: StorageDaemonFiles,
  source: NbdSource | RbdSource,
): Promise<void> {
  await stopStorageDaemon({ exec, clock }, files)
  await mkdir(dirname(files.file), { recursive: true, mode: 0o700 })
  await writeFile(files.file, '', { mode: 0o600 })
  const isRead = 'snapshot' in source && source.snapshot !== null
  const shown = ['type=fuse', 'id=x', 'node-name=v', `mountpoint=${files.file}`]
  await exec(
    [
      ...['qemu-storage-daemon', '--daemonize', '--pidfile', files.pid],
      ...('socket' in source ? nbdNode(source) : rbdNode(source)),
      ...['--export', [...shown, `writable=${isRead ? 'off' : 'on'}`, 'growable=off'].join(',')],
    ],
    { timeoutMs: START_MS },
  )
}

function nbdNode({ socket, name }: NbdSource): string[] {
  const nbd = ['driver=nbd', 'node-name=v', 'discard=unmap', `reconnect-delay=${RECONNECT_S}`]
  const server = ['server.type=unix', `server.path=${socket}`, `export=${name}`]
  return ['--blockdev', [...nbd, ...server].join(',')]
}

function rbdNode({ conf, user, key, pool, namespace, image, snapshot }: RbdSource): string[] {
  const node = ['driver=rbd', 'node-name=v', 'discard=unmap', 'cache.direct=on', `conf=${conf}`]
  const where = [`pool=${pool}`, `namespace=${namespace}`, `image=${image}`]
  const who = [`user=${user}`, 'key-secret=k', 'auth-client-required.0=cephx']
  const of = snapshot === null ? [] : [`snapshot=${snapshot}`, 'read-only=on']
  return [
    ...['--object', `secret,id=k,file=${key},format=base64`],
    ...['--blockdev', [...node, ...where, ...who, ...of].join(',')],
  ]
}

/** The process that shows the file; another program is never taken for it. */
export async function storageDaemonPid(
  exec: Exec,
  { file, pid }: StorageDaemonFiles,
): Promise<string | null> {
  const text = (await readFile(pid, 'utf8').catch(() => '')).trim()
  if (!/^\d+$/.test(text)) return null
  const { code, stdout } = await exec(['cat', `/proc/${text}/cmdline`], { okCodes: [0, 1] })
  return code === 0 && stdout.includes(`mountpoint=${file},`) ? text : null
}

/** Also when there is none. Nobody uses the file any more. Throws Unavailable when it stays. */
export async function stopStorageDaemon(
  { exec, clock }: Parts,
  files: StorageDaemonFiles,
): Promise<void> {
  const deadlineMs = clock.nowMs() + STOP_MS
  let signal = '-TERM'
  for (
    let pid = await storageDaemonPid(exec, files);
    pid !== null;
    pid = await storageDaemonPid(exec, files)
  ) {
    await exec(['kill', signal, pid], { okCodes: [0, 1] })
    if (clock.nowMs() > deadlineMs + STOP_MS) {
      throw new MalleeError('Unavailable', `the process ${pid} of ${files.file} does not end`)
    }
    if (clock.nowMs() > deadlineMs) signal = '-KILL'
    await clock.sleep(POLL_MS)
  }
  // One that was killed leaves its mount behind.
  await exec(['umount', '--lazy', files.file], { okCodes: [0, 1, 32] })
  await rm(files.file, { force: true })
  await rm(files.pid, { force: true })
}
