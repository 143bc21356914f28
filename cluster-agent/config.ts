// An agent's configuration: written by rack-join, checked when the agent starts.

import { isIP } from 'node:net'
import { isAbsolute } from 'node:path'
import { readIfThere } from '../common/durable-file.ts'
import { MalleeError } from '../common/errors.ts'
import { isName } from '../common/identity.ts'
import { JOIN_PORT, SESSION_PORT } from '../common/ports.ts'
import { VOLUME_TARGETS, type VolumeTargetChoice } from '../common/volume-target.ts'
import { WIREGUARD_PORT } from '../topology/ranges.ts'
import { parseLvName } from './host/lvm.ts'
import type { Role } from './role.ts'
import { type VolumeCeph, wrongInCeph } from './sc/ceph/config.ts'

export interface AgentConfig {
  readonly cloud: string
  readonly region: string
  readonly rack: string
  readonly rackIndex: number
  readonly host: string
  readonly hostIndex: number
  readonly roles: readonly Role[]
  /** Where the parent answers: the gateways for a CC, the CC for a node. */
  readonly parents: readonly Parent[]
  /** The NIC that joins this host to the rack's trunk; null on a rack of one host. */
  readonly trunk: string | null
  /** A CC's way to the world for tenants; null for the host's own default routes. */
  readonly public: PublicInterface | null
  /** Where other racks reach this CC's WireGuard; empty to find out. */
  readonly endpoints: readonly string[]
  readonly wireguardPort: number
  readonly sessionPort: number
  readonly joinPort: number
  /** Where a CC listens for its nodes. */
  readonly listenHost: string
  readonly simulated: boolean
  /** An SC's disks for objects, one directory each; empty for a folder beside its state. */
  readonly objectDirs: readonly string[]
  /** An SC's folder for volumes; null for one beside its state. */
  readonly volumeDir: string | null
  /** An SC's thin pool for volumes, `group/pool`, instead of a folder; null for none. */
  readonly volumePool: string | null
  /** A pool of Ceph for an SC's volumes; null for its own disk. */
  readonly volumeCeph: VolumeCeph | null
  /** What an SC serves volumes by. */
  readonly volumeTarget: VolumeTargetChoice
  /**
   * The host's own address of a storage network that the operator has made; null for the rack's
   * VLAN of its own.
   */
  readonly storageAddress: string | null
  /** What instances may use; null for what the machine has. */
  readonly capacity: Capacity | null
  /** GiB that images may take on this host; null for a quarter of the disk. */
  readonly imageCacheGib: number | null
  /** Do instances start while their image still comes? */
  readonly lazyImages: boolean
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error'
}

/** A device and the routers behind it; null without that family. */
export interface PublicInterface {
  readonly device: string
  readonly ipv4NextHop: string | null
  readonly ipv6NextHop: string | null
}

export interface Parent {
  readonly host: string
  /** Of sessions. */
  readonly port: number
  readonly joinPort: number
}

export interface Capacity {
  readonly vcpus: number
  readonly memoryMib: number
  readonly diskGib: number
}

export const CONFIG_DEFAULTS = {
  trunk: null,
  public: null,
  endpoints: [],
  wireguardPort: WIREGUARD_PORT,
  sessionPort: SESSION_PORT,
  joinPort: JOIN_PORT,
  listenHost: '::',
  simulated: false,
  objectDirs: [],
  volumeDir: null,
  volumePool: null,
  volumeCeph: null,
  volumeTarget: 'auto',
  storageAddress: null,
  capacity: null,
  imageCacheGib: null,
  lazyImages: true,
  logLevel: 'info',
} as const satisfies Partial<AgentConfig>

/** Throws BadConfig that names the file, the field and what fits. */
export async function readAgentConfig(file: string): Promise<AgentConfig> {
  const text = await readIfThere(file)
  if (text === null) {
    throw new MalleeError(
      'BadConfig',
      `there is no ${file}, this host has not joined: run rack-join`,
    )
  }
  let given: unknown
  try {
    given = JSON.parse(text)
  } catch (cause) {
    throw new MalleeError('BadConfig', `${file} is not JSON`, { cause })
  }
  return checkAgentConfig(file, { ...CONFIG_DEFAULTS, ...(given as AgentConfig) })
}

