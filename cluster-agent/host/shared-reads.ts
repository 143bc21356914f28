// One look at the host for all who look at the same: within one pass many parts of it list the same
// links, routes and ports, and each program that starts costs more than what it finds.

import type { Exec, ExecResult } from '../../common/exec.ts'

/**
 * Runs commands as `exec` does, and a listing (of ip or of the switch's database) only once until
 * something else may have changed the host: whatever is not known to only look. For one pass and
 * no longer: what others change meanwhile is not seen.
 */
export function sharedReads(exec: Exec): Exec {
  const known = new Map<string, Promise<ExecResult>>()
  return async (argv, options) => {
    if (isListing(argv)) {
      const key = JSON.stringify([argv, options?.okCodes])
      const found = known.get(key)
      if (found !== undefined) return found
      const asked = exec(argv, options)
      known.set(key, asked)
      // Who asks again may be luckier.
      asked.catch(() => known.delete(key))
      return asked
    }
    if (onlyLooks(argv)) return exec(argv, options)
    known.clear()
    // What was listed meanwhile may be of before.
    return exec(argv, options).finally(() => known.clear())
  }
}

function isListing([program, ...args]: readonly string[]): boolean {
  if (program === 'ip') {
    return args.includes('-json') && (args.includes('show') || args.includes('list'))
  }
  if (program === 'wg') return args[0] === 'show'
  return program === 'ovs-vsctl' && args.includes('--format=json') && args.includes('list')
}

/** Of a command of which it is known that it changes nothing that is ever listed. */
export function onlyLooks([program, ...args]: readonly string[]): boolean {
  switch (program) {
    case 'cat':
    case 'grep':
    case 'ping':
    case 'ps':
    case 'ss':
    case 'test':
    // Disks and flows are no links, ports or rules.
    case 'filefrag':
    case 'ovs-ofctl':
    case 'qemu-img':
      return true
    case 'sh':
      return args.length === 2 && isWhere(args[1] ?? '')
    case 'nsenter':
      return onlyLooks(args.slice(args.indexOf('--') + 1))
    case 'bridge':
      return args.includes('show')
    case 'ethtool':
      return args[0] === '-k'
    case 'ip':
    case 'ovs-vsctl':
    case 'wg':
      return isListing([program, ...args])
    case 'nft':
      return args.includes('list')
    case 'sysctl':
      return args[0] === '--ignore'
    case 'ovs-appctl':
      return args.at(-1) === 'version'
    default:
      return false
  }
}

/** Of a shell's line that asks only where a program is. */
export function isWhere(line: string): boolean {
  return /^command -v [\w-]+$/.test(line)
}
