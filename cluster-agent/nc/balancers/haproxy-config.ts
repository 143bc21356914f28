// HAProxy's configuration for one node: a frontend for each TCP listener, and for each group three
// backends: the checked targets; all of them unchecked, for when none is well; and one where new
// targets are checked once before they are let in. Everything but the servers: those come and go
// through its socket and stand here only so that a reload finds them.

import { createHash } from 'node:crypto'
import { MalleeError } from '../../../common/errors.ts'
import { parseAddress } from '../../../topology/cidr.ts'
import type { NodePlaces } from './names.ts'
import { nameOf } from './names.ts'
import type {
  CheckWanted,
  GroupWanted,
  ListenerWanted,
  NodeWanted,
  TargetWanted,
} from './wanted.ts'

/** A group's backends. */
export type Backend = 'checked' | 'open' | 'trial'

export const BACKENDS: readonly Backend[] = ['checked', 'open', 'trial']

export interface NodeConfig {
  /** Of everything but which servers there are; the process tells it as its description. */
  readonly digest: string
  /** The file, with the servers that it shall begin with: lines by backend. */
  readonly text: (servers: ReadonlyMap<string, readonly string[]>) => string
}

/** As an NLB: a connection on which nobody said anything for so long is forgotten. */
const IDLE_S = 350
/** For connections of clients; those of checks have the group's time, when that is shorter. */
const CONNECT_S = 5
/** Of one node, so that it eats no host: threads, and descriptors, two for each connection. */
const THREADS = 2
const MAX_DESCRIPTORS = 40_000
/** How soon a new target is checked, and again while it is in trial. */
const TRIAL_MS = 100
/** Beyond those of people, services, containers and systemd's own. */
const FIRST_USER = 2_000_000_000
const USERS = 100_000_000
const ANY_SUCCESS = '200-399'
/** Stands for every target where only the group decides. */
const PATTERN: TargetWanted = { address: '0.0.0.0', port: 0, draining: false }
const AGENT = 'ELB-HealthChecker/2.0'
/** A server's name is its address and port: `10.0.0.5:80`, `[fd00::5]:80`. */
const HOST = '%[srv_name,regsub("^(.*:.*)_","[\\1]:"),regsub(_,:)]'

export function nodeConfig(node: NodeWanted, at: NodePlaces): NodeConfig {
  const { listeners } = node
  const tcp = listeners.filter((listener) => listener.tcp)
  const user = userOf(node.interfaceId)
  const base = [...defaultLines(at, user), ...tcp.flatMap(frontendLines)]
  const groups = node.groups.map((group) => backendsOf(group, longestIdle(tcp, group)))
  const pattern = node.groups.flatMap((group) =>
    BACKENDS.map((backend) => serverArguments(group, PATTERN, backend)),
  )
  const whole = JSON.stringify([base, groups.flat().map(({ lines }) => lines), pattern])
  const digest = createHash('sha256').update(whole).digest('hex').slice(0, 16)
  return {
    digest,
    text: (servers) => {
      const lines = [
        ...['global', `    description ${digest}`, ...base],
        ...groups.flat().flatMap(({ name, lines: own }) => [...own, ...(servers.get(name) ?? [])]),
      ]
      return lines.map((line) => `${line}\n`).join('')
    },
  }
}

export function backendName(groupId: string, backend: Backend): string {
  const name = nameOf(groupId)
  return backend === 'checked' ? name : `${backend}.${name}`
}

/** A server's name, the same in all backends. */
export function serverName({ address, port }: Pick<TargetWanted, 'address' | 'port'>): string {
  if (!parseAddress(address).ok || !Number.isInteger(port)) {
    throw new MalleeError('BadMessage', `${address} port ${port} is no target`)
  }
  return `${address}_${port}`
}

/** What follows a server's name. Its number decides where hashes lead, so it is always the same. */
export function serverArguments(
  { check, proxyProtocol, endsUnwell = false }: GroupWanted,
  target: TargetWanted,
  backend: Backend,
): string {
  const { address, port } = target
  const place = address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
  const words = [place, `id ${numberOf(serverName(target))}`]
  if (proxyProtocol) words.push('send-proxy-v2')
  if (backend === 'open') return words.join(' ')
  if (check.port !== 0) words.push(`port ${check.port}`)
  if (check.protocol === 'https') words.push('check-ssl verify none')
  const { intervalS, timeoutS, rise, fall } = check
  const pace =
    backend === 'checked' ? `inter ${intervalS}s` : `inter ${timeoutS}s downinter ${TRIAL_MS}ms`
  if (backend === 'checked' && endsUnwell) words.push('on-marked-down shutdown-sessions')
  return [...words, 'check', pace, `rise ${rise} fall ${fall}`].join(' ')
}

