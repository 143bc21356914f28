// A Ceph cluster by ceph(8), of Pacific or later: where its monitors are, what a pool has left, who
// may do what, who is connected, and who is locked out.

import { MalleeError } from '../../common/errors.ts'
import type { Exec, ExecOptions } from '../../common/exec.ts'

/** How this host itself gets in. */
export interface CephAccess {
  /** Files. */
  readonly conf: string
  readonly keyring: string
  /** Without `client.`. */
  readonly user: string
}

export interface CephMonitors {
  readonly fsid: string
  /** address:port of each, IPv6 in brackets. */
  readonly addresses: readonly string[]
  /** Names of those that answer. */
  readonly quorum: readonly string[]
}

export interface CephUser {
  /** `client.…`. */
  readonly entity: string
  /** What it may do, by the kind of daemon. */
  readonly caps: Readonly<Record<string, string>>
}

/** Somebody who is connected to a monitor. */
export interface CephSession {
  readonly entity: string
  /** address:0/number, of one process. */
  readonly address: string
}

/** Ceph's own commands wait for the monitors without end. */
const COMMAND_MS = 30_000
/** A list of all users of a large cloud. */
const MAX_BYTES = 256 << 20

export function accessArgs({ conf, user, keyring }: CephAccess): string[] {
  return ['--conf', conf, '--id', user, '--keyring', keyring]
}

/** Throws CommandFailed, CommandTimeout. */
export async function cephMonitors(exec: Exec, access: CephAccess): Promise<CephMonitors> {
  const dump = await ask<MonDump>(exec, access, ['mon', 'dump'])
  return {
    fsid: dump.fsid,
    addresses: dump.mons.flatMap(({ public_addrs: { addrvec } }) => {
      // QEMU speaks to either; the newer one is the one that is always there.
      const one = addrvec.find(({ type }) => type === 'v2') ?? addrvec[0]
      return one === undefined ? [] : [one.addr]
    }),
    quorum: dump.mons.filter(({ rank }) => dump.quorum.includes(rank)).map(({ name }) => name),
  }
}

/** What is in a pool, and what may still come. Throws NotFound when there is no such pool. */
export async function cephPoolSpace(
  exec: Exec,
  access: CephAccess,
  pool: string,
): Promise<{ readonly usedBytes: number; readonly freeBytes: number }> {
  const { pools } = await ask<Df>(exec, access, ['df'])
  const stats = pools.find(({ name }) => name === pool)?.stats
  if (stats === undefined) throw new MalleeError('NotFound', `Ceph has no pool ${pool}`)
  return { usedBytes: stats.stored, freeBytes: stats.max_avail }
}

/** Those whose name begins so. */
export async function listCephUsers(
  exec: Exec,
  access: CephAccess,
  prefix: string,
): Promise<CephUser[]> {
  const { auth_dump: all } = await ask<AuthDump>(exec, access, ['auth', 'ls'])
  return all
    .filter(({ entity }) => entity.startsWith(prefix))
    .map(({ entity, caps }) => ({ entity, caps }))
}

/** With that key, whether there was one or not. */
export async function putCephUser(
  exec: Exec,
  access: CephAccess,
  { entity, caps }: CephUser,
  key: string,
): Promise<void> {
  const lines = Object.entries(caps).map(([kind, may]) => `\tcaps ${kind} = "${may}"\n`)
  const input = `[${entity}]\n\tkey = ${key}\n${lines.join('')}`
  await tell(exec, access, ['auth', 'import', '-i', '-'], { input })
}

/** What it may do from now on; who is connected keeps what it had. Throws CommandFailed. */
export async function limitCephUser(
  exec: Exec,
  access: CephAccess,
  { entity, caps }: CephUser,
): Promise<void> {
  await tell(exec, access, ['auth', 'caps', entity, ...Object.entries(caps).flat()])
}

/** Also when there is none. */
export async function removeCephUser(
  exec: Exec,
  access: CephAccess,
  entity: string,
): Promise<void> {
  await tell(exec, access, ['auth', 'rm', entity])
}

/** Everybody who is connected to one of these monitors. */
export async function listCephSessions(
  exec: Exec,
  access: CephAccess,
  { quorum }: Pick<CephMonitors, 'quorum'>,
): Promise<CephSession[]> {
  const found: CephSession[] = []
  for (const name of quorum) {
    const sessions = await ask<Session[]>(exec, access, ['tell', `mon.${name}`, 'sessions'])
    for (const { entity_name: entity, addrs } of sessions) {
      for (const { addr, nonce } of addrs.addrvec) {
        found.push({ entity, address: `${addr}/${nonce}` })
      }
    }
  }
  return found
}

/**
 * Its process gets errors for whatever it asks from now on, and has written all that it ever will:
 * this returns when the cluster's map says so, and who serves it waits for that map.
 */
export async function blocklistCephClient(
  exec: Exec,
  access: CephAccess,
  { address, seconds }: { readonly address: string; readonly seconds: number },
): Promise<void> {
  await tell(exec, access, ['osd', 'blocklist', 'add', address, String(seconds)])
}

async function ask<T>(exec: Exec, access: CephAccess, argv: readonly string[]): Promise<T> {
  return JSON.parse(await tell(exec, access, [...argv, '--format', 'json'])) as T
}

async function tell(
  exec: Exec,
  access: CephAccess,
  argv: readonly string[],
  options: ExecOptions = {},
): Promise<string> {
  const all = ['ceph', ...accessArgs(access), ...argv]
  return (await exec(all, { timeoutMs: COMMAND_MS, maxBytes: MAX_BYTES, ...options })).stdout
}

interface MonDump {
  readonly fsid: string
  readonly quorum: readonly number[]
  readonly mons: readonly {
    readonly name: string
    readonly rank: number
    readonly public_addrs: {
      readonly addrvec: readonly { readonly type: string; readonly addr: string }[]
    }
  }[]
}

interface Df {
  readonly pools: readonly {
    readonly name: string
    readonly stats: { readonly stored: number; readonly max_avail: number }
  }[]
}

interface AuthDump {
  readonly auth_dump: readonly CephUser[]
}

interface Session {
  readonly entity_name: string
  readonly addrs: {
    readonly addrvec: readonly { readonly addr: string; readonly nonce: number }[]
  }
}
