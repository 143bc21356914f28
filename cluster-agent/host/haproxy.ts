// HAProxy (haproxy(1), its management guide) as a daemon that outlives us: a master and its
// workers, started, reloaded, and spoken to over the master's socket. A reload starts a worker with
// the new configuration; those before it go on until their connections have ended.

import { connect } from 'node:net'
import { readIfThere } from '../../common/durable-file.ts'
import { MalleeError } from '../../common/errors.ts'
import type { Exec } from '../../common/exec.ts'

export interface HaproxyFiles {
  readonly config: string
  readonly pidFile: string
  /** The master's socket. */
  readonly socket: string
  readonly log: string
}

/** What was asked for a server: connections, none but those that it has, not even those. */
export type ServerMode = 'ready' | 'drain' | 'maint'

/** A server as `show stat` and `show servers state` tell of it. */
export interface ServerStat {
  readonly backend: string
  readonly name: string
  /** `UP`, `UP 1/3`, `DOWN`, `DRAIN`, `MAINT`, `no check`. */
  readonly status: string
  readonly mode: ServerMode
  readonly connections: number
  /** Of the last check, `L7STS` for example; empty before the first one. */
  readonly check: string
  /** What an HTTP check was answered; 0 without an answer. */
  readonly httpStatus: number
  /** In words. */
  readonly said: string
}

const ANSWER_MS = 3_000
const MAX_ANSWER_CHARS = 16 << 20
/** Below the 16 KiB that HAProxy takes in one line. */
const MAX_LINE_CHARS = 12_000
/** What commands that change something answer when they did. */
const DONE = new Set(['', 'New server registered.', 'Server deleted.'])

/** The master of a pid file when it runs with this configuration file; null when none does. */
export async function findHaproxy(
  exec: Exec,
  { pidFile, config }: Pick<HaproxyFiles, 'pidFile' | 'config'>,
): Promise<number | null> {
  const pid = Number((await readIfThere(pidFile))?.trim() ?? '0')
  if (!Number.isInteger(pid) || pid <= 0) return null
  const { code, stdout } = await exec(['cat', `/proc/${pid}/cmdline`], { okCodes: [0, 1] })
  const [program = '', ...args] = stdout.split('\0')
  return code === 0 && program.endsWith('haproxy') && args.includes(config) ? pid : null
}

/** Throws CommandFailed with HAProxy's own words about what is wrong in the file. */
export async function checkHaproxyConfig(exec: Exec, config: string): Promise<void> {
  await exec(['haproxy', '-c', '-f', config])
}

/** Returns when the master runs; what kept it from that is in `log`. */
export async function startHaproxy(
  exec: Exec,
  { config, pidFile, socket, log }: HaproxyFiles,
): Promise<void> {
  const flags = ['-W', '-D', '-S', `${socket},mode,600,level,admin`, '-f', config, '-p', pidFile]
  await exec(['setsid', 'haproxy', ...flags], { outputFile: log })
}

/** The `description` of the configuration that the newest worker has; throws Unavailable. */
export async function workerDescription(socket: string): Promise<string> {
  const info = await ask(socket, `${NEWEST} show info`)
  return /^description: (.*)$/m.exec(info)?.[1] ?? ''
}

/** Asks the master for a new worker with the configuration file as it is now. */
export async function reloadHaproxy(socket: string): Promise<void> {
  await ask(socket, 'reload')
}

/** The pids of the newest worker, and those of workers whose connections have not ended. */
export async function listWorkers(socket: string): Promise<{ newest: number; old: number[] }> {
  const [now = '', old = ''] = (await ask(socket, 'show proc')).split('# old workers')
  const pids = (text: string) =>
    [...text.matchAll(/^(\d+)\s+worker\s/gm)].map(([, pid]) => Number(pid))
  return { newest: pids(now)[0] ?? 0, old: pids(old) }
}

/** The servers of all backends. */
export async function serverStats(socket: string): Promise<ServerStat[]> {
  // All proxies, servers only, all of them.
  const stats = await ask(socket, `${NEWEST} show stat -1 4 -1`)
  return parseStats(stats, await serverStates(socket))
}