function defaultLines({ root, states }: NodePlaces, user: number): string[] {
  return [
    `    chroot ${root}`,
    `    uid ${user}`,
    `    gid ${user}`,
    `    nbthread ${THREADS}`,
    `    fd-hard-limit ${MAX_DESCRIPTORS}`,
    `    server-state-file ${states}`,
    'defaults',
    '    mode tcp',
    '    load-server-state-from-file global',
    // A target that refuses costs its client a moment and not the connection.
    '    option redispatch 1',
    '    retries 2',
    `    timeout connect ${CONNECT_S}s`,
    `    timeout client ${IDLE_S}s`,
    `    timeout server ${IDLE_S}s`,
    // Without any it would not start, and a node may have UDP only.
    'frontend none',
    '    bind abns@none',
    '    tcp-request connection reject',
  ]
}

function frontendLines({ port, groupId, idleS = IDLE_S }: ListenerWanted): string[] {
  const [checked, open] = [backendName(groupId, 'checked'), backendName(groupId, 'open')]
  return [
    `frontend tcp.${port}`,
    `    bind 0.0.0.0:${port}`,
    `    bind [::]:${port} v6only`,
    ...(idleS === IDLE_S ? [] : [`    timeout client ${idleS}s`]),
    `    use_backend ${open} if { nbsrv(${checked}) eq 0 }`,
    `    default_backend ${checked}`,
  ]
}

/** On the side of the targets as long as the most patient listener wants: its own ends first. */
function longestIdle(listeners: readonly ListenerWanted[], { id }: GroupWanted): number {
  const own = listeners.filter(({ groupId }) => groupId === id)
  return Math.max(IDLE_S, ...own.map(({ idleS = IDLE_S }) => idleS))
}

function backendsOf(group: GroupWanted, idleS: number): { name: string; lines: string[] }[] {
  const { check, sticky } = group
  const name = (backend: Backend) => backendName(group.id, backend)
  // Round robin looks at no load: a target that fails fast must not draw everybody to it.
  const balance = sticky ? ['balance source', 'hash-type consistent'] : ['balance roundrobin']
  const of = (backend: Backend, lines: readonly string[]) => ({
    name: name(backend),
    lines: [`backend ${name(backend)}`, ...lines.map((line) => `    ${line}`)],
  })
  const idle = idleS === IDLE_S ? [] : [`timeout server ${idleS}s`]
  const checks = checkLines(check)
  return [
    of('checked', [...balance, ...idle, ...checks]),
    of('open', [...balance, ...idle]),
    of('trial', ['balance roundrobin', ...checks]),
  ]
}

function checkLines({ protocol, path, codes, timeoutS }: CheckWanted): string[] {
  const times = [`timeout connect ${Math.min(CONNECT_S, timeoutS)}s`, `timeout check ${timeoutS}s`]
  if (protocol === 'tcp') return times
  const wanted = codes.length === 0 ? ANY_SUCCESS : codes.map(checkedCode).join(',')
  const send = `meth GET uri ${quoted(path)} ver HTTP/1.1 hdr Host '${HOST}'`
  return [
    ...times,
    'option httpchk',
    `http-check send ${send} hdr User-Agent ${AGENT}`,
    `http-check expect status ${wanted}`,
  ]
}

/** Throws BadMessage for what cannot be a line's word. */
function quoted(path: string): string {
  if (!/^\/[\x21-\x7e]{0,1023}$/.test(path)) {
    throw new MalleeError('BadMessage', `${JSON.stringify(path)} is no path to check`)
  }
  return `'${path.replaceAll("'", "'\\''")}'`
}

function checkedCode(code: string): string {
  if (/^\d{3}(-\d{3})?$/.test(code)) return code
  throw new MalleeError('BadMessage', `${JSON.stringify(code)} is no HTTP status`)
}

/** A user without a name: what runs for one tenant can do nothing to what runs for another. */
function userOf(interfaceId: string): number {
  return FIRST_USER + (numberOf(interfaceId) % USERS)
}

/** Positive, of 31 bits; two targets of a group share one once in a billion pairs. */
function numberOf(name: string): number {
  return createHash('sha256').update(name).digest().readUInt32BE() & 0x7fff_ffff || 1
}
