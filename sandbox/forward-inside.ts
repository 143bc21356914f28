// forward-inside.ts SOCKET PORT: inside a sandbox host, passes what connects to the socket file on
// to 127.0.0.1:PORT there.

import { connect, createServer, type Socket } from 'node:net'

/** Each side gets what the other says; when one ends or breaks, so does the other. */
export function splice(left: Socket, right: Socket): void {
  left.pipe(right).pipe(left)
  left.on('error', () => right.destroy())
  right.on('error', () => left.destroy())
  left.on('close', () => right.destroy())
  right.on('close', () => left.destroy())
}

if (import.meta.main) {
  const [socket = '', port = ''] = process.argv.slice(2)
  createServer((client) => splice(client, connect(Number(port), '127.0.0.1'))).listen(socket)
}