export function parseStats(csv: string, states: string): ServerStat[] {
  const modes = modesOf(states)
  const [head = '', ...lines] = csv.split('\n').filter((line) => line !== '')
  const names = head.replace(/^# /, '').split(',')
  return lines.map((line) => {
    const fields = fieldsOf(line)
    const of = (name: string) => fields[names.indexOf(name)] ?? ''
    return {
      backend: of('pxname'),
      name: of('svname'),
      status: of('status'),
      mode: modes.get(`${of('pxname')}/${of('svname')}`) ?? 'ready',
      connections: Number(of('scur')),
      // Before the first check it says INI; a star stands before one under way.
      check: of('check_status').replace(/^\* /, '').replace('INI', ''),
      httpStatus: Number(of('check_code')),
      said: of('last_chk') || of('check_desc'),
    }
  })
}

/** Servers' states in the words of a server state file. */
export async function serverStates(socket: string): Promise<string> {
  return `${(await ask(socket, `${NEWEST} show servers state`)).trim()}\n`
}

/** Ends the connections of a worker to servers, `backend/name`, also of one that serves no more. */
export async function endSessions(
  socket: string,
  pid: number,
  servers: ReadonlySet<string>,
): Promise<void> {
  const sessions = await ask(socket, `@!${pid} show sess`)
  const ids = [...sessions.matchAll(/^(0x[0-9a-f]+): .* be=(\S+) srv=(\S+) /gm)]
    .filter(([, , backend, name]) => servers.has(`${backend}/${name}`))
    .map(([, id]) => `shutdown session ${id}`)
  // One that has ended by itself meanwhile is refused.
  await tellHaproxy(socket, ids, `@!${pid}`)
}

/**
 * Runs commands that change something, in the newest worker when nothing is said; those that it
 * refused, in its own words.
 */
export async function tellHaproxy(
  socket: string,
  commands: readonly string[],
  to = NEWEST,
): Promise<string[]> {
  const refused: string[] = []
  let line = ''
  const flush = async () => {
    if (line === '') return
    const answers = (await ask(socket, line)).split('\n').map((one) => one.trim())
    refused.push(...answers.filter((answer) => !DONE.has(answer)))
    line = ''
  }
  for (const command of commands) {
    if (line.length + command.length > MAX_LINE_CHARS) await flush()
    line += `${line === '' ? '' : '; '}${to} ${command}`
  }
  await flush()
  return refused
}

/** One line in, everything that comes back out. Throws Unavailable. */
function ask(path: string, line: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    const chunks: string[] = []
    let chars = 0
    const fail = (why: string) => {
      socket.destroy()
      reject(new MalleeError('Unavailable', `HAProxy at ${path}: ${why}`))
    }
    socket.setEncoding('utf8')
    socket.setTimeout(ANSWER_MS, () => fail(`no answer within ${ANSWER_MS} ms`))
    socket.on('error', (error) => fail(error.message))
    socket.on('data', (text: string) => {
      chars += text.length
      if (chars > MAX_ANSWER_CHARS) fail('an endless answer')
      else chunks.push(text)
    })
    socket.on('end', () => resolve(chunks.join('')))
    // It answers when it has heard the end of what is asked.
    socket.end(`${line}\n`)
  })
}

/** From the fifth word of each line on: address, operational state, administrative state. */
function modesOf(states: string): Map<string, ServerMode> {
  const modes = new Map<string, ServerMode>()
  for (const line of states.split('\n')) {
    const [, backend = '', , name = '', , , admin = ''] = line.split(' ')
    const bits = Number(admin)
    if (!Number.isInteger(bits)) continue
    const mode = (bits & MAINTENANCE) !== 0 ? 'maint' : (bits & DRAINING) !== 0 ? 'drain' : 'ready'
    modes.set(`${backend}/${name}`, mode)
  }
  return modes
}

/** One line of comma-separated values (RFC 4180). */
function fieldsOf(line: string): string[] {
  return [...line.matchAll(/("(?:[^"]|"")*"|[^,]*)(?:,|$)/g)].map(([, field = '']) =>
    field.startsWith('"') ? field.slice(1, -1).replaceAll('""', '"') : field,
  )
}

const NEWEST = '@1'
/** Bits of a server's administrative state: forced, inherited, configured; forced, inherited. */
const MAINTENANCE = 0x01 | 0x02 | 0x04
const DRAINING = 0x08 | 0x10
