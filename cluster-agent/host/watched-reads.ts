// Listings of the kernel's network are kept until the kernel tells of a change, or this host's own
// passes change something. In between a pass that has nothing to do starts no program.

import type { Exec, ExecResult } from '../../common/exec.ts'
import { onlyLooks } from './shared-reads.ts'

/** What `KernelWatch` says, and `listeners`. */
export interface Watch {
  readonly news: () => number | string | null
}

export interface WatchedReadsParts {
  /** Of links, addresses, routes and rules. */
  readonly ip: Watch
  readonly nft: Watch
  /** Of sockets that listen. */
  readonly ss: Watch
  readonly nowMs: () => number
}

interface Kept {
  readonly answer: Promise<ExecResult>
  readonly news: number | string
  readonly atMs: number
}

/** Nothing is believed for longer, whatever was heard. */
const MAX_AGE_MS = 60_000

/**
 * Runs commands as `exec` does, and a listing only when something may have changed since the last
 * one. Of changes that others make the watches tell; of its own, any command may be one that is not
 * known to only look.
 */
export function watchedReads(exec: Exec, parts: WatchedReadsParts): Exec {
  const known = new Map<string, Kept>()
  return async (argv, options) => {
    const watch = watchOf(argv, parts)
    if (watch === null) {
      if (onlyLooks(argv)) return exec(argv, options)
      known.clear()
      // What was listed meanwhile may be of before.
      return exec(argv, options).finally(() => known.clear())
    }
    const news = watch.news()
    if (news === null) return exec(argv, options)
    const key = JSON.stringify([argv, options?.okCodes])
    const kept = known.get(key)
    const nowMs = parts.nowMs()
    if (kept?.news === news && nowMs - kept.atMs < MAX_AGE_MS) return kept.answer
    const answer = exec(argv, options)
    known.set(key, { answer, news, atMs: nowMs })
    answer.catch(() => known.delete(key))
    return answer
  }
}

/** Who tells of changes of what a command lists; null when nobody does. */
function watchOf([program, ...args]: readonly string[], parts: WatchedReadsParts): Watch | null {
  switch (program) {
    case 'ip': {
      // Of neighbours and counters the kernel does not always tell, and of offloads never.
      const isTold = args.includes('-json') && args.includes('show')
      return isTold && !args.includes('neigh') && !args.includes('-statistics') ? parts.ip : null
    }
    case 'nft':
      return args.includes('list') ? parts.nft : null
    case 'ss':
      return /^-H?l[tnpx]+$/.test(args[0] ?? '') ? parts.ss : null
    default:
      return null
  }
}
