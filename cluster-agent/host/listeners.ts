// Which sockets listen on this host, from /proc/net (proc(5)). Who has them, only ss(8) finds: it
// looks at every descriptor of every process, and is asked again when another one listens.

import { readFileSync } from 'node:fs'

const UNIX_LISTENS = '00010000'
const TCP_LISTENS = '0A'

/**
 * Another text when a socket begins to listen, or ends: a socket has its inode for life, and goes
 * with the last process that has it.
 */
export function listeners(): string {
  const tcp = ['tcp', 'tcp6'].flatMap((name) =>
    linesOf(name).filter((columns) => columns[3] === TCP_LISTENS),
  )
  const unix = linesOf('unix').filter((columns) => columns[3] === UNIX_LISTENS)
  return [
    ...tcp.map((columns) => `${columns[1]} ${columns[9]}`),
    ...unix.map((columns) => `${columns[7]} ${columns[6]}`),
  ].join('\n')
}

function linesOf(name: string): string[][] {
  const lines = readFileSync(`/proc/net/${name}`, 'utf8').split('\n').slice(1)
  return lines.map((line) => line.trim().split(/\s+/))
}
