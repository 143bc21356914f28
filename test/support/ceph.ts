// A real Ceph on this machine for tests and benchmarks: one monitor, one disk in a sparse file, and
// a RADOS gateway that speaks S3, or a manager and a pool for images; in a folder that goes with
// them. Nothing of it is kept twice.

import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { randomHex } from '../../common/clock.ts'
import { exec } from '../../common/exec.ts'
import { until } from '../../sandbox/until.ts'
import { freePorts } from './ports.ts'

/** Ceph's own commands wait for the monitor without end. */
const COMMAND_MS = 60_000
const START_MS = 120_000
const STOP_MS = 20_000
const DISK_GIB = 20
const DISK_MEMORY_BYTES = 896 << 20
/** Who has all rights, by their names in the keyring; the monitor's has none but its own. */
const ENTITIES = ['client.admin', 'client.rgw.a', 'osd.0', 'mgr.x']
const RIGHTS = ['--cap', 'mon', 'allow *', '--cap', 'osd', 'allow *']
const KEY_BYTES = 16

export interface CephUser {
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

interface TestCluster {
  readonly conf: string
  /** Of client.admin, and others. */
  readonly keyring: string
  /** ceph(8), rbd(8) and the like, as client.admin. */
  readonly run: Run
  /** No disk answers until the next signal: SIGSTOP, SIGCONT. */
  readonly signalDisk: (signal: NodeJS.Signals) => void
  /** Ends all of it and removes the folder. */
  readonly stop: () => Promise<void>
}

interface Cluster extends TestCluster {
  readonly port: number
  readonly begin: (...argv: string[]) => Promise<Daemon>
}

export interface TestCeph {
  /** Of the gateway, on loopback. It takes every region in a signature. */
  readonly port: number
  readonly makeUser: (name: string) => Promise<CephUser>
  /** SIGKILL for the gateway, and waits until it is gone. */
  readonly killGateway: () => Promise<void>
  /** Once more; resolves when it answers. */
  readonly startGateway: () => Promise<void>
  /** Ends all of it and removes the folder. */
  readonly stop: () => Promise<void>
}

/** With a manager, and a pool for images. Throws as startCeph does. */
export async function startImageCeph(pool: string): Promise<TestCluster> {
  const cluster = await startCluster()
  try {
    await cluster.begin('ceph-mgr', '-i', 'x')
    await cluster.run('ceph', 'osd', 'pool', 'create', pool)
    await cluster.run('ceph', 'osd', 'pool', 'application', 'enable', pool, 'rbd')
    await until(
      'the manager knows the pool',
      async () => /"max_avail":[1-9]/.test(await cluster.run('ceph', 'df', '--format', 'json')),
      { timeoutMs: START_MS, everyMs: 200 },
    )
    return cluster
  } catch (error) {
    await cluster.stop()
    throw error
  }
}

/** Takes half a minute. Throws what spawn says (ENOENT) where Ceph is not installed. */
export async function startCeph(): Promise<TestCeph> {
  const { port, run, begin, stop } = await startCluster()
  try {
    let gateway: Daemon | null = null
    const startGateway = async (): Promise<void> => {
      const daemon = await begin('radosgw', '-n', 'client.rgw.a')
      gateway = daemon
      await until(
        'the RADOS gateway answers',
        async () => {
          daemon.mustRun()
          return await answers(port)
        },
        { timeoutMs: START_MS, everyMs: 200 },
      )
    }
    await startGateway()
    const makeUser = async (name: string): Promise<CephUser> => {
      const user = { accessKeyId: randomHex(KEY_BYTES), secretAccessKey: randomHex(KEY_BYTES) }
      const keys = ['--access-key', user.accessKeyId, '--secret-key', user.secretAccessKey]
      const who = ['--uid', name, '--display-name', name, ...keys]
      await run('radosgw-admin', 'user', 'create', '-n', 'client.rgw.a', ...who)
      return user
    }
    const killGateway = async (): Promise<void> => await gateway?.kill()
    return { port, makeUser, killGateway, startGateway, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** A monitor and a disk. */
async function startCluster(): Promise<Cluster> {
  const dir = await mkdtemp(join(tmpdir(), 'mallee-ceph-'))
  const daemons: Daemon[] = []
  const stop = async (): Promise<void> => {
    for (const one of daemons.toReversed()) await one.stop()
    await rm(dir, { recursive: true, force: true })
  }
  try {
    const [monitorPort = 0, port = 0] = await freePorts(2)
    const run = commandsIn(dir)
    await prepare(dir, run, { monitorPort, port })
    const begin = async (...argv: string[]): Promise<Daemon> => {
      const daemon = await startDaemon(dir, argv)
      daemons.push(daemon)
      return daemon
    }
    await begin('ceph-mon', '-i', 'a')
    const uuid = randomUUID()
    await run('ceph', 'osd', 'new', uuid)
    await run('ceph-osd', '-i', '0', '--mkfs', '--osd-uuid', uuid)
    const disk = await begin('ceph-osd', '-i', '0')
    await until(
      'the disk is up',
      async () => {
        disk.mustRun()
        return / 1 up/.test(await run('ceph', 'osd', 'stat'))
      },
      { timeoutMs: START_MS, everyMs: 200 },
    )
    const [conf, keyring] = [join(dir, 'ceph.conf'), join(dir, 'keyring')]
    return { conf, keyring, run, signalDisk: disk.signal, stop, port, begin }
  } catch (error) {
    await stop()
    throw error
  }
}

type Run = (...argv: string[]) => Promise<string>

function commandsIn(dir: string): Run {
  const env = { PATH: process.env['PATH'] ?? '', HOME: dir, CEPH_CONF: join(dir, 'ceph.conf') }
  return async (...argv) => (await exec(argv, { env, timeoutMs: COMMAND_MS })).stdout
}

/** All that a cluster is before any of it runs. */
async function prepare(
  dir: string,
  run: Run,
  ports: { readonly monitorPort: number; readonly port: number },
): Promise<void> {
  for (const name of ['run', 'log', 'crash', 'mon', 'osd', 'rgw', 'mgr'])
    await mkdir(join(dir, name))
  const fsid = randomUUID()
  await writeFile(join(dir, 'ceph.conf'), configOf(dir, fsid, ports))
  const [monmap, keyring] = [join(dir, 'monmap'), join(dir, 'keyring')]
  const place = `[v2:127.0.0.1:${ports.monitorPort}]`
  await run('monmaptool', '--create', '--clobber', '--fsid', fsid, '--addv', 'a', place, monmap)
  const make = ['ceph-authtool', keyring, '--gen-key', '-n']
  await run(...make, 'mon.', '--create-keyring', '--cap', 'mon', 'allow *')
  for (const entity of ENTITIES) await run(...make, entity, ...RIGHTS)
  await run('ceph-mon', '--mkfs', '-i', 'a', '--monmap', monmap, '--keyring', keyring)
}

function configOf(
  dir: string,
  fsid: string,
  { monitorPort, port }: { readonly monitorPort: number; readonly port: number },
): string {
  return `
[global]
fsid = ${fsid}
mon host = v2:127.0.0.1:${monitorPort}
mon initial members = a
public addr = 127.0.0.1
ms bind ipv6 = false
ms bind msgr1 = false
auth allow insecure global id reclaim = false
keyring = ${dir}/keyring
run dir = ${dir}/run
admin socket = ${dir}/run/$name.asok
log file = ${dir}/log/$name.log
pid file = ${dir}/run/$name.pid
crash dir = ${dir}/crash
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon warn on pool no redundancy = false
mon max pg per osd = 1000
mon data avail warn = 2
mon data avail crit = 1
osd memory target = ${DISK_MEMORY_BYTES}
[mon.a]
mon data = ${dir}/mon
[osd.0]
osd data = ${dir}/osd
osd objectstore = bluestore
bluestore block size = ${DISK_GIB * 2 ** 30}
bluestore block create = true
bluestore fsck on mount = false
[mgr.x]
mgr data = ${dir}/mgr
mgr initial modules =
[client.rgw.a]
rgw data = ${dir}/rgw
rgw frontends = beast endpoint=127.0.0.1:${port} tcp_nodelay=1
rgw dns name = localhost
rgw thread pool size = 64
rgw bucket default quota max objects = -1
`
}

interface Daemon {
  /** Throws with the end of its log when it has ended. */
  readonly mustRun: () => void
  readonly stop: () => Promise<void>
  readonly kill: () => Promise<void>
  readonly signal: (signal: NodeJS.Signals) => void
}

/** In the foreground, as a child that ends with its parent's word. Throws ENOENT. */
async function startDaemon(dir: string, argv: readonly string[]): Promise<Daemon> {
  const [program = '', ...more] = argv
  const output = join(dir, 'log', `${program}.out`)
  const file = await open(output, 'a')
  const env = { PATH: process.env['PATH'] ?? '', CEPH_CONF: join(dir, 'ceph.conf') }
  const stdio: ['ignore', number, number] = ['ignore', file.fd, file.fd]
  const child = spawn(program, [...more, '-f'], { env, stdio })
  const gone = once(child, 'exit')
  await once(child, 'spawn').finally(() => file.close())
  return {
    mustRun: () => {
      if (isOver(child)) throw new Error(`${program} ended: look into ${output}`)
    },
    stop: async () => {
      if (isOver(child)) return
      child.kill('SIGTERM')
      const patience = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
      await gone
      clearTimeout(patience)
    },
    kill: async () => {
      if (isOver(child)) return
      child.kill('SIGKILL')
      await gone
    },
    signal: (signal) => child.kill(signal),
  }
}

function isOver({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null
}

async function answers(port: number): Promise<boolean> {
  return await fetch(`http://127.0.0.1:${port}/`).then(
    ({ ok }) => ok,
    () => false,
  )
}
