// What keeps many WireGuard devices of one kind, each with a key of its own: their names and key
// files, by a number, and what ends with those that nobody desires any more.

import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../../common/clock.ts'
import type { Exec } from '../../common/exec.ts'
import type { Log } from '../../common/log.ts'
import { listLinks } from '../host/ip.ts'
import { readDevices, type WgDevice } from '../host/wg.ts'
import type { Paths } from '../paths.ts'
import { endpointsAt, readUnderlay, type Underlay } from './underlay.ts'
import type { WgLinkOptions } from './wg-link.ts'

export interface WgDevicesOptions extends WgLinkOptions {
  readonly exec: Exec
  readonly clock: Clock
  readonly log: Log
  readonly config: {
    readonly host: string
    /** Where others reach us, `host:port`; empty to find out. */
    readonly endpoints: readonly string[]
  }
}

/** How devices of a kind are called. */
export interface WgKind {
  /** Of a key file, before the number: `wireguard-p7.key`. */
  readonly letter: string
  /** For people. */
  readonly what: string
  /** Null of a device that is of another kind. */
  readonly numberOf: (device: string) => number | null
}

/** Of the host, once for all devices. */
export interface WgHost {
  readonly underlay: Underlay
  /** Empty where wg says nothing: then each is asked alone. */
  readonly devices: ReadonlyMap<string, WgDevice>
}

export async function readWgHost(exec: Exec): Promise<WgHost> {
  const underlay = await readUnderlay(exec)
  return { underlay, devices: await readDevices(exec).catch(() => new Map<string, WgDevice>()) }
}

/** Where the private key of a device is made and stays. */
export function wgKeyFile(
  { stateDir }: Paths,
  { letter }: Pick<WgKind, 'letter'>,
  number: number,
): string {
  return join(stateDir, `wireguard-${letter}${number}.key`)
}

/** Where others reach a port of this host. */
export function ownEndpoints(
  { endpoints }: WgDevicesOptions['config'],
  { addresses }: Underlay,
  port: number,
): readonly string[] {
  if (endpoints.length === 0) return endpointsAt(addresses, port)
  return endpoints.map((one) => one.replace(/:\d+$/, `:${port}`))
}

/** Removes devices and keys of all numbers but the wanted ones. */
export async function removeUnwantedDevices(
  exec: Exec,
  { paths, log }: Pick<WgDevicesOptions, 'paths' | 'log'>,
  kind: WgKind,
  wanted: ReadonlySet<number>,
): Promise<void> {
  const isUnwanted = (number: number | null): boolean => number !== null && !wanted.has(number)
  for (const { name } of await listLinks(exec)) {
    if (!isUnwanted(kind.numberOf(name))) continue
    // Its process ends with it, where it has one.
    await exec(['ip', 'link', 'delete', 'dev', name], { okCodes: [0, 1] })
    log.info(`${kind.what} removed`, { device: name })
  }
  const keyFile = new RegExp(`^wireguard-${kind.letter}(\\d+)\\.key$`)
  for (const file of await readdir(paths.stateDir)) {
    const number = keyFile.exec(file)?.[1]
    if (number === undefined || !isUnwanted(Number(number))) continue
    await rm(join(paths.stateDir, file), { force: true })
  }
}
