// Where a gateway keeps things, and its configuration: flags, then environment, then the file.

import { isAbsolute, join } from 'node:path'
import { readIfThere } from '../common/durable-file.ts'
import { MalleeError } from '../common/errors.ts'
import { ADMIN_PORT, API_PORT, JOIN_PORT, PEERING_PORT, SESSION_PORT } from '../common/ports.ts'

export const DEFAULT_CONFIG_FILE = '/etc/mallee/gateway.json'
export const DEFAULT_STATE_DIR = '/var/lib/mallee/gateway'
/** In a call at the local socket: who says to have asked, for the audit log. */
export const USER_HEADER = 'mallee-user'
export const DEFAULT_SOCKET = '/run/mallee/gateway.sock'

export interface GatewayConfig {
  readonly stateDir: string
  /** `sqlite:/path` or `redis://host:port/0`. */
  readonly store: string
  /** Public API: EC2, STS, S3 and the others. */
  readonly apiPort: number
  /** Health, metrics, later the console. */
  readonly adminPort: number
  readonly sessionPort: number
  readonly joinPort: number
  /** For gateways of peer clouds; closed while there is neither a peer nor an invitation. */
  readonly peeringPort: number
  /** Where all of them listen. */
  readonly listenHost: string
  /** Name or address where other gateways reach this one; its own addresses without. */
  readonly reachableAt: string | null
  /** Name or address where gateways of other clouds reach this one; `reachableAt` without. */
  readonly peeringReachableAt: string | null
  /** Root-only socket of the `mallee` command. */
  readonly socket: string
  /** Where bytes of objects are, one directory per disk; `objects` in stateDir when empty. */
  readonly objectDirs: readonly string[]
  /** Names, separated by commas, under which a bucket has a host of its own: `<bucket>.<name>`. */
  readonly s3Domains: string
  /** Likewise, where it is a website; always also `s3-website.` before each of `s3Domains`. */
  readonly s3WebsiteDomains: string
  /** Whether S3 takes Signature Version 2 too, which covers less: for old clients. */
  readonly s3SignatureV2: 'on' | 'off'
  /** S3 engine for the bytes of objects, `http://KEY:SECRET@host:port/bucket`; '' without. */
  readonly objectEngine: string
  /** Whether objects are encrypted at rest when nobody says anything of it. */
  readonly objectEncryption: 'on' | 'off'
  /** Whether S3 takes keys of clients (SSE-C) from connections without TLS. */
  readonly customerKeysOverHttp: 'on' | 'off'
  /** How long a day of a lifecycle rule takes; shorter ones are for tests. */
  readonly lifecycleDayMs: number
  /** PEM files of the public API; plain HTTP without. */
  readonly tlsCertificate: string | null
  readonly tlsKey: string | null
  /** Bytes of one file of the audit log. */
  readonly auditFileBytes: number
  /** Files of the audit log that are kept, with the one written to; 0: there is no audit log. */
  readonly auditFiles: number
  /** Seconds after which access logs of buckets are delivered. */
  readonly accessLogSeconds: number
  /** Between the beginnings of two modifications of a volume. */
  readonly volumeModificationSeconds: number
  /** How many times its size a host's volumes may take together when they are written full. */
  readonly volumeOvercommit: number
  /** Buckets that are counted each by itself in the metrics; the others are together. */
  readonly bucketMetrics: number
  /** How many times AWS's rates an account may call the API at; 0: as often as it likes. */
  readonly apiRateFactor: number
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error'
}

const DAY_MS = 24 * 60 * 60_000

