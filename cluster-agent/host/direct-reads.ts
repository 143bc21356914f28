// What can be looked at without starting a program: files of the kernel, and Open vSwitch's daemons
// at their own sockets. A program that only looks costs some milliseconds of processor time to
// start, and passes look at much, every few seconds.

import { constants } from 'node:fs'
import { access, readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Exec } from '../../common/exec.ts'
import { askJsonRpc } from './json-rpc.ts'
import { NETNS_DIR } from './netns.ts'
import { countFlows, firstCookie } from './open-flow.ts'
import { isWhere } from './shared-reads.ts'

const SYSTEM_RUN_DIR = '/run/openvswitch'
const SOCKET = 'unix:'

interface Row {
  readonly [column: string]: unknown
}

/**
 * Runs commands as `exec` does, and answers those that only ask what is known here as the program
 * would, as far as this house reads its answers. Whatever does not go well is left to the program.
 */
export function directReads(exec: Exec): Exec {
  return async (argv, options) => {
    if (argv[0] === 'test' && argv[1] === '-S' && options?.okCodes?.includes(1)) {
      return { stdout: '', stderr: '', code: (await isSocket(argv[2] ?? '')) ? 0 : 1 }
    }
    const stdout = await answerTo(argv).catch(() => null)
    return stdout === null ? exec(argv, options) : { stdout, stderr: '', code: 0 }
  }
}

async function isSocket(file: string): Promise<boolean> {
  return (await stat(file).catch(() => null))?.isSocket() ?? false
}

/** Null for what only the program knows. */
async function answerTo([program, ...args]: readonly string[]): Promise<string | null> {
  switch (program) {
    case 'sh':
      return args.length === 2 && isWhere(args[1] ?? '') ? whereIs(args[1] ?? '') : null
    case 'cat':
      return args.length === 1 ? readFile(args[0] ?? '', 'utf8') : null
    case 'sysctl':
      return args[0] === '--ignore' ? settings(args.slice(1)) : null
    case 'ip':
      return args.join(' ') === '-json netns list' ? namespaces() : null
    case 'ovs-appctl':
      return args.at(-1) === 'version' ? versionOf(args) : null
    case 'ovs-vsctl':
      return args.includes('--format=json') ? tables(args) : null
    case 'ovs-ofctl':
      return flows(args)
    default:
      return null
  }
}

/** Null when it is nowhere: the shell says so in its own way. */
async function whereIs(line: string): Promise<string | null> {
  const name = line.split(' ').at(-1) ?? ''
  for (const folder of (process.env['PATH'] ?? '').split(':')) {
    const file = join(folder, name)
    const isThere = await access(file, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (isThere && folder.startsWith('/')) return `${file}\n`
  }
  return null
}

/** As sysctl(8) prints them; in a key dots and slashes have changed places. */
async function settings(keys: readonly string[]): Promise<string> {
  const lines = await Promise.all(
    keys.map(async (key) => {
      const names = key.split('.').map((name) => name.replaceAll('/', '.'))
      const value = await readFile(join('/proc/sys', ...names), 'utf8').catch(missing)
      return value === null ? '' : `${key} = ${value.trimEnd()}\n`
    }),
  )
  return lines.join('')
}

/** Null for a file that is not there; throws anything else. */
function missing(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT') return null
  throw error
}

async function namespaces(): Promise<string> {
  const names = (await readdir(NETNS_DIR).catch(missing)) ?? []
  return names.length === 0 ? '' : JSON.stringify(names.map((name) => ({ name })))
}

async function versionOf(args: readonly string[]): Promise<string | null> {
  const target = args[args.indexOf('-t') + 1] ?? ''
  const socket = target.startsWith('/') ? target : await controlSocket(target)
  const version = await askJsonRpc(socket, 'version', [])
  return typeof version === 'string' ? version : null
}

/** Of a daemon of the system's (ovs-appctl(8)). */
async function controlSocket(daemon: string): Promise<string> {
  const pid = (await readFile(join(SYSTEM_RUN_DIR, `${daemon}.pid`), 'utf8')).trim()
  return join(SYSTEM_RUN_DIR, `${daemon}.${pid}.ctl`)
}

/** Answers `list` commands only. */
async function tables(args: readonly string[]): Promise<string | null> {
  const db = args.find((arg) => arg.startsWith('--db='))?.slice('--db='.length) ?? ''
  if (!db.startsWith(SOCKET)) return null
  const commands = args
    .slice(args.indexOf('--format=json') + 1)
    .join('\n')
    .split(/^--$/m)
    .map((command) => command.split('\n').filter((word) => word !== ''))
    .filter((command) => command.length > 0)
  const questions = commands.map(([columns = '', verb, table, record, ...more]) => {
    if (!columns.startsWith('--columns=') || verb !== 'list' || more.length > 0) return null
    const where = record === undefined ? [] : [['name', '==', record]]
    const wanted = columns.slice('--columns='.length).split(',')
    return { op: 'select', table, where, columns: wanted, isOne: record !== undefined }
  })
  if (questions.includes(null)) return null
  const asked = questions.filter((one) => one !== null)
  const operations = asked.map(({ op, table, where, columns }) => ({ op, table, where, columns }))
  const socket = db.slice(SOCKET.length)
  const answers = (await askJsonRpc(socket, 'transact', ['Open_vSwitch', ...operations])) as {
    readonly rows?: readonly Row[]
  }[]
  const lines = asked.map(({ columns, isOne }, index) => {
    const rows = answers[index]?.rows
    if (rows === undefined || (isOne && rows.length !== 1)) return null
    const data = rows.map((row) => columns.map((column) => row[column]))
    return JSON.stringify({ data, headings: columns })
  })
  return lines.includes(null) ? null : `${lines.join('\n')}\n`
}

/** How many there are, or the cookie of the one in a table: what `readMarker` asks. */
async function flows(args: readonly string[]): Promise<string | null> {
  const at = args.findIndex((arg) => arg.startsWith('dump-'))
  const [what, target = '', more = '', ...rest] = at === -1 ? [] : args.slice(at)
  if (!target.startsWith(SOCKET) || args.includes('--no-stats') || rest.length > 0) return null
  const socket = target.slice(SOCKET.length)
  if (what === 'dump-aggregate' && more === '') return ` flow_count=${await countFlows(socket)}\n`
  const table = /^table=(\d+)$/.exec(more)?.[1]
  if (what !== 'dump-flows' || table === undefined) return null
  const cookie = await firstCookie(socket, Number(table))
  return cookie === null ? '' : ` cookie=0x${cookie.toString(16)}, table=${table}\n`
}