export function checkAgentConfig(file: string, config: AgentConfig): AgentConfig {
  const say = (field: keyof AgentConfig, fits: string): never => {
    const value = JSON.stringify(config[field])
    throw new MalleeError('BadConfig', `${field} in ${file} is ${value}, it must be ${fits}`)
  }
  for (const field of ['cloud', 'rack', 'host'] as const) {
    if (!isName(config[field] ?? '')) say(field, 'lower-case letters, digits and inner hyphens')
  }
  for (const field of ['wireguardPort', 'sessionPort', 'joinPort'] as const) {
    if (!isIntegerIn(config[field], 1, 65_535)) say(field, 'a port from 1 to 65535')
  }
  for (const field of ['rackIndex', 'hostIndex'] as const) {
    if (!isIntegerIn(config[field], 1, 65_535)) say(field, 'a number from 1 to 65535')
  }
  if (!Array.isArray(config.parents) || config.parents.length === 0) say('parents', 'a list')
  if (config.trunk !== null && !isDeviceName(config.trunk)) {
    say('trunk', 'the name of a network interface, or null')
  }
  if (config.public !== null && !isPublicInterface(config.public)) {
    say('public', 'null, or device with ipv4NextHop and ipv6NextHop, each an address or null')
  }
  const { objectDirs: dirs } = config
  if (!Array.isArray(dirs) || !dirs.every(isDirectory) || new Set(dirs).size < dirs.length) {
    say('objectDirs', 'a list of different absolute paths')
  }
  const { volumeDir, volumePool, storageAddress: address } = config
  if (volumeDir !== null && (!isDirectory(volumeDir) || dirs.includes(volumeDir))) {
    say('volumeDir', 'null, or an absolute path that is none of objectDirs')
  }
  if (volumePool !== null && (volumeDir !== null || !isLvName(volumePool))) {
    say(
      'volumePool',
      'null, or without volumeDir the names of a volume group and a pool: vg0/mallee',
    )
  }
  const { volumeCeph } = config
  if (volumeCeph !== null) {
    const isAlone = volumeDir === null && volumePool === null
    const fits = isAlone ? wrongInCeph(volumeCeph) : 'null, or volumeDir and volumePool must be'
    if (fits !== null) say('volumeCeph', fits)
  }
  if (!VOLUME_TARGETS.includes(config.volumeTarget)) {
    say('volumeTarget', `one of ${VOLUME_TARGETS.join(', ')}`)
  }
  if (address !== null && !isHostAddress(address)) {
    say('storageAddress', 'null, or an IPv4 or IPv6 address of this host')
  }
  if (config.capacity !== null) {
    const { vcpus, memoryMib, diskGib } = config.capacity
    if (![vcpus, memoryMib, diskGib].every((n) => isIntegerIn(n, 1, 2 ** 31 - 1))) {
      say('capacity', 'positive whole numbers vcpus, memoryMib and diskGib')
    }
  }
  if (config.imageCacheGib !== null && !isIntegerIn(config.imageCacheGib, 0, 2 ** 31 - 1)) {
    say('imageCacheGib', 'null, or a whole number of GiB from 0 up')
  }
  if (typeof config.lazyImages !== 'boolean') say('lazyImages', 'true or false')
  return Object.freeze(config)
}

function isPublicInterface({ device, ipv4NextHop, ipv6NextHop }: PublicInterface): boolean {
  const fits = (hop: string | null, family: 4 | 6): boolean => hop === null || isIP(hop) === family
  return isDeviceName(device) && fits(ipv4NextHop, 4) && fits(ipv6NextHop, 6)
}

function isHostAddress(text: unknown): boolean {
  if (typeof text !== 'string' || isIP(text) === 0) return false
  const { hostname } = new URL(isIP(text) === 6 ? `http://[${text}]` : `http://${text}`)
  return !['0.0.0.0', '[::]'].includes(hostname) && !/^\[fe[89ab]/.test(hostname)
}

function isLvName(value: unknown): boolean {
  return typeof value === 'string' && parseLvName(value).ok
}

function isDirectory(value: unknown): boolean {
  return typeof value === 'string' && isAbsolute(value)
}

function isDeviceName(name: unknown): boolean {
  return typeof name === 'string' && /^[\w.@-]{1,15}$/.test(name)
}

function isIntegerIn(value: unknown, first: number, last: number): boolean {
  return Number.isInteger(value) && Number(value) >= first && Number(value) <= last
}