const DEFAULTS: GatewayConfig = {
  stateDir: DEFAULT_STATE_DIR,
  store: `sqlite:${join(DEFAULT_STATE_DIR, 'store.db')}`,
  apiPort: API_PORT,
  adminPort: ADMIN_PORT,
  sessionPort: SESSION_PORT,
  joinPort: JOIN_PORT,
  peeringPort: PEERING_PORT,
  listenHost: '::',
  reachableAt: null,
  peeringReachableAt: null,
  socket: DEFAULT_SOCKET,
  objectDirs: [],
  objectEngine: '',
  s3Domains: '',
  s3WebsiteDomains: '',
  objectEncryption: 'off',
  customerKeysOverHttp: 'off',
  s3SignatureV2: 'off',
  lifecycleDayMs: DAY_MS,
  tlsCertificate: null,
  tlsKey: null,
  auditFileBytes: 64 << 20,
  auditFiles: 16,
  accessLogSeconds: 300,
  volumeModificationSeconds: 21_600,
  volumeOvercommit: 10,
  bucketMetrics: 100,
  apiRateFactor: 12,
  logLevel: 'info',
}

export interface GatewayFiles {
  readonly caCertificate: string
  readonly caKey: string
  /** The CA that comes after that one, for peer clouds to know beforehand; need not be there. */
  readonly nextCaCertificate: string
  readonly certificate: string
  readonly key: string
  readonly masterKey: string
  readonly blobs: string
  readonly audit: string
  /** Objects' bytes, when no disks are named. */
  readonly objects: string
  /** Which disk of objects was seen where. */
  readonly objectDisks: string
  /** Access logs on their way. */
  readonly accessLogs: string
}

const PORTS = ['apiPort', 'adminPort', 'sessionPort', 'joinPort', 'peeringPort'] as const
const MAX_RATE_FACTOR = 10_000
const DOMAINS = /^(?:[a-z0-9.-]+(?:, ?[a-z0-9.-]+)*)?$/i

/** What the whole numbers among the settings may be, but for the ports. */
const RANGES = {
  auditFileBytes: [1 << 20, 2 ** 40],
  auditFiles: [0, 10_000],
  lifecycleDayMs: [100, DAY_MS],
  accessLogSeconds: [1, 3_600],
  volumeModificationSeconds: [0, 604_800],
  volumeOvercommit: [1, 1_000],
  bucketMetrics: [0, 10_000],
} as const

export function filesOf(stateDir: string): GatewayFiles {
  return {
    caCertificate: join(stateDir, 'ca.pem'),
    caKey: join(stateDir, 'ca.key'),
    nextCaCertificate: join(stateDir, 'ca-next.pem'),
    certificate: join(stateDir, 'gateway.pem'),
    key: join(stateDir, 'gateway.key'),
    masterKey: join(stateDir, 'master.key'),
    blobs: join(stateDir, 'blobs'),
    audit: join(stateDir, 'audit.jsonl'),
    objects: join(stateDir, 'objects'),
    objectDisks: join(stateDir, 'object-disks.json'),
    accessLogs: join(stateDir, 'access-logs'),
  }
}

/** The checked configuration. Throws BadConfig that names the file, the field and what fits. */
export async function readConfig(
  file: string,
  overrides: Readonly<Record<string, unknown>>,
  env: Readonly<Record<string, string | undefined>>,
): Promise<GatewayConfig> {
  const text = await readIfThere(file)
  const fromFile = text === null ? {} : parseObject(file, text)
  const fromEnv: Record<string, unknown> = {}
  for (const [name, usual] of Object.entries(DEFAULTS)) {
    const value = env[`MALLEE_${name.replace(/[A-Z]/g, (c) => `_${c}`).toUpperCase()}`]
    // Empty is how a unit file or a container says that a variable is not set.
    if (value) fromEnv[name] = valueLike(usual, value)
  }
  const given = { ...fromFile, ...fromEnv, ...overrides }
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(DEFAULTS, name)) throw bad(file, name, 'is not a setting')
  }
  return check(file, { ...DEFAULTS, ...storeBeside(given), ...given } as GatewayConfig)
}

/** What a variable says, of the kind that the setting is; directories are apart by colons. */
function valueLike(usual: unknown, text: string): unknown {
  if (Array.isArray(usual)) return text.split(':')
  return typeof usual === 'number' ? numberOf(text) : text
}

