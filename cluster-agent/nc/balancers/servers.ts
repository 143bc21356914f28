// Which servers HAProxy shall have, and the commands that lead there with no connection cut.
// A new target is checked once before it is let in beside those that are well; one that is not
// wanted any more stays, out of use, until its last connection ends.

import type { ServerMode, ServerStat } from '../../host/haproxy.ts'
import {
  BACKENDS,
  type Backend,
  backendName,
  serverArguments,
  serverName,
} from './haproxy-config.ts'
import type { GroupWanted, NodeWanted, TargetWanted } from './wanted.ts'

export interface ServersPlan {
  readonly commands: readonly string[]
  /** May be refused while a connection ends. */
  readonly deletions: readonly string[]
  /** Servers, `backend/name`, whose connections end. */
  readonly shutdowns: readonly string[]
  /** Is a target on trial, or one waiting to go, so that it is worth looking again soon? */
  readonly unsettled: boolean
}

/** Where in a line of a server state file, version 1, something stands. */
const STATE_WORDS = { backend: 1, isUp: 5, checkHealth: 12, checkPort: 21 } as const

/** The servers of one group, by backend and name. */
export type GroupServers = Readonly<Record<Backend, ReadonlyMap<string, ServerStat>>>

export function groupServers(groupId: string, stats: readonly ServerStat[]): GroupServers {
  const of = (backend: Backend) => {
    const own = stats.filter((stat) => stat.backend === backendName(groupId, backend))
    return new Map(own.map((stat) => [stat.name, stat]))
  }
  return { checked: of('checked'), open: of('open'), trial: of('trial') }
}

export function planServers(node: NodeWanted, stats: readonly ServerStat[]): ServersPlan {
  const plans = node.groups.map((group) => planGroup(group, groupServers(group.id, stats)))
  return {
    commands: plans.flatMap(({ commands }) => commands),
    deletions: plans.flatMap(({ deletions }) => deletions),
    shutdowns: plans.flatMap(({ shutdowns }) => shutdowns),
    unsettled: plans.some(({ unsettled }) => unsettled),
  }
}

/** The lines of a configuration that a reload shall begin with, by backend. */
export function serverLines(
  node: NodeWanted,
  stats: readonly ServerStat[],
): Map<string, readonly string[]> {
  const lines = new Map<string, readonly string[]>()
  for (const group of node.groups) {
    const seen = groupServers(group.id, stats)
    for (const backend of ['checked', 'open'] as const) {
      const own = group.targets
        .filter((target) => seen[backend].has(serverName(target)))
        .map(
          (target) => `    server ${serverName(target)} ${serverArguments(group, target, backend)}`,
        )
      lines.set(backendName(group.id, backend), own)
    }
  }
  return lines
}

/**
 * What a reload takes over of servers' states: who is well. The file would bring the former port of
 * checks along, and counts that mean another thing when a group counts otherwise.
 */
export function carriedStates({ groups }: NodeWanted, states: string): string {
  const best = new Map(
    groups.map(({ id, check }) => [backendName(id, 'checked'), check.rise + check.fall - 1]),
  )
  return states
    .split('\n')
    .map((line) => {
      const words = line.split(' ')
      const health = best.get(words[STATE_WORDS.backend] ?? '')
      if (health === undefined) return line
      words[STATE_WORDS.checkHealth] = words[STATE_WORDS.isUp] === '0' ? '0' : `${health}`
      words[STATE_WORDS.checkPort] = '0'
      return words.join(' ')
    })
    .join('\n')
}

function planGroup(group: GroupWanted, seen: GroupServers): ServersPlan {
  const commands: string[] = []
  const deletions: string[] = []
  const shutdowns: string[] = []
  const at = (backend: Backend, name: string) => `${backendName(group.id, backend)}/${name}`
  const add = (backend: Backend, target: TargetWanted) => {
    const place = at(backend, serverName(target))
    commands.push(`add server ${place} ${serverArguments(group, target, backend)}`)
    if (backend !== 'open') commands.push(`enable health ${place}`)
  }
  const set = (backend: Backend, name: string, mode: ServerMode) =>
    commands.push(`set server ${at(backend, name)} state ${mode}`)
  const leave = (backend: Backend, { name, mode, connections }: ServerStat) => {
    const ends = backend !== 'trial' && group.terminates
    if (connections > 0 && !ends) {
      // Not in maintenance: that counts as ill, and may end its connections.
      if (mode !== 'drain') set(backend, name, 'drain')
      return
    }
    if (mode !== 'maint') set(backend, name, 'maint')
    // Once in any case: workers from before a reload may have connections that this one has not.
    if (ends && (connections > 0 || mode !== 'maint')) shutdowns.push(at(backend, name))
    deletions.push(`del server ${at(backend, name)}`)
  }

  let unsettled = false
  for (const target of group.targets) {
    const name = serverName(target)
    const mode = target.draining ? 'drain' : 'ready'
    const [checked, open, trial] = BACKENDS.map((backend) => seen[backend].get(name))
    if (open === undefined) add('open', target)
    if (open?.mode !== mode) set('open', name, mode)
    if (checked !== undefined) {
      if (checked.mode !== mode) set('checked', name, mode)
      if (trial !== undefined) leave('trial', trial)
    } else if (trial === undefined) {
      add('trial', target)
      set('trial', name, 'ready')
      unsettled = true
    } else if (trial.check === '') {
      unsettled = true
    } else {
      add('checked', target)
      set('checked', name, mode)
      const health = trial.status.startsWith('UP') ? 'up' : 'down'
      commands.push(`set server ${at('checked', name)} health ${health}`)
      leave('trial', trial)
    }
  }
  const wanted = new Set(group.targets.map(serverName))
  for (const backend of BACKENDS) {
    for (const stat of seen[backend].values()) if (!wanted.has(stat.name)) leave(backend, stat)
  }
  return { commands, deletions, shutdowns, unsettled: unsettled || deletions.length > 0 }
}