/** A text that is no decimal number stays one, and is refused by what it says. */
function numberOf(text: string): number | string {
  return /^-?\d+(?:\.\d+)?$/.test(text) ? Number(text) : text
}

function storeBeside(given: Readonly<Record<string, unknown>>): Partial<GatewayConfig> {
  if (typeof given['stateDir'] !== 'string') return {}
  return { store: `sqlite:${join(given['stateDir'], 'store.db')}` }
}

function check(file: string, config: GatewayConfig): GatewayConfig {
  for (const name of PORTS) {
    const port = config[name]
    if (!Number.isInteger(port) || port < 0 || port > 65_535) {
      throw bad(file, name, `is ${JSON.stringify(port)}, not a port from 0 to 65535`)
    }
  }
  for (const [name, [min, max]] of Object.entries(RANGES)) {
    const value = config[name as keyof typeof RANGES]
    if (!Number.isInteger(value) || value < min || value > max) {
      throw bad(file, name, `is ${JSON.stringify(value)}, not a number from ${min} to ${max}`)
    }
  }
  const factor = config.apiRateFactor
  if (!Number.isFinite(factor) || factor < 0 || factor > MAX_RATE_FACTOR) {
    const shown = JSON.stringify(factor)
    throw bad(file, 'apiRateFactor', `is ${shown}, not a number from 0 to ${MAX_RATE_FACTOR}`)
  }
  for (const name of ['stateDir', 'store', 'listenHost', 'socket'] as const) {
    if (typeof config[name] !== 'string' || config[name] === '') {
      throw bad(file, name, `is ${JSON.stringify(config[name])}, not a text`)
    }
  }
  for (const name of ['objectEncryption', 'customerKeysOverHttp', 's3SignatureV2'] as const) {
    if (!['on', 'off'].includes(config[name])) {
      throw bad(file, name, `is ${JSON.stringify(config[name])}, neither on nor off`)
    }
  }
  for (const name of ['s3Domains', 's3WebsiteDomains'] as const) {
    const names = config[name]
    if (typeof names === 'string' && DOMAINS.test(names)) continue
    const shown = JSON.stringify(names)
    throw bad(file, name, `is ${shown}, not names of hosts, separated by commas`)
  }
  for (const name of ['reachableAt', 'peeringReachableAt'] as const) {
    const place: unknown = config[name]
    if (place === null || (typeof place === 'string' && place !== '')) continue
    throw bad(file, name, `is ${JSON.stringify(place)}, not a name or an address`)
  }
  const { objectDirs: dirs } = config
  if (!Array.isArray(dirs) || !dirs.every(isDirectory) || new Set(dirs).size < dirs.length) {
    throw bad(file, 'objectDirs', `is ${JSON.stringify(dirs)}, not different absolute paths`)
  }
  if (!/^(sqlite:\/|rediss?:\/\/|unix:\/)/.test(config.store)) {
    throw bad(file, 'store', 'is neither sqlite:/path nor redis://host:port/number')
  }
  if (!['debug', 'info', 'warn', 'error'].includes(config.logLevel)) {
    throw bad(
      file,
      'logLevel',
      `is ${JSON.stringify(config.logLevel)}, not debug, info, warn or error`,
    )
  }
  if ((config.tlsCertificate === null) !== (config.tlsKey === null)) {
    throw bad(file, 'tlsCertificate', 'and tlsKey go together')
  }
  return Object.freeze(config)
}

function isDirectory(value: unknown): boolean {
  return typeof value === 'string' && isAbsolute(value)
}

function parseObject(file: string, text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return value as Record<string, unknown>
    }
  } catch (cause) {
    throw new MalleeError('BadConfig', `${file} is not JSON`, { cause })
  }
  throw new MalleeError('BadConfig', `${file} is not a JSON object`)
}

function bad(file: string, name: string, why: string): MalleeError {
  return new MalleeError('BadConfig', `${name} (in ${file}, the environment or a flag) ${why}`)
}
